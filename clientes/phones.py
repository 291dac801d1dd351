"""Telephone numbers (pure): kept as E.164 (`+5511999999999`), shown as people write them.

Straight on `phonenumbers`: a model field whose values are parsed objects costs some 40 µs for
every row read, and keeps what it cannot parse as it came.
"""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

REGION = "BR"  # of a number without a country code
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
# `phonenumbers` finds numbers inside prose and turns letters into digits. A field is no prose.
_WRITTEN = re.compile(r"[+(]?[0-9][0-9\s().\-/]*")


def normalize(text: str, *, strict: bool = True) -> str:
    """The number as E.164; "" for an empty one. Raises ValidationError saying what is wrong.

    `strict` asks that the number can be in use (area code, ninth digit …), as forms should;
    otherwise a number of a possible length will do, so that old data can be kept.
    """
    text = text.strip()
    if not text or (not strict and _E164.fullmatch(text)):
        return text
    if not _WRITTEN.fullmatch(text):
        raise _error(
            _(
                "“%(value)s” is not a telephone number: write digits, spaces and ( ) + - . only. "
                "An extension belongs in the notes."
            ),
            text,
        )
    try:
        number = phonenumbers.parse(text, REGION)
    except phonenumbers.NumberParseException:
        possible = False
    else:
        possible = phonenumbers.is_possible_number(number)
    if not possible:
        raise _error(
            _(
                "“%(value)s” is too short or too long for a telephone number. Write it with its "
                "area code, like (11) 99999-9999, or with + and the country code."
            ),
            text,
        )
    if strict and not phonenumbers.is_valid_number(number):
        raise _error(
            _(
                "“%(value)s” is not a number that can be called. Check the area code and, in "
                "Brazil, the 9 that mobile numbers begin with: (11) 99999-9999."
            ),
            text,
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=4096)
def formatted(number: str) -> str:
    """`(11) 99999-9999` for a Brazilian E.164 number, `+1 415-555-2671` for another one.

    Anything that is not E.164, as it is.
    """
    if not _E164.fullmatch(number):
        return number
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    brazilian = parsed.country_code == phonenumbers.country_code_for_region(REGION)
    style = phonenumbers.PhoneNumberFormat
    return phonenumbers.format_number(parsed, style.NATIONAL if brazilian else style.INTERNATIONAL)


def _error(message: object, text: str) -> ValidationError:
    return ValidationError(message, code="invalid_phone", params={"value": text[:40]})  # type: ignore[arg-type]
