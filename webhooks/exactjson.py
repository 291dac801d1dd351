"""JSON that JavaScript writes back byte for byte: `JSON.stringify(JSON.parse(text)) === text`.

The receivers of seed 004 check a signature over `JSON.stringify(req.body)` and not over the bytes
that arrived, so the one text that counts is the one JavaScript would write itself.
"""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from collections.abc import Callable, Iterable, Mapping
from json.encoder import encode_basestring as _untyped_encode_basestring
from typing import Any

from django.utils.functional import Promise

MAX_SAFE_INTEGER = 2**53 - 1  # JavaScript's: beyond it numbers are rounded
# Levels of lists and objects in one another. What people enter and what is emitted has room for the
# envelope, for `alteracoes` and for every format, and a body for what was kept before these bounds.
MAX_INPUT_DEPTH = 20  # of a value that people enter
MAX_DATA_DEPTH = 50  # of an event's `data`; common parsers read 64 levels (.NET) or 100 (Ruby)
MAX_DEPTH = 128  # of whatever is written
FORMAT_DEPTH = 8  # what a format may put around what an event kept
MAX_DECIMAL_EXPONENT = 1_000  # `Decimal("1E+1000000")` must not become a megabyte of zeros
_LAST_ARRAY_INDEX = 2**32 - 2
_UTC = datetime.UTC

# Quotes a text, escaping what JSON must and nothing more.
encode_basestring: Callable[[str], str] = _untyped_encode_basestring


class NotExact(ValueError):
    """A value cannot be written as JSON that every receiver reads the same way.

    `path` says where (`data.campos[2].x`, "" for the value itself), `reason` what is wrong there.
    The message carries kinds and keys, never values.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self._steps: list[str | int] = []

    @property
    def path(self) -> str:
        text = ""
        for step in reversed(self._steps):
            if isinstance(step, int):
                text += f"[{step}]"
            elif step.isidentifier():
                text += f".{step}" if text else step
            else:
                text += f"[{step[:50]!r}]"
        return text if len(text) <= 200 else f"{text[:200]}…"

    def __str__(self) -> str:
        return f"{self.path or 'the value'}: {self.reason}"

    def _inside(self, step: str | int) -> NotExact:
        self._steps.append(step)
        return self


class TooDeep(NotExact):
    """Lists and objects are nested in one another beyond a bound."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"nested deeper than {limit} levels (or containing itself), which parsers refuse; "
            "flatten it"
        )
        self.limit = limit


def check_depth(value: Any, limit: int) -> None:
    """:raises TooDeep: it has more levels of lists and objects than `limit`."""
    level = _containers([value])
    for _ in range(limit):
        if not level:
            return
        level = _containers(
            item
            for each in level
            for item in (each.values() if isinstance(each, Mapping) else each)
        )
    if level:
        raise TooDeep(limit)


def _containers(values: Iterable[Any]) -> list[Any]:
    # Each once: a few lists that hold one another several times have more places than memory has.
    found = {id(each): each for each in values if isinstance(each, list | tuple | Mapping)}
    return list(found.values())


def dumps(value: Any, *, inside: int = 0) -> str:
    """Write a value as JSON whose UTF-8 bytes JavaScript reproduces.

    | value | written as |
    |---|---|
    | dict (in its own order), list, tuple, str, bool, None | themselves |
    | int, float | the number as JavaScript writes it; beyond ±(2^53-1), a string of that |
    | Decimal | a string, without exponent |
    | aware datetime | `"2024-01-01T10:00:00Z"`: UTC, whole seconds |
    | date, UUID, lazy translation, `TextChoices` | a string |

    Lone surrogates become U+FFFD.

    :param inside: how many levels there will be around it.
    :raises NotExact: anything else; NaN and infinities; naive datetimes; keys that are no text,
        that JavaScript would reorder (`"0"` … `"4294967294"`), that parsers refuse (`__proto__`)
        or that are the same once surrogates are replaced; more than `MAX_DEPTH` levels.
    """
    text = _write(value, inside)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # a lone surrogate: rare enough to start over
            text = _write(_without_surrogates(value), inside)
    return text


def same(one: Any, other: Any) -> bool:
    """Whether two values are one to whoever reads them as JSON: Python takes `True` for `1`."""
    if one != other:
        return False
    if isinstance(one, str) or one is other:
        return True
    if isinstance(one, dict):
        return all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool)


def _write(value: Any, depth: int) -> str:  # noqa: PLR0911 - one return per kind
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    if kind is dict:
        return _object(value, depth)
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if kind is int:
        return _integer(value)
    if kind is datetime.datetime:
        return _moment(value)
    if kind is list or kind is tuple:
        return _array(value, depth)
    return _uncommon(value, kind, depth)


def _uncommon(value: Any, kind: type, depth: int) -> str:  # noqa: PLR0911
    # `issubclass(kind, …)`, not `isinstance`: lazy objects pretend to be what they wrap.
    if issubclass(kind, float):
        return _float(value)
    if issubclass(kind, decimal.Decimal):
        return _decimal(value)
    if issubclass(kind, str):
        # Not `str(value)`, which for a `class E(str, Enum)` is its name.
        return encode_basestring(str.__str__(value))
    if issubclass(kind, Promise):
        return encode_basestring(str(value))
    if issubclass(kind, uuid.UUID):
        return f'"{value}"'
    if issubclass(kind, datetime.datetime):
        return _moment(value)
    if issubclass(kind, datetime.date):
        return f'"{value.isoformat()}"'
    if issubclass(kind, dict):
        return _object(value, depth)
    if issubclass(kind, list | tuple):
        return _array(value, depth)
    if issubclass(kind, int):
        return _integer(value)
    raise NotExact(
        f"a value of type {kind.__module__}.{kind.__qualname__} has no JSON form here; "
        "give text, a number, a boolean, None, a Decimal, an aware datetime, a date, a UUID, "
        "a list or a dict"
    )


def _object(value: Mapping[Any, Any], depth: int) -> str:
    if depth >= MAX_DEPTH:
        raise TooDeep(MAX_DEPTH)
    parts = []
    for key, item in value.items():
        # Every change that is recorded comes through here, so what is common is tested first:
        # keys that are plain text and begin with a letter, values that are text.
        if type(key) is not str or key < ":" or key == "__proto__":
            key = _checked_key(key)  # noqa: PLW2901
        if type(item) is str:
            parts.append(encode_basestring(key) + ":" + encode_basestring(item))
        else:
            try:
                parts.append(encode_basestring(key) + ":" + _write(item, depth + 1))
            except NotExact as error:
                raise error._inside(key) from None
    return "{" + ",".join(parts) + "}"


def _checked_key(key: Any) -> str:
    if not issubclass(type(key), str):
        raise NotExact(f"a key is of type {type(key).__qualname__}; keys must be text")
    text: str = str.__str__(key)
    if _is_array_index(text):
        raise NotExact(
            f"the key {text!r} is an integer, and JavaScript would move it to the front; "
            "give it a letter in front"
        )
    if text == "__proto__":
        raise NotExact("the key '__proto__' is refused by many JSON parsers; rename it")
    return text


def _array(value: list[Any] | tuple[Any, ...], depth: int) -> str:
    if depth >= MAX_DEPTH:
        raise TooDeep(MAX_DEPTH)
    parts = []
    for index, item in enumerate(value):
        try:
            parts.append(_write(item, depth + 1))
        except NotExact as error:
            raise error._inside(index) from None
    return "[" + ",".join(parts) + "]"


def _is_array_index(key: str) -> bool:
    return (
        key.isascii()
        and key.isdecimal()
        and len(key) <= 10
        and (key == "0" or key[0] != "0")
        and int(key) <= _LAST_ARRAY_INDEX
    )


def _integer(value: int) -> str:
    if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        return int.__repr__(value)
    try:
        return f'"{int.__repr__(value)}"'
    except ValueError:  # Python's own limit on digits
        raise NotExact("the integer has more digits than Python writes; give it as text") from None


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise NotExact("the number is NaN or infinite, which JSON cannot say; give None or text")
    text = javascript_number(value)
    return text if abs(value) <= MAX_SAFE_INTEGER else f'"{text}"'


def javascript_number(value: float) -> str:
    """A finite float as `String(value)` writes it (ECMA-262, Number::toString, radix 10).

    Both languages choose the same shortest digits; only where the point and the exponent go
    differs.
    """
    if value == 0:
        return "0"  # -0 too: `JSON.stringify(-0)` is "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = float.__repr__(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # `point`: how many of the digits stand before the decimal point (ECMA-262 calls it n).
    leading_zeros = len(whole + fraction) - len(digits)
    point = len(whole) - leading_zeros + int(exponent or 0)
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return f"{sign}{digits}{'0' * (point - count)}"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"


def _decimal(value: decimal.Decimal) -> str:
    if not value.is_finite():
        raise NotExact("the number is NaN or infinite, which JSON cannot say; give None or text")
    if abs(value.adjusted()) > MAX_DECIMAL_EXPONENT:
        raise NotExact(f"the Decimal's exponent is beyond ±{MAX_DECIMAL_EXPONENT}; give it as text")
    return f'"{value if value else abs(value):f}"'  # no "-0.00"


def _moment(value: datetime.datetime) -> str:
    if value.utcoffset() is None:
        raise NotExact(
            "the datetime is naive, so no one knows which moment it is; "
            "give an aware one (django.utils.timezone.now, make_aware)"
        )
    try:
        moment = value.astimezone(_UTC)
    except OverflowError:
        raise NotExact("the datetime is outside the years 1 to 9999 in UTC") from None
    return f'"{moment.isoformat(timespec="seconds")[:-6]}Z"'


def _clean(text: str) -> str:
    # By way of UTF-16, as JavaScript holds text: two halves that belong together become one.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _without_surrogates(value: Any) -> Any:
    """A copy in which lone surrogates are U+FFFD. Only of what `_write` has already accepted."""
    kind = type(value)
    if issubclass(kind, str):
        return _clean(str.__str__(value))
    if issubclass(kind, Promise):
        return _clean(str(value))
    if issubclass(kind, dict):
        cleaned: dict[str, Any] = {}
        for key, item in value.items():
            new_key = _clean(str.__str__(key))
            if new_key in cleaned:
                raise NotExact(
                    f"two keys are both {new_key!r} once broken characters are replaced; rename one"
                )
            try:
                cleaned[new_key] = _without_surrogates(item)
            except NotExact as error:
                raise error._inside(new_key) from None
        return cleaned
    if issubclass(kind, list | tuple):
        items = []
        for index, item in enumerate(value):
            try:
                items.append(_without_surrogates(item))
            except NotExact as error:
                raise error._inside(index) from None
        return items
    return value
