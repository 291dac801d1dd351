"""How the demonstration looks in a terminal."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Sequence
from typing import TextIO

COLOURS = {"green": "32", "blue": "34", "magenta": "35", "cyan": "36", "red": "31", "bold": "1"}
PALETTE = ("cyan", "magenta", "blue", "green")


class Screen:
    """Lines with a coloured name before each, and boxes; plain where it is no terminal."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self.coloured = out.isatty() and not os.environ.get("NO_COLOR")
        self._colour_of: dict[str, str] = {}

    def say(self, text: str, *styles: str) -> None:
        self._write(self._paint(text, *styles))

    def line_of(self, name: str, line: str) -> None:
        colour = self._colour_of.setdefault(name, PALETTE[len(self._colour_of) % len(PALETTE)])
        self._write(f"{self._paint(f'{name:>9} │', colour)} {line}")

    def box(self, lines: Sequence[str]) -> None:
        width = max(map(columns, lines))
        edge = "─" * (width + 2)
        self._write(f"┌{edge}┐")
        for line in lines:
            self._write(f"│ {self._paint(line, 'bold')}{' ' * (width - columns(line))} │")
        self._write(f"└{edge}┘")

    def _paint(self, text: str, *styles: str) -> str:
        if not self.coloured or not styles:
            return text
        return f"\x1b[{';'.join(COLOURS[style] for style in styles)}m{text}\x1b[0m"

    def _write(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


def columns(text: str) -> int:
    """How many columns a terminal gives to a text."""
    return sum(
        0
        if unicodedata.combining(character)
        else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )
