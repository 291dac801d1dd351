"""A broker made of files that several processes may use at once: kombu's, with its races closed.

kombu's `filesystem://` writes a message where readers look for it, so that a reader may take half
of it, and does the same with its tables of queues; a worker that meets either ends with a
JSONDecodeError. Here whatever can be seen is whole: files are written aside and renamed, taken by
renaming, and tables change under a lock.

Choose it with `CELERY_BROKER_URL = "filesystem://"` and
`CELERY_BROKER_TRANSPORT = "webhooks.filebroker:Transport"`; the transport options are kombu's
(`data_folder_in`, `data_folder_out`, `control_folder`). POSIX only.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

logger = logging.getLogger("webhooks.filebroker")

Table = list[Any]


class Channel(filesystem.Channel):
    # --- messages -----------------------------------------------------------------------------

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        # Readers take the names in their order.
        name = f"{time.time_ns():020}_{uuid.uuid4().hex}.{queue}.msg"
        _write(Path(self.data_folder_out, name), dumps(payload))

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """:raises Empty: there is no message; none is waited for."""
        folder = Path(self.data_folder_in)
        for name in sorted(os.listdir(folder)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = folder / f".{name}.taken"
            try:
                (folder / name).rename(taken)
            except FileNotFoundError:  # another reader was faster
                continue
            content = taken.read_bytes()
            taken.unlink()
            try:
                return loads(content)
            except ValueError:  # not one of ours, or a disk that was full
                logger.warning("A message that is no JSON was dropped: %s", name)
        raise Empty

    # --- which queues an exchange leads to ----------------------------------------------------

    def get_table(self, exchange: str) -> Table:
        try:
            rows = loads(self._table_file(exchange).read_bytes())
            return [filesystem.exchange_queue_t(*row) for row in rows]
        except FileNotFoundError:
            return []
        except ValueError:  # written by something else; the next worker that starts mends it
            return []

    def _queue_bind(
        self, exchange: str, routing_key: str | None, pattern: str | None, queue: str | None
    ) -> None:
        row = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        self._change_table(exchange, lambda table: table if row in table else [row, *table])

    def _delete(
        self,
        queue: str,
        exchange: str,
        routing_key: str | None,
        pattern: str | None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self._purge(queue)
        row = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        self._change_table(exchange, lambda table: [other for other in table if other != row])

    def _table_file(self, exchange: str) -> Path:
        """:raises ChannelError: the name would lead out of the folder."""
        file = self.control_folder / f"{exchange}.exchange"
        if file.parent != self.control_folder or "\0" in exchange:
            raise ChannelError(f"{exchange!r} cannot be the name of an exchange.")
        return file

    def _change_table(self, exchange: str, change: Callable[[Table], Table]) -> None:
        with self._locked():
            before = self.get_table(exchange)
            after = change(before)
            if after != before:
                _write(self._table_file(exchange), dumps(after))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time; the lock goes with its holder, however that ends."""
        self.control_folder.mkdir(parents=True, exist_ok=True)
        with (self.control_folder / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class Transport(filesystem.Transport):
    Channel = Channel


def _write(path: Path, text: str) -> None:
    """The whole file at once, or none of it."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.rename(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
