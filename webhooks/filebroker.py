"""A broker made of files that several processes may use at once: kombu's, with its races closed.

kombu's `filesystem://` writes a message where readers look for it, so that a reader may take half
of it, and does the same with its tables of queues; a worker that meets either ends with a
JSONDecodeError. Here whatever can be seen is whole: files are written aside and renamed, taken by
renaming, and tables change under a lock.

kombu's also lists the folder for each message that it takes and for each look at an empty queue.
Here one listing serves for many messages, so that a message costs the same however many wait, and
an idle reader does not list a folder that nobody changes.

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
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

logger = logging.getLogger("webhooks.filebroker")

Table = list[Any]

# Seconds. Two changes within one tick of a file system's clock leave the same time of change: 2 s
# on the coarsest.
_COARSEST_CLOCK = 2.0
# A folder is listed all the same after so long, for file systems that cache its time of change.
_LOOK_ANYWAY_AFTER = 10.0
# After a listing there is none for twenty times as long as it took, and a second at most: what a
# reader of a second queue costs while it drains a long first one.
_REST_PER_LISTING, _LONGEST_REST = 20, 1.0


class _Folder:
    """What waits in a folder, by queue and in order, as of the last listing.

    The names are candidates: another process may have taken what they stand for.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._names: dict[str, deque[str]] = {}  # of the queues that were asked for
        self._changed: int | None = None  # the folder's time of change, and since when it is known
        self._changed_seen = 0.0
        self._listed = 0.0  # when the last listing began
        self._rest_until = 0.0

    def next(self, queue: str) -> str | None:
        """The oldest name that was not yet given; None where none waits."""
        if queue not in self._names:
            self._names[queue] = deque()
            self._list()
        elif not self._names[queue] and self._is_to_be_listed():
            self._list()
        names = self._names[queue]
        return names.popleft() if names else None

    def forget(self, queue: str) -> None:
        self._names.pop(queue, None)

    def _is_to_be_listed(self) -> bool:
        now = time.monotonic()
        changed = os.stat(self._path).st_mtime_ns
        if changed != self._changed:
            self._changed, self._changed_seen = changed, now
        # A listing that began later than this has all that came with this time of change.
        complete = self._listed >= self._changed_seen + _COARSEST_CLOCK
        if complete and now < self._listed + _LOOK_ANYWAY_AFTER:
            return False
        return now >= self._rest_until

    def _list(self) -> None:
        self._listed = time.monotonic()
        found: dict[str, list[str]] = {f"{queue}.msg": [] for queue in self._names}
        for name in os.listdir(self._path):
            if (names := found.get(name.partition(".")[2])) is not None:
                names.append(name)
        for queue in self._names:
            self._names[queue] = deque(sorted(found[f"{queue}.msg"]))
        now = time.monotonic()
        self._rest_until = now + min(_REST_PER_LISTING * (now - self._listed), _LONGEST_REST)


class Channel(filesystem.Channel):
    # --- messages -----------------------------------------------------------------------------

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        # Readers take the names in their order.
        name = f"{time.time_ns():020}_{uuid.uuid4().hex}.{queue}.msg"
        _write(Path(self.data_folder_out, name), dumps(payload))

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """:raises Empty: there is no message; none is waited for."""
        folder = Path(self.data_folder_in)
        while (name := self._waiting.next(queue)) is not None:
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

    @property
    def _waiting(self) -> _Folder:
        transport: Any = self.connection
        folder: _Folder = transport.folder(self.data_folder_in)
        return folder

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
        self._waiting.forget(queue)
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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._folders: dict[str, _Folder] = {}

    def folder(self, path: str) -> _Folder:
        """One for all channels of a connection: they would list the same folder one by one."""
        return self._folders.setdefault(path, _Folder(path))


def _write(path: Path, text: str) -> None:
    """The whole file at once, or none of it."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.rename(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
