"""A forward proxy for tests: tunnels CONNECT, forwards what is asked for in absolute form."""

from __future__ import annotations

import select
import socket
from urllib.parse import urlsplit

from tests.receivers.hostile import Behaviour, Peer


def proxying(where: dict[str, int]) -> Behaviour:
    """Behaviour for a `Receiver`: what it is asked is in the receiver's `requests`.

    :param where: `host:port` as asked for → the local port that it leads to; 403 for all others.
    """

    def behave(peer: Peer) -> None:
        request = peer.read()
        if request is None:
            return
        method, target, _ = request.line.split(" ")
        asked = target if method == "CONNECT" else urlsplit(target).netloc
        if asked not in where:
            peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", where[asked])) as onward:
            if method == "CONNECT":
                peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                lines = [f"{method} {urlsplit(target).path} HTTP/1.1"]
                lines += [f"{name}: {value}" for name, value in request.headers]
                onward.sendall("\r\n".join([*lines, "", ""]).encode() + request.body)
            _pass_on(peer, onward)

    return behave


def _pass_on(peer: Peer, onward: socket.socket) -> None:
    other = {peer.socket: onward, onward: peer.socket}
    while not peer.stopping.is_set():
        for ready in select.select(list(other), [], [], 0.2)[0]:
            data = ready.recv(65536)
            if not data:
                return
            other[ready].sendall(data)
