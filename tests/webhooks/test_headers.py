"""Headers that users add: what is sent, what is refused, what is masked."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.receivers.hostile import Receiver, answering
from tests.services.base import PATIENCE
from webhooks import headers as module
from webhooks.addresses import Policy
from webhooks.headers import MASK, HeadersRefused, check_headers, mask_headers
from webhooks.transport import Transport, TransportError


def refusal(headers: object) -> str:
    with pytest.raises(HeadersRefused) as caught:
        check_headers(headers)  # type: ignore[arg-type]
    assert "%(" not in str(caught.value)
    return caught.value.code


def test_ordinary_ones_are_sent_as_entered() -> None:
    headers = {
        "Authorization": "Bearer abc.def",
        "X-Api-Key": " 123 ",
        "Cookie": "a=b",
        "X-Empty": "",
    }
    assert check_headers(headers) == {**headers, "X-Api-Key": "123"}
    assert check_headers({}) == {}


@pytest.mark.parametrize(
    "name",
    ["", " ", "X A", "X:A", "X\r\nA", "X\nA", "X\0", "X-Ação", "X-A\t", "(X)", "X" * 101, None, 7],
)
def test_a_name_must_be_a_token(name: object) -> None:
    assert refusal({name: "x"}) == "name"


@pytest.mark.parametrize(
    "value",
    [
        "a\r\nb",
        "a\nb",
        "a\rb",
        "a\0b",
        "a\r\n b",
        "\x7f",
        "a\x1b",
        "ação",
        "\u2028",
        "x" * 2001,
        None,
        7,
    ],
)
def test_a_value_must_be_one_line_that_can_be_sent(value: object) -> None:
    assert refusal({"X-A": value}) == "value"


def test_a_secret_value_is_not_repeated() -> None:
    with pytest.raises(HeadersRefused) as caught:
        check_headers({"Authorization": "hunter2\n"})
    assert "hunter2" not in f"{caught.value} {caught.value!r}"
    assert caught.value.name == "Authorization"


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "Content-Length",
        "Content-Type",
        "Content-Encoding",
        "Transfer-Encoding",
        "Accept-Encoding",
        "Connection",
        "Keep-Alive",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Proxy-Anything",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "Via",
        "User-Agent",
        "X-Webhook-Signature",
        "X-Webhook-Anything",
        "webhook-id",
        "webhook-signature",
        "X-Twenty-Webhook-Nonce",
        "x-wh-signature",
        "X-GHL-Signature",
        "X-Forwarded-For",
        "Forwarded",
    ],
)
def test_ours_and_what_frames_a_request_cannot_be_overridden(name: str) -> None:
    for spelling in (name, name.upper(), name.lower(), name.swapcase(), name.replace("-", "_")):
        assert refusal({spelling: "x"}) == "reserved"


def test_one_name_counts_once_whatever_its_case() -> None:
    assert refusal({"X-A": "1", "x-a": "2"}) == "repeated"


def test_there_is_room_for_so_many_and_no_more() -> None:
    assert len(check_headers({f"X-{n}": "v" for n in range(module.MAX_HEADERS)})) == 20
    assert refusal({f"X-{n}": "v" for n in range(module.MAX_HEADERS + 1)}) == "number"
    assert refusal({f"X-{n}": "v" * 2000 for n in range(5)}) == "size"


TEXT = st.one_of(st.text(max_size=30), st.text(string.printable, max_size=30))


@given(st.dictionaries(TEXT, TEXT, max_size=5))
def test_whatever_is_accepted_adds_exactly_its_own_lines(headers: dict[str, str]) -> None:
    try:
        checked = check_headers(headers)
    except HeadersRefused as refused:
        assert str(refused)
        return
    lines = "".join(f"{name}: {value}\r\n" for name, value in checked.items())
    assert lines.isascii()
    assert lines.splitlines() == [f"{name}: {value}" for name, value in checked.items()]
    assert all(name == name.strip() and ":" not in name for name in checked)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "a\r\nX-B: b"},
        {"X-A\r\nX-B": "a"},
        {"X-A": "ação"},
        {"Content-Length": "0"},
        {"host": "example.com"},
        {"Transfer-Encoding": "chunked"},
    ],
)
def test_the_transport_checks_for_itself(headers: dict[str, str]) -> None:
    policy = Policy(allowed_networks=["127.0.0.0/8"], require_https=False)
    transport = Transport(policy, max_response_bytes=100, user_agent="crm/1")
    with Receiver(answering()) as receiver:
        with pytest.raises(TransportError) as caught:
            transport.post(receiver.url, b"{}", headers, timeout=PATIENCE)
        assert (caught.value.kind, caught.value.detail.partition(":")[0]) == ("format", "header")
    assert receiver.connections == 0
    transport.close()


def test_secrets_are_masked_in_logs() -> None:
    shown = {
        "Content-Type": "application/json",
        "X-Webhook-Signature": "sha256=ab",
        "webhook-id": "1",
        "X-Author": "Maria",
    }
    names = (
        "Authorization authorization Cookie Set-Cookie X-Api-Key X-Auth-Token X-Client-Secret "
        "X-Password X-Senha Token X-Session-Id auth_key X-Mine"
    )
    secret = dict.fromkeys(names.split(), "hunter2")
    masked = mask_headers({**shown, **secret}, secret_names=["x-mine"])
    assert masked == {**shown, **dict.fromkeys(secret, MASK)}
