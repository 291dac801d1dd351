"""A secret in a text: masked in whatever form it stands there, wherever the text is cut."""

from __future__ import annotations

import base64
import html
import json
import socket
import threading
import zlib
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.webhooks.test_delivery import Canned, a_target, attempt, came
from webhooks.egress import transport as make_transport
from webhooks.logs import cause
from webhooks.secrecy import BEGINNING, LEAST, Secrets
from webhooks.testing import Answer, Receiver
from webhooks.transport import Answer as Came
from webhooks.transport import TransportError

TOKEN = 'tok/en+"com"&<tudo>\\de novo=1234567890'
ENCODED = {
    "as it is": lambda text: text,
    "upper case": str.upper,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON of PHP": lambda text: json.dumps(text)[1:-1].replace("/", r"\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "HTML": html.escape,
    "HTML in numbers": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "JSON of HTML": lambda text: json.dumps(html.escape(text)),
    "a URL": lambda text: quote(text, safe=""),
    "a URL in lower case": lambda text: quote(text, safe="").lower(),
    "a form": quote_plus,
    "a URL in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "hexadecimal": lambda text: text.encode().hex(),
    "repr": ascii,
}
secrets = st.text(
    st.characters(max_codepoint=0xFFFF, categories=["L", "N", "P", "S"]), min_size=LEAST
)
plain = st.text(st.sampled_from("abc %&\\+=\"'\n<ção�"), max_size=40)


def longest_run(secret: str, text: str) -> int:
    """The length of the longest beginning of the secret that is in the text."""
    length = 0
    while length < len(secret) and secret[: length + 1] in text:
        length += 1
    return length


@pytest.mark.parametrize("form", ENCODED)
def test_a_secret_is_masked_in_every_form(form: str) -> None:
    written = ENCODED[form](TOKEN)
    hidden = Secrets([TOKEN]).hide(f"you sent «{written}», I think")
    assert hidden.startswith("you sent «")
    assert hidden.endswith("», I think")
    assert "•" in hidden
    assert "123456" not in hidden.replace("%", "")
    assert len(hidden) < len(f"you sent «», I think {TOKEN}")


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_is_masked_in_base64_whatever_stands_before_it(before: str, encode: Any) -> None:
    secret = "whatever-?>secret>?-1234567890"
    hidden = Secrets([secret]).hide(encode(f"{before}{secret}, and more".encode()).decode())
    assert "•" in hidden
    for start in range(4):  # wherever a reader begins
        rest = hidden[start:].replace("•", "A").replace("+", "-").replace("/", "_").rstrip("=")
        raw = base64.urlsafe_b64decode(rest[: len(rest) // 4 * 4])
        assert b"secret" not in raw
        assert b"12345" not in raw


@given(secrets, plain, plain, st.integers(0, 100), st.sampled_from(sorted(ENCODED)))
@example("a" * 30, "aaa", "aaa", 12, "as it is")
@example("%2525%25aa", "", "", 8, "a URL")
@example("éééééééé", "", "", 11, "a URL")
def test_nothing_of_a_secret_stays_wherever_a_text_is_cut(
    secret: str, before: str, after: str, kept: int, form: str
) -> None:
    if form == "upper case" and not secret.isascii():
        return  # of other letters each is its own
    written = ENCODED[form](secret)
    text = f"{before}{written}{after}"
    limit = len(before) + kept
    first = written[: _enough(written, secret)]
    hidden = Secrets([secret])
    cut_later = hidden.hide(text, most=limit)
    cut_before = hidden.hide(text[:limit], cut=True)
    for shown in (cut_later, cut_before):
        if first not in before + after and first not in "•" * 8:
            assert first not in shown, (text, shown)


def _enough(written: str, secret: str) -> int:
    """How many characters of what is written are more of a secret than may be seen."""
    return -(-len(written) * (BEGINNING + 1) // len(secret)) if len(written) > len(secret) else 5


@given(secrets, st.integers(0, 400))
def test_a_cut_leaves_no_more_than_a_few_characters(secret: str, position: int) -> None:
    text = "." * position + secret + "." * 50
    for shown in (
        Secrets([secret]).hide(text[:200], cut=True),
        Secrets([secret]).hide(text, most=200),
    ):
        if set(secret) != {"."}:
            assert longest_run(secret.strip("."), shown) < BEGINNING or secret.startswith(".")


def test_what_is_too_short_to_tell_is_left() -> None:
    assert Secrets(["abc"]).hide("abc abc") == "abc abc"
    assert Secrets([]).hide("x" * 10, most=3) == "xxx"
    assert "abc" not in repr(Secrets(["abcdef"]))


def test_several_secrets_that_overlap_leave_nothing_between_them() -> None:
    assert Secrets(["abcdef", "defghi", "cdefg"]).hide("xabcdefghix") == "x••••••••x"


# --- where receivers' texts are kept ------------------------------------------------------------

SECRET = "s3cr3t-0123456789-abcdefghij-ABCDEFGHIJ"
LIMIT = 16_384


@pytest.mark.parametrize("inside", [1, 4, 10, len(SECRET) - 1])
@pytest.mark.parametrize("given", ["headers", "bearer", "basic", "signing"])
def test_a_body_that_is_cut_within_a_secret_keeps_nothing_of_it(inside: int, given: str) -> None:
    values: dict[str, Any] = {
        "headers": {"headers": {"X-Api-Key": SECRET}},
        "bearer": {"auth_type": "bearer", "auth_secret": SECRET},
        "basic": {"auth_type": "basic", "auth_username": "ana", "auth_secret": SECRET},
        "signing": {"secret": SECRET},
    }[given]
    body = b"." * (LIMIT - inside) + SECRET.encode() + b"." * 500
    with Receiver(Answer(status=500, body=body)) as receiver:
        kept = attempt(a_target(receiver.url, **values)).attempt
    assert kept["response_truncated"]
    assert longest_run(SECRET, kept["response_body"]) < BEGINNING


@pytest.mark.parametrize("inside", [4, 10, len(SECRET) - 1])
def test_a_failures_detail_that_is_cut_within_a_secret_keeps_nothing_of_it(inside: int) -> None:
    target = a_target(headers={"X-Api-Key": SECRET})
    detail = "x" * (300 - inside) + SECRET + "x" * 500
    kept = attempt(target, Canned(TransportError("protocol", detail))).attempt
    assert longest_run(SECRET, kept["error_detail"]) < BEGINNING


def test_the_same_over_a_real_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _address = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"." * 270 + SECRET.encode() + b"\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        kept = attempt(a_target(url, headers={"X-Api-Key": SECRET})).attempt
        thread.join()
    assert kept["error"] == "protocol"
    assert "....." in kept["error_detail"]
    assert longest_run(SECRET, kept["error_detail"]) < BEGINNING


def test_neither_names_nor_values_of_an_answers_headers_keep_it() -> None:
    headers = {f"x-{SECRET.lower()}": "1", "x-echo": quote(f"a {SECRET}", safe="")}
    kept = attempt(a_target(headers={"X-Api-Key": SECRET}), came(headers=headers)).attempt
    assert SECRET.lower() not in str(kept["response_headers"]).lower()


def test_a_compressed_answer_that_was_cut_says_so() -> None:
    stored = zlib.compressobj(0, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    body = stored.compress(b"." * (LIMIT + 1)) + stored.flush()
    answer = Answer(body=body, headers={"Content-Encoding": "gzip"})
    with Receiver(answer) as receiver:
        transport = make_transport()
        try:
            came_back: Came = transport.post(receiver.url, b"{}", {}, timeout=5.0)
        finally:
            transport.close()
    assert came_back.truncated


def test_a_databases_complaint_is_cut_after_its_password_is_masked() -> None:
    error = RuntimeError("x" * 270 + SECRET)
    assert longest_run(SECRET, cause(error, SECRET)) < BEGINNING
