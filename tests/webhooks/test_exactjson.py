"""What is signed must survive `JSON.stringify(JSON.parse(body))`, asked of a real JavaScript."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import shutil
import subprocess
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import models
from django.utils.functional import SimpleLazyObject, lazystr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webhooks import events
from webhooks.exactjson import MAX_DEPTH, MAX_SAFE_INTEGER, NotExact, dumps, javascript_number

# One text per line in, one answer per line out. Split on the byte 0x0A alone: Node's `readline`
# also splits on U+2028, which stands unescaped in a body.
NODE = r"""
let rest = Buffer.alloc(0);
process.stdin.on("data", (chunk) => {
  rest = Buffer.concat([rest, chunk]);
  for (let end; (end = rest.indexOf(10)) >= 0; rest = rest.subarray(end + 1)) {
    const line = rest.subarray(0, end).toString("utf8");
    process.stdout.write(JSON.stringify(JSON.parse(line)) + "\n");
  }
});
"""


@pytest.fixture(scope="module")
def javascript() -> Iterator[Callable[[str], str]]:
    """`JSON.stringify(JSON.parse(text))`, by one Node process for all examples."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node")
    process = subprocess.Popen([node, "-e", NODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None

    def rewrite(text: str) -> str:
        process.stdin.write(text.encode() + b"\n")
        process.stdin.flush()
        return process.stdout.readline().removesuffix(b"\n").decode()

    with process:
        yield rewrite
        process.stdin.close()


# --- Against JavaScript itself ----------------------------------------------------------------

TEXT = st.text(  # surrogates included: a broken emoji pasted into a form is one
    st.characters()
    | st.sampled_from('"\\/\b\f\n\r\t\x00\x1f\x7f\u2028\u2029\ufeff\U0001f600\ud83d'),
    max_size=20,
)
FLOATS = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-1e22, 1e22)
    | st.floats(-1e-5, 1e-5)
    | st.integers(-30, 30).map(lambda exponent: 10.0**exponent)
    | st.sampled_from([0.0, -0.0, 1e21, 123456789012345680000.0, 1e-6, 1e-7, 5e-324, 2.0**53])
)
INTEGERS = st.integers() | st.sampled_from(
    [MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER, MAX_SAFE_INTEGER + 1, -MAX_SAFE_INTEGER - 1]
)
SCALARS = (
    TEXT
    | FLOATS
    | INTEGERS
    | st.booleans()
    | st.none()
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)
    | st.datetimes(timezones=st.timezones(), min_value=datetime.datetime(1900, 1, 1))
    | st.dates()
    | st.uuids()
)
KEYS = st.from_regex(r"[^0-9]", fullmatch=True).flatmap(lambda first: TEXT.map(first.__add__)) | (
    st.sampled_from(["", "00", "01", "-1", "1.5", "4294967295", "1a", "constructor", "toJSON"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=VALUES)
def test_javascript_writes_the_same_text_back(javascript: Callable[[str], str], value: Any) -> None:
    try:
        text = dumps(value)
    except NotExact as error:
        assert "same" in str(error)  # keys that became one when surrogates were replaced
        return
    assert javascript(text) == text


@settings(
    max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=FLOATS)
def test_floats_are_written_as_javascript_writes_them(
    javascript: Callable[[str], str], value: float
) -> None:
    assert javascript(float.__repr__(value)) == javascript_number(value)
    assert float(javascript_number(value)) == value


@pytest.mark.parametrize("key", ["0", "1", "42", "4294967294"])
def test_keys_that_javascript_reorders_are_refused(
    javascript: Callable[[str], str], key: str
) -> None:
    reordered = f'{{"a":1,"{key}":2}}'
    assert javascript(reordered) != reordered  # the reason for the rule
    with pytest.raises(NotExact, match="JavaScript would move it"):
        dumps({"a": 1, key: 2})


@pytest.mark.parametrize("key", ["4294967295", "00", "01", "-1", "1.0", "٣", "²", ""])
def test_keys_that_only_look_like_integers_are_kept(
    javascript: Callable[[str], str], key: str
) -> None:
    text = dumps({"a": 1, key: 2})
    assert javascript(text) == text


@settings(deadline=None)
@given(value=VALUES)
def test_what_is_kept_to_be_told_is_told_as_it_was_kept(value: Any) -> None:
    try:
        kept = events.exact_json(value)
    except NotExact:
        return
    assert dumps(kept) == dumps(value)
    assert json.dumps(events.exact_json(kept)) == json.dumps(kept)


# --- One example of each rule -----------------------------------------------------------------


class Situacao(models.TextChoices):
    ABERTO = "aberto", "Aberto"


class Cor(str, enum.Enum):  # noqa: UP042 - whose str() is "Cor.AZUL", unlike a StrEnum's
    AZUL = "azul"


class Nivel(models.IntegerChoices):
    ALTO = 3, "Alto"


SAO_PAULO = ZoneInfo("America/Sao_Paulo")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "{}"),
        ([], "[]"),
        ((), "[]"),
        ({"b": 1, "a": [True, False, None]}, '{"b":1,"a":[true,false,null]}'),
        (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
        ("João 🙂 \u2028", '"João 🙂 \u2028"'),
        ('"\\\b\f\n\r\t\x00\x1f\x7f/', '"\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\x7f/"'),
        (MAX_SAFE_INTEGER, "9007199254740991"),
        (MAX_SAFE_INTEGER + 1, '"9007199254740992"'),
        (-MAX_SAFE_INTEGER - 1, '"-9007199254740992"'),
        (1.0, "1"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (-1.5, "-1.5"),
        (1e-5, "0.00001"),
        (1e-7, "1e-7"),
        (1e15, "1000000000000000"),
        (1e16, '"10000000000000000"'),
        (1.5e300, '"1.5e+300"'),
        (decimal.Decimal("10.50"), '"10.50"'),
        (decimal.Decimal("1E+3"), '"1000"'),
        (decimal.Decimal("-0.00"), '"0.00"'),
        (datetime.datetime(2024, 1, 1, 7, 0, 0, 999_999, SAO_PAULO), '"2024-01-01T10:00:00Z"'),
        (datetime.datetime(33, 4, 3, tzinfo=datetime.UTC), '"0033-04-03T00:00:00Z"'),
        (datetime.date(2024, 1, 5), '"2024-01-05"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Situacao.ABERTO, '"aberto"'),
        (Cor.AZUL, '"azul"'),
        (Nivel.ALTO, "3"),
        (lazystr("João"), '"João"'),
        ({Situacao.ABERTO: 1}, '{"aberto":1}'),
        ("a\ud83d", '"a\ufffd"'),
        ("\ud83d\ude00", '"😀"'),  # two halves that belong together
        ({"a\udc00": ["\ud800"]}, '{"a\ufffd":["\ufffd"]}'),
    ],
)
def test_writes(value: Any, text: str) -> None:
    assert dumps(value) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"data": {"campos": [0, 1, {"x": {1, 2}}]}}, r"data\.campos\[2\]\.x: .*builtins\.set"),
        ({"data": {"meus campos": [b"x"]}}, r"data\['meus campos'\]\[0\]: .*builtins\.bytes"),
        (datetime.timedelta(1), "the value: .*timedelta"),
        (object, "builtins.type"),
        ({"a": math.nan}, "a: the number is NaN"),
        ([math.inf], r"\[0\]: the number is NaN or infinite"),
        (decimal.Decimal("sNaN"), "NaN"),
        (decimal.Decimal("1E+1000000"), "exponent"),
        (decimal.Decimal("0E-1000000"), "exponent"),
        pytest.param(10**5000, "more digits", id="10**5000"),
        ({"a": datetime.datetime(2024, 1, 1)}, "a: the datetime is naive"),
        (datetime.datetime.max.replace(tzinfo=SAO_PAULO), "years 1 to 9999"),
        ({1: "a"}, "a key is of type int"),
        ({None: "a"}, "a key is of type NoneType"),
        ({"a": {"__proto__": 1}}, "a: the key '__proto__'"),
        (dict.fromkeys(["\ud800", "\udfff"]), "two keys are both '\ufffd'"),
        ({"c": [dict.fromkeys(["\ud800", "\ufffd"])]}, r"c\[0\]: two keys are both"),
        (SimpleLazyObject(lambda: "text"), "SimpleLazyObject"),
    ],
)
def test_refuses_and_says_where(value: Any, message: str) -> None:
    with pytest.raises(NotExact, match=message):
        dumps(value)


def test_an_error_never_quotes_the_value() -> None:
    with pytest.raises(NotExact) as caught:
        dumps({"segredo": [b"111.222.333-44"]})
    assert "111" not in str(caught.value)
    assert caught.value.path == "segredo[0]"


def test_what_contains_itself_or_is_too_deep_is_refused() -> None:
    circular: list[Any] = []
    circular.append(circular)
    with pytest.raises(NotExact, match="nested deeper") as caught:
        dumps(circular)
    assert len(str(caught.value)) < 400

    nested: Any = "x"
    for _ in range(MAX_DEPTH):
        nested = {"a": nested}
    assert dumps(nested).count("a") == MAX_DEPTH
    with pytest.raises(NotExact, match="nested deeper"):
        dumps([nested])
