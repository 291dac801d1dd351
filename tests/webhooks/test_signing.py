"""Held against Standard Webhooks' vectors and against its own library."""

from __future__ import annotations

import base64
import copy
import datetime
import hashlib
import hmac
import pickle
from typing import Any

import pytest
import standardwebhooks
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from webhooks.signing import (
    ALGORITHMS,
    InvalidSecret,
    Key,
    VerificationError,
    generate_secret,
    hex_signature,
    standard_signature,
    verify_hex,
    verify_standard,
)

# wire-formats: Standard Webhooks 1.0.0, both vectors
ID, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SHARED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SHARED_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
PRIVATE = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
)
PRIVATE_SIGNATURE = (
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
)
OWN = "sua_chave_secreta"


def headers_of(signature: str, **changed: str) -> dict[str, str]:
    return {
        "Webhook-Id": ID,
        "Webhook-Timestamp": str(TIMESTAMP),
        "Webhook-Signature": signature,
    } | changed


@pytest.fixture(scope="module")
def rsa_secret() -> str:
    return generate_secret("rsa-sha256")


# --- Signing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "secret", "signature"),
    [("hmac-sha256", SHARED, SHARED_SIGNATURE), ("ed25519", PRIVATE, PRIVATE_SIGNATURE)],
)
def test_standard_webhooks_vector(algorithm: str, secret: str, signature: str) -> None:
    key = Key.parse(algorithm, secret)
    assert standard_signature([key], ID, TIMESTAMP, BODY) == signature
    assert verify_standard(secret, headers_of(signature), BODY, now=TIMESTAMP)


@given(body=st.text(max_size=200), message_id=st.from_regex(r"evt_[0-9a-f]{32}", fullmatch=True))
def test_standard_signature_agrees_with_its_own_library(body: str, message_id: str) -> None:
    secret = generate_secret("hmac-sha256")
    now = datetime.datetime.now(datetime.UTC)
    ours = standard_signature(
        [Key.parse("hmac-sha256", secret)], message_id, int(now.timestamp()), body.encode()
    )
    assert ours == standardwebhooks.Webhook(secret).sign(message_id, now, body)


def test_its_own_library_accepts_what_is_signed_for_several_keys() -> None:
    old, new = generate_secret(), generate_secret()
    stamp = int(datetime.datetime.now(datetime.UTC).timestamp())
    keys = [Key.parse("hmac-sha256", new), Key.parse("hmac-sha256", old)]
    keys.append(Key.parse("ed25519", PRIVATE))
    signature = standard_signature(keys, ID, stamp, BODY)
    assert [part.split(",")[0] for part in signature.split(" ")] == ["v1", "v1", "v1a"]
    headers = {
        "webhook-id": ID,
        "webhook-timestamp": str(stamp),
        "webhook-signature": signature,
    }
    for secret in (old, new):
        assert standardwebhooks.Webhook(secret).verify(BODY, headers) == {"test": 2432232314}
    for secret in (old, new, PRIVATE, keys[2].public_text() or ""):
        assert verify_standard(secret, headers, BODY, now=stamp)


def test_hex_signature_is_keyed_with_the_secrets_text_as_seed_004_does() -> None:
    for secret in (OWN, SHARED):
        expected = hmac.new(secret.encode("utf-8"), BODY, hashlib.sha256).hexdigest()
        signature = hex_signature(Key.parse("hmac-sha256", secret), BODY)
        assert signature == f"sha256={expected}"
        assert verify_hex(secret, BODY, signature)


def test_standard_signature_with_a_secret_of_ones_own_uses_the_texts_bytes() -> None:
    key = Key.parse("hmac-sha256", OWN)
    expected = hmac.digest(OWN.encode(), f"{ID}.{TIMESTAMP}.".encode() + BODY, "sha256")
    assert standard_signature([key], ID, TIMESTAMP, BODY) == (
        f"v1,{base64.b64encode(expected).decode()}"
    )


def test_an_rsa_signature_verifies_with_the_published_pem(rsa_secret: str) -> None:
    key = Key.parse("rsa-sha256", rsa_secret)
    public = serialization.load_pem_public_key((key.public_text() or "").encode())
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(key.sign(BODY), BODY, padding.PKCS1v15(), hashes.SHA256())


def test_public_text_is_given_only_where_there_is_a_public_key() -> None:
    assert Key.parse("hmac-sha256", SHARED).public_text() is None
    assert (
        Key.parse("ed25519", PRIVATE).public_text()
        == "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
    )


def test_signatures_that_a_key_cannot_make_are_refused(rsa_secret: str) -> None:
    with pytest.raises(ValueError, match="of an HMAC"):
        hex_signature(Key.parse("ed25519", PRIVATE), BODY)
    key = Key.parse("rsa-sha256", rsa_secret)
    assert key.standard_version is None
    with pytest.raises(ValueError, match="rsa-sha256"):
        standard_signature([key], ID, TIMESTAMP, BODY)


@pytest.mark.parametrize("timestamp", [1614265330.5, True, datetime.datetime.now(), "1614265330"])
def test_only_whole_seconds_are_signed(timestamp: Any) -> None:
    with pytest.raises(TypeError, match="whole Unix seconds"):
        standard_signature([Key.parse("hmac-sha256", SHARED)], ID, timestamp, BODY)


# --- Secrets --------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_generated_secrets_differ_and_parse(algorithm: str) -> None:
    first, second = generate_secret(algorithm), generate_secret(algorithm)
    assert first != second
    assert Key.parse(algorithm, first).algorithm == algorithm
    assert len(Key.parse(algorithm, first).sign(BODY)) in {32, 64, 256}


@pytest.mark.parametrize("count", [24, 64])
def test_a_secret_of_24_to_64_bytes_is_read(count: int) -> None:
    assert Key.parse("hmac-sha256", "whsec_" + base64.b64encode(b"x" * count).decode())


@pytest.mark.parametrize("secret", ["a" * 16, "a" * 256, "ç" * 16, "com espaço no meio"])
def test_a_secret_of_ones_own_is_16_to_256_printable_characters(secret: str) -> None:
    assert Key.parse("hmac-sha256", secret)


@pytest.mark.parametrize(
    ("algorithm", "secret"),
    [
        ("hmac-sha256", ""),
        ("hmac-sha256", "a" * 15),
        ("hmac-sha256", "a" * 257),
        ("hmac-sha256", "a" * 16 + "\n"),
        ("hmac-sha256", "a" * 16 + " "),
        ("hmac-sha256", "a\u200b" * 16),
        ("hmac-sha256", "\ud800" * 16),
        ("hmac-sha256", "whsec_"),
        ("hmac-sha256", "whsec_not base64 at all, is it?"),
        ("hmac-sha256", "whsec_" + base64.b64encode(b"x" * 23).decode()),
        ("hmac-sha256", "whsec_" + base64.b64encode(b"x" * 65).decode()),
        ("ed25519", SHARED),
        ("ed25519", "whsk_" + base64.b64encode(b"x" * 32).decode()),
        ("ed25519", "whsk_" + base64.b64encode(b"x" * 64).decode()),  # halves of two keys
        ("ed25519", "whsk_é"),
        ("rsa-sha256", SHARED),
        ("rsa-sha256", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"),
        ("rsa-sha256", "\ud800"),
        ("md5", SHARED),
    ],
)
def test_an_unusable_secret_is_refused_without_being_shown(algorithm: str, secret: str) -> None:
    with pytest.raises(InvalidSecret) as caught:
        Key.parse(algorithm, secret)
    assert str(caught.value)
    assert len(secret) < 8 or secret not in str(caught.value)


def test_rsa_of_other_sizes_and_kinds_is_refused() -> None:
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    pem = small.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    with pytest.raises(InvalidSecret, match="2048"):
        Key.parse("rsa-sha256", pem)


def test_an_rsa_keys_numbers_are_checked_when_it_is_entered_and_not_each_time_it_is_read() -> None:
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()
    unsound = rsa.RSAPrivateNumbers(
        numbers.p,
        numbers.q,
        numbers.d,
        numbers.dmp1 + 2,
        numbers.dmq1,
        numbers.iqmp,
        numbers.public_numbers,
    ).private_key(unsafe_skip_rsa_key_validation=True)
    pem = unsound.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    with pytest.raises(InvalidSecret):
        Key.parse("rsa-sha256", pem)
    assert Key.parse("rsa-sha256", pem, stored=True)


def test_unknown_algorithms_cannot_be_generated() -> None:
    with pytest.raises(InvalidSecret, match="md5"):
        generate_secret("md5")


def test_a_key_never_shows_its_secret_and_never_changes() -> None:
    key = Key.parse("hmac-sha256", OWN)
    assert OWN not in repr(key)
    assert OWN not in str(key)
    with pytest.raises(AttributeError):
        key.algorithm = "md5"
    with pytest.raises(AttributeError):
        del key.algorithm
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)
    with pytest.raises(TypeError, match="not pickled"):
        copy.copy(key)


# --- Verifying ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", [None, "", "sha256=", "sha256=zz", "sha1=00", "é", "\ud800", "sha256=" + "0" * 64]
)
def test_a_wrong_hex_signature_is_refused(header: str | None) -> None:
    assert not verify_hex(OWN, BODY, header)


def test_hex_verification_is_as_strict_as_the_strictest_receiver() -> None:
    right = hex_signature(Key.parse("hmac-sha256", OWN), BODY)
    assert verify_hex(OWN, BODY, right)
    assert not verify_hex(OWN, BODY, right.upper())
    assert not verify_hex(OWN, BODY, right.removeprefix("sha256="))
    assert not verify_hex(OWN, BODY + b"\n", right)
    assert not verify_hex(OWN + "x", BODY, right)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"Webhook-Id": ""}, "missing headers: webhook-id"),
        ({"Webhook-Id": "msg_other"}, "no v1 signature fits"),
        ({"Webhook-Timestamp": "tomorrow"}, "not a number"),
        ({"Webhook-Timestamp": "٣"}, "not a number"),
        ({"Webhook-Timestamp": "9" * 5000}, "not a number"),
        ({"Webhook-Timestamp": str(TIMESTAMP - 301)}, "301 s old"),
        ({"Webhook-Timestamp": str(TIMESTAMP + 301)}, "301 s ahead"),
        ({"Webhook-Signature": "v1a,aaaa"}, "there is no v1 signature"),
        ({"Webhook-Signature": "v1,é v1,! v1"}, "no v1 signature fits"),
        ({"Webhook-Signature": SHARED_SIGNATURE.replace("v1,", "v2,")}, "there is no v1"),
    ],
)
def test_a_wrong_standard_signature_is_refused_and_told(
    changed: dict[str, str], message: str
) -> None:
    with pytest.raises(VerificationError, match=message):
        verify_standard(SHARED, headers_of(SHARED_SIGNATURE, **changed), BODY, now=TIMESTAMP)


def test_a_signature_among_broken_ones_is_found() -> None:
    headers = headers_of(f"v1,! v9,x {PRIVATE_SIGNATURE} {SHARED_SIGNATURE}")
    assert verify_standard(SHARED, headers, BODY, now=TIMESTAMP + 300)
    assert verify_standard(PRIVATE, headers, BODY, now=TIMESTAMP - 300)


def test_another_public_key_does_not_fit() -> None:
    other = Key.parse("ed25519", generate_secret("ed25519")).public_text() or ""
    with pytest.raises(VerificationError, match="no v1a signature fits"):
        verify_standard(other, headers_of(PRIVATE_SIGNATURE), BODY, now=TIMESTAMP)
    with pytest.raises(InvalidSecret):
        verify_standard("whpk_AAAA", headers_of(PRIVATE_SIGNATURE), BODY, now=TIMESTAMP)
