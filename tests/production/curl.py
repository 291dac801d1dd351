"""A visitor: curl, for whom the site has its real name and ports."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.production.deployment import HOST
from tests.services import Nginx


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Visitor:
    """:param jar: where cookies are kept, as a browser keeps them."""

    def __init__(self, server: Nginx, trusted: Path, jar: Path) -> None:
        self.jar = jar
        self._options = [
            *("--cacert", str(trusted)),
            *("--connect-to", f"{HOST}:443:127.0.0.1:{server.port}"),
            *("--connect-to", f"{HOST}:80:127.0.0.1:{server.http_port}"),
            *("--cookie", str(jar), "--cookie-jar", str(jar)),
        ]

    def get(self, path: str, *options: str, scheme: str = "https") -> Answer:
        """:param path: with `options` of curl's, which may make a POST of it."""
        return ask(f"{scheme}://{HOST}{path}", *self._options, *options)

    def cookie(self, name: str) -> str:
        lines = [line.split("\t") for line in self.jar.read_text().splitlines()]
        return next(fields[6] for fields in lines if len(fields) == 7 and fields[5] == name)


def ask(address: str, *options: str) -> Answer:
    curl = ["curl", "-q", "--silent", "--show-error", "--include", "--max-time", "60"]
    done = subprocess.run([*curl, *options, address], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    pairs = [line.split(": ", 1) for line in lines if ": " in line]
    headers = {name.lower(): value for name, value in pairs}
    cookies = [value for name, value in pairs if name.lower() == "set-cookie"]
    return Answer(int(status.split()[1]), headers, cookies, body)
