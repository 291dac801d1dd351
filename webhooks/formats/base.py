"""What a wire format is: how an event reads on the wire, how it is signed, what counts as taken.

A format is pure: it takes a `Message` and keys, and returns bytes and headers. It knows no models,
no settings and no clock. A new one is a file beside this, of the same shape, listed in `__init__`.
"""

from __future__ import annotations

import abc
import datetime as dt
import functools
import json
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from django.utils.functional import Promise

from ..signing import HMAC_SHA256, Key


class CannotTell(ValueError):
    """An event cannot be told to a webhook as it is set up.

    The text is kept with the attempt: a code of `failures.py`, a colon, and what is wrong, never a
    value of the event's.
    """


def new_nonce() -> str:
    """32 hex digits that are never the same twice."""
    return secrets.token_hex(16)


@dataclass(frozen=True)
class Message:
    """One event, on its way to one webhook, as a format sees it."""

    id: str
    """The event's public id, the same over all attempts and webhooks: `evt_...`."""
    type: str
    sequence: int
    """The event's place among its object's events; 0 where it has no object."""
    occurred_at: dt.datetime
    default_body: str = field(repr=False)
    """The default format's body, frozen when the event happened."""
    attempt: int
    """1 for the first request."""
    sent_at: dt.datetime
    """The moment of this attempt, aware."""
    webhook_id: str
    snapshot_text: str = field(default="{}", repr=False)
    """The event's snapshot as JSON; given to formats with `needs_snapshot` only."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The webhook's own, of this format: see `Format.options`."""
    url: str = ""
    """The webhook's address, as it was entered."""
    nonce: str = field(default_factory=new_nonce)
    """Of this attempt: a format makes up nothing itself."""

    @property
    def uuid(self) -> str:
        """The event's id as a UUID."""
        return str(UUID(hex=self.id.removeprefix("evt_")))

    @functools.cached_property
    def data(self) -> dict[str, Any]:
        """The payload's `data`."""
        found: dict[str, Any] = json.loads(self.default_body)["data"]
        return found

    @functools.cached_property
    def snapshot(self) -> dict[str, Any]:
        """`{"record": the whole object, "changes": as in alteracoes, "dataSubject": whose data it
        is}`, at the event's moment."""
        found: dict[str, Any] = json.loads(self.snapshot_text)
        return found

    @functools.cached_property
    def record(self) -> dict[str, Any]:
        """All that is known of the event's object: what the payload tells, and the snapshot."""
        return {**self.data, **self.snapshot.get("record", {})}


class Format(abc.ABC):
    """One system's way of sending a webhook."""

    name: ClassVar[str]
    """As webhooks store it: `sistema-crm`."""
    label: ClassVar[str | Promise]
    description: ClassVar[str | Promise]
    algorithms: ClassVar[Sequence[str]] = ("hmac-sha256",)
    """The signing algorithms it can use, the default first; empty where it never signs."""
    signs_with_all: ClassVar[bool] = False
    """Whether every request is signed with each of them, so that a webhook has a key of each kind,
    all made here; otherwise with those that the webhook has keys of."""
    needs_snapshot: ClassVar[bool] = False
    """Whether it tells from the whole record; reading it costs the worker a query."""
    content_type: ClassVar[str] = "application/json"
    options: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """What a webhook may choose of this format: JSON Schema (2020-12) of each value, by its name.

    None of them is needed; `default` says what holds without. The API checks values by it and
    documents it, and the admin's form makes its fields of it: `title` and `description`
    (translatable) are what they say. A form knows texts, yes or no, one of some
    (`oneOf: [{"const", "title"}]` or `enum`), several of some (an array of those), lists of texts,
    and objects whose values are texts.
    """
    event_types: ClassVar[Collection[str]] = ()
    """Types of which it has an equivalent whether or not an app tells them: webhooks may subscribe
    to them beforehand."""

    def tells(self, event_type: str) -> bool:
        """Whether the format has an equivalent of that type; if not, nothing is sent."""
        return True

    def wants(self, message: Message) -> bool:
        """Whether the webhook's options let the event through; if not, it is not sent."""
        return True

    @abc.abstractmethod
    def body(self, message: Message) -> str:
        """The exact text sent, as UTF-8.

        :raises CannotTell: it cannot be written.
        """

    @abc.abstractmethod
    def headers(self, message: Message, body: bytes, keys: Sequence[Key]) -> dict[str, str]:
        """The format's own headers, signatures among them.

        :param keys: the keys in force, of its algorithms, the newest first; several during a
            rotation.
        """

    def address(self, message: Message, url: str) -> str:
        """Where the event is sent: the webhook's address, of which a format may fill in parts
        behind the host. What it answers is vetted like any other.

        :raises CannotTell: the event lacks what the address needs.
        """
        return url

    def public_key(self, key: Key) -> str | None:
        """What a receiver of the format verifies that key's signatures with, as it is configured
        there; None where the secret is shared."""
        return key.public_text()

    def is_gone(self, status: int) -> bool:
        """Whether that status says that the receiver wants nothing more, ever."""
        return False

    def accepts(self, status: int) -> bool:
        """Whether an answer of that status means that the event was taken."""
        return 200 <= status < 300


def key_in_turn(message: Message, keys: Iterable[Key], algorithm: str = HMAC_SHA256) -> Key | None:
    """The key for a header that has room for one signature; None where none is of that algorithm.

    During a rotation the attempts take turns, the newest key first, so that a receiver that has
    only the old secret, or already only the new one, takes the event at the first or second one.
    """
    fitting = [key for key in keys if key.algorithm == algorithm]
    return fitting[(message.attempt - 1) % len(fitting)] if fitting else None


def moment(value: dt.datetime, zone: dt.timezone = dt.UTC) -> str:
    """As JavaScript writes it, with milliseconds: `2024-01-01T10:00:00.000Z`, or with an offset."""
    return value.astimezone(zone).isoformat(timespec="milliseconds").replace("+00:00", "Z")
