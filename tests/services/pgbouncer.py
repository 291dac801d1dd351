"""A PgBouncer of the tests' own before their PostgreSQL, in transaction mode: what is a session for
its clients is another server connection in each transaction."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from .base import PATIENCE, Service
from .postgres import Postgres, as_unprivileged_user


class PgBouncer(Service):
    name = "pgbouncer"
    server_connections = 2
    """Of each database: fewer than those who ask, so that they have to share."""

    def __init__(self, postgres: Postgres) -> None:
        super().__init__()
        self.postgres = postgres

    @property
    def url(self) -> str:
        return self.database_url("pgbouncer")  # its own console

    def database_url(self, database: str) -> str:
        return self.postgres.database_url(database).replace(
            f":{self.postgres.port}/", f":{self.port}/"
        )

    def prepare(self) -> None:
        users = self.folder / "users.txt"
        users.write_text(f'"{self.postgres.user}" "{self.postgres.password}"\n')
        (self.folder / "pgbouncer.ini").write_text(
            "[databases]\n"
            f"* = host=127.0.0.1 port={self.postgres.port}\n"
            "[pgbouncer]\n"
            "listen_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\n"
            "unix_socket_dir =\n"
            "auth_type = scram-sha-256\n"
            f"auth_file = {users}\n"
            f"admin_users = {self.postgres.user}\n"
            "pool_mode = transaction\n"
            f"default_pool_size = {self.server_connections}\n"
            # What is to be dropped must not be held open by whoever left.
            "server_idle_timeout = 1\n"
        )
        self.folder.chmod(0o755)
        for path in self.folder.iterdir():
            path.chmod(0o644)

    def command(self) -> Sequence[str]:
        return [*as_unprivileged_user(), "/usr/sbin/pgbouncer", str(self.folder / "pgbouncer.ini")]

    def is_ready(self) -> bool:
        try:
            self.ask("SHOW VERSION", seconds=2)
        except psycopg.OperationalError:
            return False
        return True

    def ask(self, question: str, *, seconds: float = PATIENCE) -> list[dict[str, object]]:
        """What its console answers: `SHOW POOLS`; `seconds` for the connection at most."""
        # It speaks the simple protocol only, and knows no transactions.
        with psycopg.connect(
            self.url,
            connect_timeout=int(seconds),
            autocommit=True,
            cursor_factory=psycopg.ClientCursor,
        ) as console:
            answer = console.execute(question.encode())
            names = [column.name for column in answer.description or ()]
            return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
