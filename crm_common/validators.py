"""Bounds that keep what people write within what an event can carry."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.utils.translation import gettext_lazy as _

# A reply or a description beyond this is a document, and belongs in a file.
MAX_TEXT_LENGTH = 10_000
# An update tells a text twice (before and after), and common receivers take no body beyond 100 KiB.
# Only text made of emoji or control characters is this large at MAX_TEXT_LENGTH.
MAX_TEXT_BYTES = 30_000


def json_size(value: object) -> int:
    """Bytes that the value takes in an event's body."""
    return len(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def validate_text_size(value: str) -> None:
    """Raises ValidationError for a text of more than MAX_TEXT_BYTES as JSON."""
    if (size := json_size(value)) > MAX_TEXT_BYTES:
        raise ValidationError(
            _("This takes %(size)d bytes to send; at most %(limit)d are kept. Shorten it."),
            code="too_large",
            params={"size": size, "limit": MAX_TEXT_BYTES},
        )


# Of every long text field: TextField(max_length=…) alone bounds forms only.
long_text_validators: list[Callable[[Any], None]] = [
    MaxLengthValidator(MAX_TEXT_LENGTH),
    validate_text_size,
]
