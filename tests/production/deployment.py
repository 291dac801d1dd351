"""deploy/ on this machine: its units' own commands, its environment file, its nginx site.

What differs from a real machine is in `Deployment.places` and `Deployment.site`: where things are,
and on which ports. systemd itself is not there. What it would do is done as the units say: the
environment, what is waited for at the start, who gets which signal at the end and how long it has.
"""

from __future__ import annotations

import contextlib
import secrets
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg
from cryptography.fernet import Fernet

from tests.processes import ROOT, Process
from tests.production import environments, units
from tests.receivers.certificates import Authority
from tests.services import Nginx, Postgres, free_port
from tests.services.base import PATIENCE, workspace

HOST = "crm.example.com"
READY = {"crm-worker": r"celery@\S+ ready", "crm-beat": r"beat: Starting"}


class Deployment:
    """:param python: the virtual environment that stands for /opt/crm/.venv.
    :param values: of the environment file, where they are not the example's."""

    def __init__(self, python: Path, postgres: Postgres, values: Mapping[str, str]) -> None:
        self.folder = workspace("deployment")
        self.released = ""
        """What the release wrote."""
        self.port = free_port()
        database = f"production_{secrets.token_hex(4)}"
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}".encode())
        self.places = {  # the longer first
            "/opt/crm/.venv": str(python),
            "/opt/crm": str(self.folder / "opt"),
            "/etc/crm/crm.env": str(self.folder / "crm.env"),
            "/var/lib/crm": str(self.folder / "lib"),
            "127.0.0.1:8000": f"127.0.0.1:{self.port}",
        }
        names = environments.tracked(".")
        kept = [name for name in names if name.split("/")[0] not in {"tests", "benchmarks"}]
        environments.copy(kept, self.folder / "opt")
        (self.folder / "lib").mkdir()
        self.folder.chmod(0o755)  # nginx is somebody else
        self.example = (ROOT / "deploy/crm.env.example").read_text(encoding="utf-8")
        self.values = {
            "SECRET_KEY": secrets.token_urlsafe(50),
            "WEBHOOKS_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "DATABASE_URL": postgres.database_url(database),
            **values,
        }
        self.write_environment()

    def moved(self, text: str) -> str:
        """A text of deploy/ for this machine."""
        for place, here in self.places.items():
            text = text.replace(place, here)
        return text

    def write_environment(self, **changes: str) -> None:
        """The environment file: the example's lines, with the values of this deployment."""
        left = {**self.values, **changes}
        lines = []
        for line in self.moved(self.example).splitlines():
            name = line.partition("=")[0]
            lines.append(f"{name}={left.pop(name)}" if name in left else line)
        lines += [f"{name}={value}" for name, value in left.items()]
        (self.folder / "crm.env").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def environment(self, unit: units.Unit) -> dict[str, str]:
        """What a service of systemd gets, and nothing of this process's."""
        state = self.moved(f"/var/lib/{unit.one('StateDirectory')}")
        file = Path(self.moved(unit.one("EnvironmentFile")))
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
            "LANG": "C.UTF-8",
            "HOME": "/nonexistent",
            "USER": unit.one("User"),
            "STATE_DIRECTORY": state,
            **{name: self.moved(value) for name, value in unit.environment.items()},
            **units.environment_file(file.read_text(encoding="utf-8")),
        }

    def release(self) -> str:
        """`systemctl start crm-release`. :returns: what its commands wrote."""
        unit = units.read("crm-release")
        return "\n".join(self._run(command, unit) for command in unit.commands)

    def manage(self, *words: str, **environment: str) -> str:
        """A command by hand, as deploy/README.md has it."""
        unit = units.read("crm-release")
        python = self.moved("/opt/crm/.venv/bin/python")
        return self._run([python, "manage.py", *words], unit, **environment)

    def _run(self, command: list[str], unit: units.Unit, **environment: str) -> str:
        process = Process(
            [self.moved(word) for word in command],
            {**self.environment(unit), **environment},
            Path(self.moved(unit.one("WorkingDirectory"))),
        )
        try:
            assert process.wait(2 * PATIENCE) == 0, process.output
        finally:
            process.close()
        return process.output

    def site(self, upstream: str = "") -> str:
        """The nginx site, for `Nginx`. :param upstream: instead of gunicorn's address."""
        text = (ROOT / "deploy/nginx/crm.conf").read_text(encoding="utf-8")
        changes = {
            "listen 80;": "listen 127.0.0.1:{http_port};",
            "listen 443 ": "listen 127.0.0.1:{port} ",
            # The machine may have no IPv6.
            "listen [::]:80;": "listen 127.0.0.2:{http_port};",
            "listen [::]:443 ": "listen 127.0.0.2:{port} ",
            f"/etc/letsencrypt/live/{HOST}": "{folder}",
        }
        if upstream:
            changes["127.0.0.1:8000"] = upstream
        for there, here in changes.items():
            assert there in text, there
            text = text.replace(there, here)
        return self.moved(text)


class Service:
    """A long-running unit, started; `stop()` is `systemctl stop`."""

    def __init__(self, deployment: Deployment, name: str) -> None:
        self.unit = units.read(name)
        [command] = self.unit.commands
        folder = Path(deployment.moved(self.unit.one("WorkingDirectory")))
        environment = deployment.environment(self.unit)
        self._notified: socket.socket | None = None
        if self.unit.one("Type") == "notify":
            address = str(deployment.folder / f"notify-{secrets.token_hex(4)}")
            self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._notified.bind(address)
            environment["NOTIFY_SOCKET"] = address
        words = [deployment.moved(word) for word in command]
        self.process = Process(words, environment, folder)

    def wait_until_ready(self) -> None:
        if self._notified is None:
            self.process.wait_for(READY[self.unit.name])
        else:
            _await_ready(self._notified, self.process)

    def close(self) -> None:
        self.process.close()
        if self._notified is not None:
            self._notified.close()

    def ask_to_stop(self) -> None:
        assert self.unit.one("KillMode") == "mixed"  # the main process alone gets it
        self.process.terminate(signal.Signals[self.unit.one("KillSignal")])

    def wait(self) -> int:
        """:returns: its status. :raises AssertionError: systemd would have killed it by now."""
        return self.process.wait(float(self.unit.one("TimeoutStopSec")))

    def stop(self) -> int:
        self.ask_to_stop()
        return self.wait()


def _await_ready(notified: socket.socket, process: Process) -> None:
    notified.settimeout(1)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.returncode is None:
        with contextlib.suppress(TimeoutError):
            if b"READY=1" in notified.recv(4096).split(b"\n"):
                return
    raise AssertionError(f"{process.command} did not say that it is ready:\n{process.output}")


def nginx_for(site: str) -> tuple[Nginx, Path]:
    """An nginx with a certificate of its own. :returns: it, not started, and whom to trust."""
    server = Nginx(site)
    authority = Authority(server.folder)
    authority.serving(HOST)
    [pem] = server.folder.glob("*.pem")
    # Key and certificate are in one file, as `ssl` likes them.
    server.give("privkey.pem", pem.read_bytes())
    server.give("fullchain.pem", pem.read_bytes())
    return server, server.give("authority.crt", authority.pem)
