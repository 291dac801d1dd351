"""What a client's tags and custom fields may hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from crm_common.validators import json_size
from webhooks import events

MAX_TAGS = 20
MAX_TAG_LENGTH = 50
# Told twice by an update (before and after), beside the notes; see MAX_TEXT_BYTES.
MAX_CUSTOM_FIELDS_BYTES = 10_000


def split_tags(text: str) -> list[str]:
    """The tags in a comma-separated text: trimmed, none empty, none twice (in any case)."""
    tags: dict[str, str] = {}
    for part in text.split(","):
        tag = " ".join(part.split())
        if tag:
            tags.setdefault(tag.casefold(), tag)
    return list(tags.values())


def validate_tags(value: Any) -> None:
    """A list of short texts, each once; raises ValidationError."""
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise ValidationError(_("Tags are a list of texts."), code="invalid_tags")
    if len(value) > MAX_TAGS:
        raise ValidationError(
            _("There are %(count)d tags; at most %(limit)d are kept."),
            code="too_many_tags",
            params={"count": len(value), "limit": MAX_TAGS},
        )
    for tag in value:
        if len(tag) > MAX_TAG_LENGTH:
            raise ValidationError(
                _("The tag “%(tag)s…” is longer than %(limit)d characters."),
                code="tag_too_long",
                params={"tag": tag[:MAX_TAG_LENGTH], "limit": MAX_TAG_LENGTH},
            )
        if split_tags(tag) != [tag] or not _storable(tag):
            raise ValidationError(
                _("“%(tag)s” cannot be a tag: it is empty, or holds a comma or stray spaces."),
                code="invalid_tag",
                params={"tag": tag},
            )
    if len({tag.casefold() for tag in value}) < len(value):
        raise ValidationError(_("A tag is there twice."), code="repeated_tag")


def validate_custom_fields(value: Any) -> None:
    """An object that every webhook format can write exactly; raises ValidationError."""
    if not isinstance(value, dict):
        raise ValidationError(
            _('Custom fields are a JSON object, like {"plano": "ouro"}.'),
            code="not_an_object",
        )
    try:
        events.check_json(value)
    except events.TooDeep as error:
        raise ValidationError(
            _("This is nested too deeply: at most %(limit)d levels are kept."),
            code="too_deep",
            params={"limit": error.limit},
        ) from error
    except events.NotExact as error:
        raise ValidationError(
            _(
                "“%(path)s” cannot be sent as it is: no key may be a number, and values are texts, "
                "numbers, true, false, null, lists or objects."
            ),
            code="not_exact_json",
            params={"path": error.path or "{…}"},
        ) from error
    if not all(map(_storable, _texts(value))):
        raise ValidationError(
            _("There is a character in it that is no text."), code="unstorable_character"
        )
    if (size := json_size(value)) > MAX_CUSTOM_FIELDS_BYTES:
        raise ValidationError(
            _("Custom fields take %(size)d bytes as JSON; at most %(limit)d are kept."),
            code="too_large",
            params={"size": size, "limit": MAX_CUSTOM_FIELDS_BYTES},
        )


def _texts(value: Any) -> Iterator[str]:
    """Every key and text in it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _storable(text: str) -> bool:
    """PostgreSQL's JSON keeps neither NUL nor half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
