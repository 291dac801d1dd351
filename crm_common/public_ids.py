"""Public ids: `cliente_123` is the client whose primary key is 123."""

from __future__ import annotations

import re

_FORM = re.compile(r"([a-z]+)_([1-9][0-9]{0,18})")
_LARGEST_KEY = 2**63 - 1  # of a BigAutoField


def public_id(prefix: str, pk: int | None) -> str:
    """`public_id("cliente", 123)` is `cliente_123`; an unsaved record has none, so ""."""
    return "" if pk is None else f"{prefix}_{pk}"


def parse(text: str) -> tuple[str, int] | None:
    """The prefix and primary key in `text`, or None when it is not a public id.

    Strict, so that each record has one spelling: no leading zeros, no other case, no spaces.
    """
    match = _FORM.fullmatch(text)
    if match is None or (pk := int(match[2])) > _LARGEST_KEY:
        return None
    return match[1], pk


def pk_of(text: str, prefix: str) -> int | None:
    """The primary key in a public id of that prefix; None for anything else."""
    match parse(text):
        case (found, pk) if found == prefix:
            return pk
    return None


def schema(prefix: str) -> dict[str, str]:
    """JSON Schema of the public ids of that prefix."""
    return {"type": "string", "pattern": f"^{prefix}_[1-9][0-9]{{0,18}}$"}
