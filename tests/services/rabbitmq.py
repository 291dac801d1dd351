"""A RabbitMQ node of the tests' own, with its own name, ports, folders and port mapper (epmd), so
that it meets no other node of the machine."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping, Sequence

import amqp

from .base import PATIENCE, Service, accepts_connections, free_port, wait_until
from .warden import warden


class RabbitMQ(Service):
    name = "rabbitmq"
    start_seconds = 90

    def __init__(self) -> None:
        super().__init__()
        self._distribution_port = free_port()
        self._mapper_port = free_port()
        self._mapper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def prepare(self) -> None:
        (self.folder / "enabled_plugins").write_text("[].\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = 127.0.0.1:{self.port}\nlog.console = true\nlog.file = false\n"
        )

    def environment(self) -> Mapping[str, str]:
        folder = str(self.folder)
        return {
            **super().environment(),
            "RABBITMQ_NODENAME": f"crm{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/no-rabbitmq-env.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none"
            ),
            # The script then becomes the server, rather than its parent.
            "RUNNING_UNDER_SYSTEMD": "true",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def command(self) -> Sequence[str]:
        return ["/usr/lib/rabbitmq/bin/rabbitmq-server"]

    def launch(self) -> None:
        # Were it not there, the node would start one that outlives it.
        if self._mapper is None or self._mapper.poll() is not None:
            self._mapper = subprocess.Popen(
                ["/usr/bin/epmd", "-port", str(self._mapper_port), "-address", "127.0.0.1"],
                env=dict(super().environment()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            warden.watch_group(self._mapper.pid)
            wait_until(lambda: accepts_connections(self._mapper_port), what="epmd to answer")
        super().launch()

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError, amqp.AMQPError):
            connection = amqp.Connection(f"127.0.0.1:{self.port}", connect_timeout=2)
            connection.connect()
            connection.close()
            return True
        return False

    def __exit__(self, *exc_info: object) -> None:
        super().__exit__(*exc_info)
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait(PATIENCE)
            warden.forget_group(self._mapper.pid)
