"""`{{campo}}` in a text or an address stands for what an event's record says there. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from . import exactjson

# Without what would end a part of an address: a name never reaches over it.
PLACEHOLDER = re.compile(r"\{\{\s*([^{}/?#\s](?:[^{}/?#]*[^{}/?#\s])?)\s*\}\}")
_ADDRESS = re.compile(r"(?P<origin>[^/]*//[^/?]*)(?P<path>[^?]*)(?P<query>.*)", re.DOTALL)

Find = Callable[[str], str]


class Unfilled(ValueError):
    """A placeholder of an address has no value that could stand there; the text is its name."""


def found_in(record: Mapping[str, Any], name: str) -> str:
    """What the record says under that name, as text; "" where it says nothing.

    :param name: a key, or several with dots between: `camposPersonalizados.plano`.
    """
    value: Any = record
    rest = name
    while rest:
        if not isinstance(value, Mapping):
            return ""
        if rest in value:  # a key may have dots of its own
            value, rest = value[rest], ""
        else:
            key, _dot, rest = rest.partition(".")
            value = value.get(key)
    return _text(value)


def fill(text: str, find: Find) -> str:
    return PLACEHOLDER.sub(lambda match: find(match[1]), text)


def fill_address(url: str, find: Find) -> str:
    """Fill the path and the query; scheme, host and port stay as they were vetted.

    A value is percent-encoded whole, so that it ends no part of the address and begins none. In
    the path it must neither vanish nor be a step (`..`): that would lead to another address.

    :raises Unfilled: it would, in the path.
    """
    match = _ADDRESS.fullmatch(url)
    if match is None:
        return url

    def encoded(name: str) -> str:
        return quote(find(name), safe="", errors="replace")

    def filled(segment: str) -> str:
        text = fill(segment, encoded)
        if text in ("", ".", "..") and (first := PLACEHOLDER.search(segment)):
            raise Unfilled(first[1])
        return text

    path = "/".join(map(filled, match["path"].split("/")))
    return match["origin"] + path + fill(match["query"], encoded)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return exactjson.dumps(value)
