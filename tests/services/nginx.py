"""An nginx of the tests' own that serves one site."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from .base import Service, free_port
from .postgres import as_unprivileged_user, unprivileged_user

PROGRAM = Path("/usr/sbin/nginx")


class Nginx(Service):
    """:param site: the text of a file of `sites-enabled`, with `{port}` and `{http_port}` where it
    listens for HTTPS and HTTP, and `{folder}` where its certificate is; see `give`."""

    name = "nginx"

    def __init__(self, site: str) -> None:
        super().__init__()
        self.http_port = free_port()
        self.site = site

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def give(self, name: str, content: bytes) -> Path:
        """A file in its folder, such as a certificate. :returns: where it is."""
        path = self.folder / name
        path.write_bytes(content)
        return path

    def prepare(self) -> None:
        places = {"{port}": self.port, "{http_port}": self.http_port, "{folder}": self.folder}
        site = self.site
        for place, value in places.items():
            site = site.replace(place, str(value))
        (self.folder / "site.conf").write_text(site)
        temporary = "".join(
            f"{kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.folder / "nginx.conf").write_text(
            "daemon off;\n"
            "worker_processes 1;\n"
            f"pid {self.folder}/pid;\n"
            "error_log stderr;\n"
            "events {}\n"
            "http {\n"
            # Of the distribution's nginx.conf, what a site relies on.
            "include /etc/nginx/mime.types;\n"
            "default_type application/octet-stream;\n"
            f"access_log {self.folder}/access.log;\n"
            f"{temporary}"
            f"include {self.folder}/site.conf;\n"
            "}\n"
        )
        if os.getuid() == 0:
            owner = unprivileged_user()
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, owner.pw_uid, owner.pw_gid)

    def command(self) -> Sequence[str]:
        configuration = str(self.folder / "nginx.conf")
        return [*as_unprivileged_user(), str(PROGRAM), "-e", "stderr", "-c", configuration]

    def is_ready(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.http_port), timeout=1) as connection,
        ):
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
        return False
