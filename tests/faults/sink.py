"""A receiver that takes whatever it is sent as fast as it can, and remembers only ids."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from typing import Self

from tests.services.base import PATIENCE

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb"\r\nwebhook-id: *([^\r]+)", re.IGNORECASE)


class _Connection(asyncio.Protocol):
    def __init__(self, ids: Counter[bytes], open: set[asyncio.Transport]) -> None:
        self._ids = ids
        self._open = open
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(transport)

    def connection_lost(self, exception: Exception | None) -> None:
        self._open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length, id = _LENGTH.search(head), _ID.search(head)
            assert length is not None
            assert id is not None
            whole = end + 4 + int(length[1])
            if len(self._buffer) < whole:
                return
            self._ids[id[1]] += 1
            self._buffer = self._buffer[whole:]
            self._transport.write(_ANSWER)


class Sink:
    """Listens on a free port of 127.0.0.1, in a thread of its own, from `with` to its end."""

    def __init__(self) -> None:
        self.ids: Counter[bytes] = Counter()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        connections: set[asyncio.Transport] = set()
        server = await self._loop.create_server(
            lambda: _Connection(self.ids, connections), "127.0.0.1", 0, backlog=256
        )
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        for transport in connections:
            transport.abort()
        await asyncio.sleep(0)  # in which they are closed

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(PATIENCE)
