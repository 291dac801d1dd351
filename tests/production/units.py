"""The units of deploy/systemd, as far as systemd's rules are needed to do what they say."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import ROOT

FOLDER = ROOT / "deploy" / "systemd"
NAMES = ("crm-release", "crm-web", "crm-worker", "crm-beat")
LONG_RUNNING = NAMES[1:]


@dataclass(frozen=True)
class Unit:
    """One unit together with what `crm-.service.d` says of all of them."""

    name: str
    settings: dict[str, list[str]] = field(default_factory=dict)
    """Of [Unit] and [Service], every value of a name in order."""

    def one(self, name: str, default: str | None = None) -> str:
        """The last value, which is the one that holds. :raises KeyError: there is none."""
        values = self.settings.get(name) or ([default] if default is not None else [])
        if not values:
            raise KeyError(f"{self.name} has no {name}=")
        return values[-1]

    @property
    def commands(self) -> list[list[str]]:
        return [shlex.split(line) for line in self.settings["ExecStart"]]

    @property
    def environment(self) -> dict[str, str]:
        words = [word for line in self.settings["Environment"] for word in shlex.split(line)]
        return dict(word.split("=", 1) for word in words)


def read(name: str) -> Unit:
    unit = Unit(name)
    for path in (FOLDER / f"{name}.service", *sorted((FOLDER / "crm-.service.d").glob("*.conf"))):
        for key, value in _assignments(path):
            unit.settings.setdefault(key, []).append(value)
    return unit


def _assignments(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line and line[0] not in "#;["]
    assert not any(line.endswith("\\") for line in kept), "continued lines are not read here"
    return [
        (key.strip(), value.strip()) for key, _, value in (line.partition("=") for line in kept)
    ]


def environment_file(text: str) -> dict[str, str]:
    """What `EnvironmentFile=` makes of a file without quotes."""
    lines = [line for line in text.splitlines() if line.strip() and line[0] not in "#;"]
    assert not any(set(line) & set("\"'\\") for line in lines), "quotes are not read here"
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
