"""JSON as it is written by those who mean it: anything doubtful is refused, with the reason."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from rest_framework.parsers import BaseParser

from .problems import Problem

# An escape that could make a NUL or half a surrogate pair, which no database keeps.
_DOUBTFUL = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


# Of lists and objects in one another: more than anything that is taken here has.
MAX_DEPTH = 32


class JSONParser(BaseParser):
    """UTF-8 only; no NaN, no key twice, no characters that are no text.

    The body was read, and its length bounded (DATA_UPLOAD_MAX_MEMORY_SIZE), before this.
    """

    media_type = "application/json"

    @sensitive_variables()
    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        body: bytes = stream.read()
        try:
            value = json.loads(
                body.decode("utf-8"),
                parse_float=_float,
                parse_constant=_constant,
                object_pairs_hook=_object,
            )
        except UnicodeDecodeError:
            raise Problem("malformed", _("The body is not UTF-8.")) from None
        except json.JSONDecodeError as error:
            raise Problem(
                "malformed",
                _("The body is not JSON: line %(line)d, column %(column)d.")
                % {"line": error.lineno, "column": error.colno},
            ) from None
        except RecursionError:
            raise Problem("malformed", _too_deep()) from None
        except ValueError:  # a number of thousands of digits
            raise Problem("malformed", _("A number in the body is too long.")) from None
        if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
            raise Problem("malformed", _too_deep())
        if b"\0" in body or (_DOUBTFUL.search(body) and not is_text(value)):
            raise Problem("malformed", _("The body holds characters that are no text."))
        return value


def _too_deep() -> str:
    return _("The body is nested too deeply: at most %(limit)d levels are read.") % {
        "limit": MAX_DEPTH
    }


def _is_deeper(value: Any, limit: int) -> bool:
    level = [value]
    for _level in range(limit + 1):
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # 1e999
        raise ValueError
    return number


def _constant(name: str) -> NoReturn:
    raise Problem("malformed", _("JSON has no %(name)s.") % {"name": name})


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _value in pairs:
            if name in seen:
                text = _("The key “%(name)s” is there twice.") % {"name": name[:100]}
                raise Problem("malformed", text)
            seen.add(name)
    return found


def is_text(value: Any) -> bool:
    """Whether every text in it is one that databases keep: no NUL, no half of a surrogate pair."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            if _NO_TEXT.search(each):
                return False
        elif isinstance(each, dict):
            left += each
            left += each.values()
        elif isinstance(each, list):
            left += each
    return True
