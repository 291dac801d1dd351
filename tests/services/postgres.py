"""A PostgreSQL cluster of the tests' own, from Debian's binaries. It trades safety for speed
(fsync=off): what was committed survives its own SIGKILL, not the machine's."""

from __future__ import annotations

import functools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psycopg

from .base import PATIENCE, Service, ServiceFailed


@functools.cache
def binaries() -> Path:
    """The folder of the newest installed version's programs.

    :raises ServiceFailed: none is installed.
    """
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    if not found:
        raise ServiceFailed("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1].parent


class Postgres(Service):
    name = "postgres"
    user = "crm"
    # A "fast" shutdown: what is connected is cut off, and everything is written.
    stop_signal = signal.SIGINT

    def __init__(self) -> None:
        super().__init__()
        self.password = secrets.token_urlsafe(12)
        self.data = self.folder / "data"

    @property
    def url(self) -> str:
        return self.database_url("postgres")

    def database_url(self, database: str) -> str:
        return f"postgres://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        self.data.mkdir()
        if os.getuid() == 0:
            self.folder.chmod(0o755)
            owner = unprivileged_user()
            for path in (self.data, password_file):
                shutil.chown(path, owner.pw_uid, owner.pw_gid)
        made = subprocess.run(
            [
                *as_unprivileged_user(),
                str(binaries() / "initdb"),
                *("--pgdata", str(self.data)),
                *("--username", self.user),
                *("--pwfile", str(password_file)),
                *("--auth", "scram-sha-256"),
                *("--encoding", "UTF8"),
                *("--locale", "C.UTF-8"),
                "--no-sync",
                "--no-instructions",
            ],
            env=dict(self.environment()),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )
        if made.returncode:
            raise ServiceFailed(f"initdb failed.\n{made.stdout}{made.stderr}")

    def command(self) -> Sequence[str]:
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": 200,
            "log_min_messages": "fatal",
        }
        return [
            *as_unprivileged_user(),
            str(binaries() / "postgres"),
            *("-D", str(self.data)),
            *(word for name, value in options.items() for word in ("-c", f"{name}={value}")),
        ]

    def is_ready(self) -> bool:
        try:
            with psycopg.connect(self.url, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def kill(self) -> None:
        super().kill()
        # Its lock file names a process that is gone; were the number given to another process,
        # the next start would refuse.
        (self.data / "postmaster.pid").unlink(missing_ok=True)


def unprivileged_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServiceFailed("PostgreSQL refuses to run as root, and there is no user for it.")


def as_unprivileged_user() -> list[str]:
    """The words before a command that must not run as root."""
    if os.getuid() != 0:
        return []
    owner = unprivileged_user()
    return [
        "/usr/bin/setpriv",
        f"--reuid={owner.pw_uid}",
        f"--regid={owner.pw_gid}",
        "--clear-groups",
        "--",
    ]
