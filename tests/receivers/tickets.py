"""A receiver that keeps OpenSSL reading: session tickets without end, a thousand to a record.

OpenSSL makes the handshake; the records after it are made here, from the secret that it logs, so
that they cost their sender far less than their reader (RFC 8446: 4.6.1 tickets, 5.2 records,
7.3 keys).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tests.receivers.hostile import Behaviour, Peer

# type 4, length 14: lifetime, age_add, nonce "", ticket "t", no extensions
TICKET = b"\x04\x00\x00\x0e" + b"\x00\x00\x0e\x10" + bytes(4) + b"\x00" + b"\x00\x01t" + b"\x00\x00"
RECORD = TICKET * (16_384 // len(TICKET)) + b"\x16"  # the last byte: a handshake record


def _expand(secret: bytes, label: bytes, length: int) -> bytes:
    label = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(label)]) + label + b"\x00"
    return HKDFExpand(hashes.SHA384(), length, info).derive(secret)


def endless_tickets(context: ssl.SSLContext, log: Path) -> Behaviour:
    """Behaviour for a `Receiver` without `tls`.

    :param context: the server's; changed: TLS 1.3, no tickets of its own, secrets logged.
    :param log: a file for the secrets.
    """
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.keylog_filename = str(log)

    def behave(peer: Peer) -> None:
        _shake_hands(peer.socket, context)
        secret = next(
            bytes.fromhex(line.split()[2])
            for line in log.read_text().splitlines()
            if line.startswith("SERVER_TRAFFIC_SECRET_0")
        )
        cipher = AESGCM(_expand(secret, b"key", 32))
        iv = int.from_bytes(_expand(secret, b"iv", 12), "big")
        head = b"\x17\x03\x03" + (len(RECORD) + 16).to_bytes(2, "big")
        sequence = 0
        while not peer.stopping.is_set():
            nonce = (iv ^ sequence).to_bytes(12, "big")
            peer.send(head + cipher.encrypt(nonce, RECORD, head))
            sequence += 1

    return behave


def _shake_hands(connection: socket.socket, context: ssl.SSLContext) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_side=True)
    done = False
    while not done:
        with contextlib.suppress(ssl.SSLWantReadError):
            session.do_handshake()
            done = True
        connection.sendall(outgoing.read())
        if not done:
            incoming.write(connection.recv(65536))
