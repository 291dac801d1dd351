"""What this machine lacks is told from what a receiver does, and is told to people."""

from __future__ import annotations

import errno
import json
import socket
from io import StringIO
from pathlib import Path
from typing import Any

import certifi
import pytest
from django.core.management import call_command
from django.urls import reverse

from tests.receivers.certificates import Authority
from tests.receivers.hostile import Receiver, answering
from tests.webhooks.conftest import Login
from tests.webhooks.posting import Names, make, post
from webhooks import metrics, shortage
from webhooks.models import Worker
from webhooks.transport import Shortage, TransportError
from webhooks.transport import transport as transport_module

SOCKETS = "sockets: Too many open files"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.EMFILE, "x"), "sockets"),
        (OSError(errno.ENFILE, "x"), "sockets"),
        (OSError(errno.ENOMEM, "x"), "memory"),
        (OSError(errno.ENOBUFS, "x"), "memory"),
        (OSError(errno.ENOSPC, "x"), "disk"),
        (OSError(errno.EDQUOT, "x"), "disk"),
        (MemoryError(), "memory"),
        (RuntimeError("can't start new thread"), "threads"),
        (socket.gaierror(socket.EAI_MEMORY, "x"), "memory"),
        (socket.gaierror(socket.EAI_NONAME, "x"), ""),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), ""),
        (OSError(errno.EADDRNOTAVAIL, "x"), ""),  # may be: a look at the address tells
        (TimeoutError(), ""),
        (RuntimeError("x"), ""),
        (None, ""),
    ],
)
def test_an_error_tells_what_is_short(error: Exception | None, code: str) -> None:
    assert shortage.of(error).partition(":")[0] == code


def test_the_error_behind_an_error_tells_it_too() -> None:
    error = ValueError("what came of it")
    error.__cause__ = OSError(errno.EMFILE, "Too many open files")
    assert shortage.of(error) == SOCKETS


def test_an_error_without_end_is_no_shortage() -> None:
    one, other = ValueError(), ValueError()
    one.__context__, other.__context__ = other, one
    assert shortage.of(one) == ""


def test_what_fails_just_after_a_shortage_may_be_due_to_it() -> None:
    name_unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert shortage.behind(name_unknown) == ""
    shortage.note(SOCKETS)
    assert shortage.behind(name_unknown) == SOCKETS


def refuse(monkeypatch: pytest.MonkeyPatch, kinds: set[int]) -> None:
    """Sockets of these kinds find no address of their own to connect from."""

    class Socket(socket.socket):
        def connect(self, address: Any) -> None:
            if self.type in kinds:
                raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
            super().connect(address)

    monkeypatch.setattr(socket, "socket", Socket)


def test_no_port_left_is_told_from_no_address_of_that_family(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Receiver(answering()) as receiver:
        transport = make(Names())
        with monkeypatch.context() as ports:
            refuse(ports, {socket.SOCK_STREAM})
            with pytest.raises(Shortage) as caught:
                post(transport, receiver.url)
            assert caught.value.detail.startswith("ports: ")
        with monkeypatch.context() as family:
            refuse(family, {socket.SOCK_STREAM, socket.SOCK_DGRAM})
            with pytest.raises(TransportError) as failed:
                post(transport, receiver.url)
            assert not isinstance(failed.value, Shortage)
            assert failed.value.kind == "connect"
            assert failed.value.detail.startswith("unreachable: ")
        assert post(transport, receiver.url).status == 200


def test_certificates_that_cannot_be_read_are_no_receivers_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    names = Names(here=["127.0.0.1"])
    with Receiver(answering(), tls=authority.serving("here.test")) as receiver:
        with monkeypatch.context() as unreadable:
            unreadable.setattr(certifi, "where", lambda: "/nowhere/at/all.pem")
            transport_module._default_context.cache_clear()
            with pytest.raises(Shortage) as caught:
                post(make(names), receiver.url_for("here.test"))
            assert caught.value.detail.startswith("certificates: ")
        # They can be read again: now it is the receiver's that is not trusted.
        shortage.forget()
        with pytest.raises(TransportError) as failed:
            post(make(names), receiver.url_for("here.test"))
        assert failed.value.kind == "tls"


def test_idle_connections_make_room_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = make(Names())
    with Receiver(answering()) as one, Receiver(answering()) as other:
        post(transport, one.url)
        assert len(transport._guard.shelf) == 1
        real = socket.socket.setsockopt

        def none_left(self: socket.socket, *args: Any) -> None:
            if len(transport._guard.shelf):
                raise OSError(errno.EMFILE, "Too many open files")
            real(self, *args)

        monkeypatch.setattr(socket.socket, "setsockopt", none_left)
        assert post(transport, other.url).status == 200


# --- what people are told ---------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.both_databases
def test_a_worker_that_is_short_shows(login: Login) -> None:
    Worker.objects.create(id="here:1", shortage=SOCKETS)
    Worker.objects.create(id="here:2")
    page = login("view_webhook").get(reverse("admin:webhooks_webhook_changelist") + "panel/")
    assert SOCKETS in page.content.decode()
    out = StringIO()
    call_command("webhooks_status", "--json", stdout=out)
    told = {each["id"]: each["shortage"] for each in json.loads(out.getvalue())["workers"]}
    assert told == {"here:1": SOCKETS, "here:2": ""}
    out = StringIO()
    call_command("webhooks_status", stdout=out)
    assert out.getvalue().count(SOCKETS) == 1
    found = {each.name: each.samples for each in metrics.Collector().collect()}
    assert found["webhooks_workers_short"][0].value == 1
