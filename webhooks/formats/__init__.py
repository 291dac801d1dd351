"""The wire formats that a webhook may be sent in, one file each; base.py says what a format is."""

from __future__ import annotations

from collections.abc import Sequence

from ..signing import Key
from .base import Format, Message
from .freshmarketer import Freshmarketer
from .lead_connector import LeadConnector
from .rd_station import RDStation
from .sistema_crm import SistemaCRM
from .standard_webhooks import StandardWebhooks
from .twenty import Twenty

_FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        SistemaCRM(),
        StandardWebhooks(),
        RDStation(),
        LeadConnector(),
        Twenty(),
        Freshmarketer(),
    )
}


class UnknownFormatError(LookupError):
    """No format has that name."""


def get(name: str) -> Format:
    """:raises UnknownFormatError: no format has that name."""
    try:
        return _FORMATS[name]
    except KeyError:
        raise UnknownFormatError(
            f"No format is named {name!r}. Known: {', '.join(_FORMATS)}."
        ) from None


class _Missing(Format):
    """Stands for a format that is no more: what is owed in it fails visibly, and may be mended."""

    name = label = description = ""

    def __init__(self, name: str) -> None:
        self._name = name
        self.label = name  # type: ignore[misc]  # one of these is made for each such name

    def body(self, message: Message) -> str:
        get(self._name)  # raises
        raise AssertionError

    def headers(self, message: Message, body: bytes, keys: Sequence[Key]) -> dict[str, str]:
        return {}


def get_or_missing(name: str) -> Format:
    """The format of that name; where there is none, one in which nothing can be told.

    For the workers: a webhook that names a format of a release that was rolled back, or of an app
    that was removed, must not keep the others' deliveries from being sent.
    """
    return _FORMATS.get(name) or _Missing(name)


def all_formats() -> list[Format]:
    return list(_FORMATS.values())
