"""JSON that others wrote, to be read by a person. Pure."""

from __future__ import annotations

import json
from typing import Any

_MOST_GROWTH = 8  # as many times longer may indents make a text


def indented(value: Any, *, of: int) -> str:
    """JSON with indents; "" where they would make it many times longer than it came.

    A few kilobytes of brackets within brackets are many megabytes of indents.

    :param of: the characters that it came in.
    :raises RecursionError: it is nested too deeply.
    """
    most = _MOST_GROWTH * of + 1000
    parts = []
    for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value):
        most -= len(part)
        if most < 0:
            return ""
        parts.append(part)
    return "".join(parts)
