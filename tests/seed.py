"""The payloads of seed 004, "Eventos Disponíveis", read from a copy of that section."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

_SECTION = Path(__file__).parent / "data" / "seed_004_eventos.md"


@cache
def payloads() -> dict[str, dict[str, Any]]:
    """The whole body of each event's example, by its name; keys in the seed's order."""
    blocks = re.findall(r"```json\n(.*?)```", _SECTION.read_text(encoding="utf-8"), re.DOTALL)
    return {payload["event"]: payload for payload in map(json.loads, blocks)}
