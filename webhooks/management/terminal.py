"""What others wrote, as a terminal may show it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from django.utils.translation import ngettext

from ..indented import indented

SHOWN_CHARACTERS = 20_000  # of a body
SHOWN_LINES = 500


def body_lines(body: bytes) -> Iterator[str]:
    """A body to read: JSON indented, other text as it is, and no more than a few screens."""
    text = body.decode(errors="replace")
    with contextlib.suppress(ValueError, RecursionError):
        text = indented(json.loads(body), of=len(text)) or text
    lines = text[:SHOWN_CHARACTERS].split("\n")[:SHOWN_LINES]
    yield from (printable(line) for line in lines)
    if more := len(text) - len("\n".join(lines)):
        yield ngettext(
            "… and %(count)d more character", "… and %(count)d more characters", more
        ) % {"count": more}


def printable(text: str) -> str:
    """Text from outside as a terminal may show it: with escapes in place of control characters."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
