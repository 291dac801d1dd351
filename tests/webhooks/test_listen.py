"""`webhooks_listen` as its users have it: a process, its output read through a pipe."""

from __future__ import annotations

import http.client
import json
import re
import signal
import time
import tracemalloc
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
import requests
from django.core.management import CommandError, call_command

from tests.processes import Process
from tests.services.base import PATIENCE
from webhooks.management.terminal import body_lines, printable
from webhooks.receiver import Receiver
from webhooks.signing import Key, generate_secret, hex_signature, standard_signature

SECRET = generate_secret()
BODY = '{"event":"cliente.criado","data":{"nome":"João"}}'.encode()


def signed(body: bytes = BODY, **changed: str) -> dict[str, str]:
    key, stamp = Key.parse("hmac-sha256", SECRET), int(time.time())
    return {
        "Content-Type": "application/json",
        "X-Webhook-Event": "cliente.criado",
        "X-Webhook-Id": "evt_1",
        "X-Webhook-Attempt": "2",
        "X-Webhook-Signature": hex_signature(key, body),
        "webhook-id": "evt_1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": standard_signature([key], "evt_1", stamp, body),
    } | changed


@pytest.fixture
def listen(start: Callable[..., Process]) -> Callable[..., tuple[Process, str]]:
    """`listen("--secret", …)`: the process, listening, and its address."""

    def run(*options: str, **environment: str) -> tuple[Process, str]:
        # Without PYTHONUNBUFFERED: its lines must come through the pipe by its own doing.
        environment = {"PYTHONUNBUFFERED": "", **environment}
        process = start("manage.py", "webhooks_listen", "--port", "0", *options, **environment)
        found = process.wait_for(r"http://\S+?/webhook")
        return process, found[0]

    return run


def post(url: str, headers: dict[str, str], body: bytes = BODY) -> requests.Response:
    return requests.post(url, data=body, headers=headers, timeout=PATIENCE)


def test_it_shows_what_arrives_and_stops_when_told(
    listen: Callable[..., tuple[Process, str]],
) -> None:
    process, url = listen(WEBHOOKS_LISTEN_SECRET=f"{generate_secret()}, {SECRET}")
    assert post(url, signed()).status_code == 200
    process.wait_for("→ 200")
    for expected in (
        r"\d\d:\d\d:\d\d  cliente\.criado  evt_1  .*2  /webhook",
        "✓ X-Webhook-Signature: ",
        "✓ webhook-signature: ",
        '"nome": "João"',
    ):
        assert re.search(expected, process.output), expected
    assert "\x1b" not in process.output  # no colour in a pipe

    seen = len(process.lines)
    assert post(url, signed(**{"X-Webhook-Signature": "sha256=0"})).status_code == 401
    process.wait_for("→ 401", after=seen)
    assert "✗ X-Webhook-Signature" in process.output
    assert process.stop() == 0


def test_an_interrupt_stops_it_quietly(listen: Callable[..., tuple[Process, str]]) -> None:
    process, url = listen()
    kept = http.client.HTTPConnection(url.split("/")[2], timeout=PATIENCE)
    kept.request("POST", "/", b"{}")
    assert kept.getresponse().read()
    process.terminate(signal.SIGINT)
    assert process.wait() == 0  # though a connection is kept alive
    assert "Traceback" not in process.output
    kept.close()


def test_once_counts_requests_and_tells_failures(
    listen: Callable[..., tuple[Process, str]],
) -> None:
    process, url = listen("--once", "2", "--secret", SECRET)
    assert post(url, signed()).status_code == 200
    assert post(url, signed()).status_code == 200
    assert process.wait() == 0

    process, url = listen("--once", "--secret", SECRET)
    assert post(url, {}).status_code == 401
    assert process.wait() == 1

    process, _url = listen("--once")
    assert process.stop() == 1  # stopped before anything came


def test_failures_can_be_played(listen: Callable[..., tuple[Process, str]]) -> None:
    process, url = listen("--status", "503", "--delay", "0.3")
    start = time.monotonic()
    assert post(url, signed()).status_code == 503
    assert time.monotonic() - start >= 0.3
    process.wait_for("→ 503")


@pytest.fixture
def out() -> StringIO:
    return StringIO()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "70000"], "70000"),
        (["--status", "99"], "99"),
        (["--status", "abc"], "abc"),
        (["--delay", "-1"], "-1"),
        (["--delay", "nan"], "nan"),
        (["--once", "0"], "0"),
        (["--secret", "short"], "16"),
        (["--host", "192.0.2.1", "--port", "0"], r"192\.0\.2\.1"),
    ],
)
def test_wrong_options_are_refused(options: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("webhooks_listen", *options)


def test_a_port_in_use_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as receiver, pytest.raises(CommandError, match=str(receiver.port)) as caught:
        call_command("webhooks_listen", "--port", str(receiver.port))
    assert caught.value.returncode == 2


# --- What a terminal is shown -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cliente.criado João 🙂", "cliente.criado João 🙂"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("a\r\nb", "a\\r\\nb"),
        ("\u202eabc", "\\u202eabc"),
        ("\ud800", "\\ud800"),
    ],
)
def test_nothing_that_arrives_can_steer_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b'{"a":[1]}', ["{", '  "a": [', "    1", "  ]", "}"]),
        (b"not JSON\n\x1b[0m", ["not JSON", "\\x1b[0m"]),
        (b"\xff", ["\ufffd"]),
        (b"", [""]),
        (b'"\\ud800"', ['"\\ud800"']),
        (b"[" * 100_000, None),
        (b"\n" * 100_000, None),
        (json.dumps({"a": "b" * 100_000}).encode(), None),
    ],
)
def test_bodies_are_readable_and_bounded(body: bytes, lines: list[str] | None) -> None:
    shown = list(body_lines(body))
    if lines is not None:
        assert shown == lines
    assert sum(map(len, shown)) < 21_000
    assert len(shown) < 600


def test_brackets_within_brackets_take_no_memory() -> None:
    body = b"[" * 500 + b"1," * 30_000 + b"1" + b"]" * 500  # indented, 30 MB
    tracemalloc.start()
    try:
        assert len(list(body_lines(body))) == 2  # as it came, cut
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_help_tells_the_variable_and_the_exit_codes(capsys: pytest.CaptureFixture[Any]) -> None:
    with pytest.raises(SystemExit):
        call_command("webhooks_listen", "--help")
    output = capsys.readouterr().out
    for word in ("WEBHOOKS_LISTEN_SECRET", "--once", "--status", "--delay", "9000"):
        assert word in output
