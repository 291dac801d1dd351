"""Secrets within texts that others wrote: masked in whatever form they stand there, and before
the text is cut. Pure.

A receiver that sends back what it was sent rarely sends it as it was: an error page escapes it for
HTML, a JSON answer for JSON, a link for URLs. And where a text is cut, the beginning of a secret
may be its end.
"""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .headers import MASK

LEAST = 6  # characters; a shorter secret is found in any text
BEGINNING = 4  # characters of a secret at the end of a cut text that are masked

_DEPTH = 2  # escapes within escapes that are looked through
_ESCAPED = (
    re.compile(r"(?P<percent>(?:%[0-9a-f]{2})+)", re.IGNORECASE),
    re.compile(
        r"&(?:\#(?P<decimal>[0-9]{1,7})|\#x(?P<hex>[0-9a-f]{1,6})|(?P<name>amp|lt|gt|quot|apos));",
        re.IGNORECASE,
    ),
    re.compile(
        r"\\(?:u(?P<unicode>[0-9a-f]{4})|x(?P<byte>[0-9a-f]{2})|(?P<char>[^ux]))",
        re.IGNORECASE,
    ),
)
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
# What a cut leaves of an escape, or of a character in UTF-8.
_PARTIAL = re.compile(
    r"(?:%[0-9a-f]?|&[#0-9a-z]{0,8}|\\(?:u[0-9a-f]{0,3}|x[0-9a-f]?)?|\ufffd{1,3})\Z", re.IGNORECASE
)
_PARTIALS, _LONGEST = 3, 10  # how many there may be, of how many characters
_TO_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


class Secrets:
    """What is to be shown in no text.

    :param values: the secrets as they are used; those shorter than `least` are left out.
    :param mask: what stands in their place.
    """

    def __init__(self, values: Iterable[str], *, least: int = LEAST, mask: str = MASK) -> None:
        found = {form for each in values if len(each) >= least for form in _forms(each)}
        self._mask = mask
        self._forms = sorted({_lower(each) for each in found}, key=len, reverse=True)

    def __repr__(self) -> str:
        return f"<Secrets: {len(self._forms)} forms>"

    def hide(self, text: str, *, most: int | None = None, cut: bool = False) -> str:
        """The text without the secrets, percent-encoded, escaped for JSON or HTML (several times
        over), in base64, in hexadecimal digits, or in another letter case.

        :param most: characters to keep; it is cut after the secrets are masked.
        :param cut: the text was cut before, so that its end may be the beginning of a secret.
        """
        spans = sorted(self._spans(text, cut)) if self._forms else []
        if spans:
            text = _masked(text, spans, self._mask)
        return text if most is None else text[:most]

    def _spans(self, text: str, cut: bool) -> Iterator[tuple[int, int]]:
        if not cut and len(text) < len(self._forms[-1]):
            return
        for layer in _layers(text):
            looked_through = _lower(layer.text)
            for start, end in self._whole(looked_through):
                yield layer.starts[start], layer.starts[end]
            if cut:
                for start in self._begun(looked_through):
                    yield layer.starts[start], len(text)

    def _whole(self, text: str) -> Iterator[tuple[int, int]]:
        for form in self._forms:
            start = text.find(form)
            while start >= 0:
                yield start, start + len(form)
                start = text.find(form, start + 1)

    def _begun(self, text: str) -> Iterator[int]:
        """Where the beginning of a secret begins that is the end of the text."""
        ends = [text]
        while len(ends) <= _PARTIALS and (partial := _PARTIAL.search(ends[-1][-_LONGEST:])):
            ends.append(ends[-1][: -len(partial[0])])
        for each in ends:
            for form in self._forms:
                start = each.find(form[:BEGINNING], max(0, len(each) - len(form)))
                while start >= 0:
                    if form.startswith(each[start:]):
                        yield start
                        break
                    start = each.find(form[:BEGINNING], start + 1)


def _forms(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "replace")
    found = {raw.hex()}
    for before in range(3):  # bytes of whatever stands before it in what was encoded
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        # Without the characters that its neighbours have a part in.
        core = encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        found |= {core, core.replace("+", "-").replace("/", "_")}
    found = {each for each in found if len(each) >= LEAST}
    return found | {secret, json.dumps(secret)[1:-1], secret.replace(" ", "+")}


def _lower(text: str) -> str:
    """Of the same length, which `str.lower()` does not promise."""
    return text.lower() if text.isascii() else text.translate(_TO_LOWER)


class _Layer:
    """A text with the escapes of one kind undone.

    :ivar text: what it reads then.
    """

    def __init__(self, text: str, parent: _Layer | None = None, kind: Any = None) -> None:
        self.text = text
        self._parent, self._kind = parent, kind

    def children(self) -> Iterator[_Layer]:
        for kind in _ESCAPED:
            text = kind.sub(lambda match: "".join(each for each, _ in _meant(match)), self.text)
            if text != self.text:
                yield _Layer(text, self, kind)

    @functools.cached_property
    def starts(self) -> Sequence[int]:
        """Where each character began in the text that came, and where the last one ended.

        Asked for only where something was found: it takes longer than to undo the escapes.
        """
        if self._parent is None:
            return range(len(self.text) + 1)
        before = self._parent.starts
        found: list[int] = []
        done = 0
        for match in self._kind.finditer(self._parent.text):
            found += before[done : match.start()]
            position = match.start()
            for _character, length in _meant(match):
                found.append(before[position])
                position += length
            done = match.end()
        return [*found, *before[done:]]


def _layers(text: str) -> Iterator[_Layer]:
    """The text, and what is read in it when escapes are undone once and twice."""
    level, seen = [_Layer(text)], {text}
    yield from level
    for _ in range(_DEPTH):
        below = [child for layer in level for child in layer.children()]
        level = []
        for layer in below:
            if layer.text not in seen:
                seen.add(layer.text)
                level.append(layer)
                yield layer


def _meant(match: re.Match[str]) -> Iterator[tuple[str, int]]:
    """The characters that an escape stands for, each with the length of its part of the escape."""
    found = match.groupdict()
    if percent := found.get("percent"):
        for character in bytes.fromhex(percent.replace("%", "")).decode("utf-8", "surrogateescape"):
            byte = "\udc80" <= character <= "\udcff"
            yield "\ufffd" if byte else character, 3 if byte else 3 * len(character.encode())
        return
    if name := found.get("name"):
        character = _NAMED[name.lower()]
    elif decimal := found.get("decimal"):
        character = _character(int(decimal))
    elif digits := found.get("hex") or found.get("unicode") or found.get("byte"):
        character = _character(int(digits, 16))
    else:
        character = found["char"] or ""
    yield character, len(match[0])


def _character(code: int) -> str:
    return chr(code) if code <= 0x10FFFF else "\ufffd"


def _masked(text: str, spans: Iterable[tuple[int, int]], mask: str) -> str:
    """:param spans: sorted; they may overlap."""
    parts: list[str] = []
    done = masked_to = 0
    for start, end in spans:
        if start >= masked_to:
            parts += [text[done:start], mask]
        masked_to = done = max(masked_to, end)
    return "".join([*parts, text[done:]])
