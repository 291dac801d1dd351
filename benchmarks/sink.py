"""A receiver that costs next to nothing: answers 200 at once, and remembers when what arrived.

`python -m benchmarks.sink` prints its port. `GET /count` tells how many requests and connections
there were, `GET /arrivals` when each event came first, `GET /reset` forgets.
"""

from __future__ import annotations

import asyncio
import json
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Seen:
    def __init__(self) -> None:
        self.requests = self.connections = 0
        self.arrivals: dict[str, float] = {}


seen = Seen()


class Receiver(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._rest = b""
        self._counted = False

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[:end].lower()
            body = int(_header(head, b"content-length") or 0)
            if len(data) < end + 4 + body:
                break
            data = data[end + 4 + body :]
            self._answer(head)
        self._rest = data

    def _answer(self, head: bytes) -> None:
        if head.startswith(b"get /"):
            self._transport.write(_told(head.split(b" ", 2)[1].decode()))
            return
        seen.requests += 1
        if not self._counted:
            self._counted = True
            seen.connections += 1
        if id := _header(head, b"webhook-id"):
            seen.arrivals.setdefault(id.decode(), time.time())
        self._transport.write(ANSWER)


def _header(head: bytes, name: bytes) -> bytes:
    return head.partition(b"\r\n" + name + b":")[2].partition(b"\r\n")[0].strip()


def _told(path: str) -> bytes:
    global seen  # noqa: PLW0603
    told: object = {"requests": seen.requests, "connections": seen.connections}
    if path == "/arrivals":
        told = seen.arrivals
    elif path == "/reset":
        seen = Seen()
    body = json.dumps(told).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Receiver, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
