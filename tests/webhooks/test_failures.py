"""A sentence for every way to fail."""

from __future__ import annotations

import re

import pytest
from django.utils import translation

from webhooks import addresses, failures
from webhooks.failures import sentence
from webhooks.models import Attempt
from webhooks.transport import answers, channel, connections, transport


@pytest.fixture(autouse=True)
def _in_english() -> object:
    with translation.override("en"):
        yield


@pytest.mark.parametrize("error", [kind.value for kind in Attempt.Error if kind.value])
def test_every_kind_has_one_that_is_complete(error: str) -> None:
    for status in (None, 418):
        text = sentence(error, status=status)
        assert text.endswith(".")
        assert "%" not in text


def test_success_has_none() -> None:
    assert sentence("") == ""


def test_a_kind_that_is_not_known_has_one_all_the_same() -> None:
    assert sentence("of-tomorrow") == sentence("internal")


def test_all_of_them_can_be_written() -> None:
    for kind, sentences in failures._SENTENCES.items():
        for code in sentences:
            text = sentence(kind, detail=f"{code}: x", status=302, timeout=5)
            assert text
            assert "%" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"error": "timeout", "detail": "answer", "timeout": 5.0}, "within 5 s"),
        ({"error": "timeout", "detail": "connect: 1.2.3.4:443", "timeout": 2.5}, "2.5 s"),
        ({"error": "timeout"}, "within the time allowed"),
        ({"error": "tls", "detail": "expired: certificate has expired"}, "expired"),
        ({"error": "tls", "detail": "self_signed: x"}, "signed by itself"),
        ({"error": "tls", "detail": "wrong_host: x"}, "another name"),
        ({"error": "connect", "detail": "refused: 1.2.3.4:80"}, "nothing is listening"),
        ({"error": "blocked", "detail": "network: 10.0.0.1 in 10.0.0.0/8"}, "public internet"),
        ({"error": "dns", "detail": "timeout: x"}, "name servers"),
        ({"error": "redirect", "status": 302}, "(302)"),
        ({"error": "status", "status": 401}, "who is calling"),
        ({"error": "status", "status": 418}, "418"),
        ({"error": "status", "status": 503}, "failed with status 503"),
        ({"error": "status", "status": 200}, "status 200"),
        ({"error": "protocol", "detail": "truncated: x"}, "ended before"),
    ],
)
def test_what_happened_is_in_it(arguments: dict[str, object], words: str) -> None:
    assert words in sentence(**arguments)  # type: ignore[arg-type]


def test_codes_that_are_sent_are_codes_that_have_one() -> None:
    """Whoever adds a code to the transport thinks of its sentence, or of leaving it general."""
    general = {
        "tls broken",
        "tls handshake",
        "protocol status_line",
        "protocol invalid",
        "dns not_found",
    }
    general |= {"connect proxy"}
    written = set()
    for module in (transport, channel, connections, answers):
        with open(module.__file__) as file:
            source = file.read()
        for kind, code in re.findall(r'TransportError\(\s*"(\w+)", f?"(\w+)[":]', source):
            written.add(f"{kind} {code}")
    assert {"connect refused", "protocol upgrade", "format header"} <= written
    known = {f"{kind} {code}" for kind, codes in failures._SENTENCES.items() for code in codes}
    assert written - known <= general
    assert {f"tls {code}" for code in connections._TLS_CODES.values()} <= known
    with open(addresses.__file__) as file:
        assert "https_required" in file.read()


def test_an_attempt_that_had_less_time_than_its_webhooks_deliveries_says_so() -> None:
    assert failures.had(30.0, 5_003) == 5.0
    assert failures.had(5.0, 5_040) == 5.0
    assert failures.had(5.0, 12) == 5.0  # recorded by hand: no attempt is that short of time
