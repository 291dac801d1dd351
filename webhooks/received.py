"""What a local receiver got, what it answered, and whether the signatures prove the sender."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPMessage
from typing import Any

from .signing import (
    PEM_PREFIX,
    PRIVATE_PREFIX,
    PUBLIC_PREFIX,
    TWENTY_HEADER,
    InvalidSecret,
    VerificationError,
    body_header,
    verify_body,
    verify_hex,
    verify_standard,
    verify_twenty,
)

HEX_HEADER = "X-Webhook-Signature"
STANDARD_HEADER = "webhook-signature"
TAKEN = b'{"success":true,"message":"Webhook recebido com sucesso"}'  # seed 004, "Respostas"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the receiver answers with."""

    status: int = 200
    body: bytes = TAKEN
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Seconds before answering; `math.inf`: never, until the receiver closes.
    delay: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether one signature header proves the sender."""

    header: str
    valid: bool
    detail: str  # why not; "" where valid


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as it arrived."""

    number: int  # 1 is the first
    method: str
    path: str
    headers: HTTPMessage  # a name in any case
    body: bytes
    received_at: float  # Unix seconds
    #: One for each signature header that the secrets are for; empty without secrets.
    verdicts: tuple[Verdict, ...] = ()

    @property
    def event(self) -> str:
        """The event's type, such as `cliente.criado`; "" where nothing says it."""
        return self.headers.get("X-Webhook-Event") or ""

    @property
    def id(self) -> str:
        """The event's id, the same in every attempt."""
        return self.headers.get("webhook-id") or self.headers.get("X-Webhook-Id") or ""

    @property
    def attempt(self) -> str:
        return self.headers.get("X-Webhook-Attempt") or ""

    @property
    def verified(self) -> bool:
        """Every signature that came is right, and there is at least one."""
        sent = [each for each in self.verdicts if self.headers.get(each.header)]
        return bool(sent) and all(each.valid for each in sent)

    def json(self) -> Any:
        """:raises ValueError: the body is not JSON."""
        return json.loads(self.body)


def verify(
    secrets: Sequence[str], headers: Mapping[str, str] | HTTPMessage, body: bytes, *, now: float
) -> tuple[Verdict, ...]:
    """A verdict on each signature header that the secrets are for: those of the default format,
    Twenty's where it came, and with public keys in PEM LeadConnector's. One fitting secret is
    enough for each.

    :param now: Unix seconds.
    """
    given = {name.lower(): value for name, value in headers.items()}
    pems = [each for each in secrets if each.startswith(PEM_PREFIX)]
    others = [each for each in secrets if each not in pems]
    verdicts = list(_of_default_format(others, given, body, now)) if others else []
    shared = _shared(others)
    if shared and given.get(TWENTY_HEADER.lower()):
        came = [each for each in verdicts if given.get(each.header.lower())]
        verdicts = [*came, _of_twenty(shared, given, body, now)]
    return (*verdicts, *_of_bodies(pems, given, body, now))


def _shared(secrets: Sequence[str]) -> list[str]:
    return [each for each in secrets if not each.startswith((PUBLIC_PREFIX, PRIVATE_PREFIX))]


def _of_bodies(
    pems: Sequence[str], given: Mapping[str, str], body: bytes, now: float
) -> Iterator[Verdict]:
    by_header: dict[str, list[str]] = {}
    for pem in pems:
        by_header.setdefault(body_header(pem), []).append(pem)
    for header, its in by_header.items():
        sent = given.get(header.lower())
        yield _verdict(header, its, partial(verify_body, header=sent, body=body, now=now))


def _of_twenty(
    secrets: Sequence[str], given: Mapping[str, str], body: bytes, now: float
) -> Verdict:
    verify = partial(verify_twenty, headers=given, body=body, now=now)
    return _verdict(TWENTY_HEADER, secrets, verify)


def _of_default_format(
    secrets: Sequence[str], given: Mapping[str, str], body: bytes, now: float
) -> Iterator[Verdict]:
    if shared := _shared(secrets):
        hex_value = given.get(HEX_HEADER.lower())
        fits = any(verify_hex(secret, body, hex_value) for secret in shared)
        wrong = "does not fit this secret and body" if hex_value else "missing"
        yield Verdict(header=HEX_HEADER, valid=fits, detail="" if fits else wrong)
    verify = partial(verify_standard, headers=given, body=body, now=now)
    yield _verdict(STANDARD_HEADER, secrets, verify)


def _verdict(header: str, secrets: Sequence[str], verify: Callable[[str], bool]) -> Verdict:
    """:param verify: raises, with what is wrong, where the signature does not fit that secret."""
    problems: dict[str, None] = {}
    for secret in secrets:
        try:
            verify(secret)
        except (VerificationError, InvalidSecret) as error:
            problems[str(error)] = None
        else:
            return Verdict(header=header, valid=True, detail="")
    return Verdict(header=header, valid=False, detail="; ".join(problems))
