"""The documentation says what the code does: each list in it is held against the code."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import get_commands

from tests.processes import ROOT
from webhooks import checks, conf, events, formats, metrics, signals
from webhooks.formats.base import Message

READMES = ("README.md", "README.pt-BR.md")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def in_code(page: str) -> set[str]:
    """What a page writes as code."""
    return set(re.findall(r"`([^`\n]+)`", page))


def variables() -> set[str]:
    """The names that the project's settings read from the environment."""
    return set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', text("crm_project/settings.py")))


def commands() -> set[str]:
    return {name for name, app in get_commands().items() if app == "webhooks"}


@pytest.mark.parametrize("name", READMES)
def test_the_readme_lists_every_variable(name: str) -> None:
    listed = in_code(text(name))
    assert variables() - listed == set()
    assert {"WEBHOOKS_ENCRYPTION_KEYS", "PORT", "ADMIN_PASSWORD"} <= listed


def test_the_example_lists_every_variable() -> None:
    assert variables() - {"ENV_FILE"} <= set(re.findall(r"[A-Z_]+(?==)", text(".env.example")))


@pytest.mark.parametrize("name", [*READMES, "docs/reference.md"])
def test_every_command_is_listed(name: str) -> None:
    words = {code.split()[0] for code in in_code(text(name))}
    assert commands() <= words


def test_the_reference_lists_every_setting_with_its_default() -> None:
    listed = re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", text("docs/reference.md"), re.M)
    assert {name: ast.literal_eval(default) for name, default in listed} == conf.DEFAULTS


def test_the_reference_lists_every_check() -> None:
    ids = set(re.findall(r"webhooks\.[EW]\d{3}", Path(checks.__file__).read_text()))
    assert ids == set(re.findall(r"webhooks\.[EW]\d{3}", text("docs/reference.md")))


def test_the_reference_lists_what_apps_may_import() -> None:
    shown = " ".join(in_code(text("docs/reference.md")))
    errors_and_values = {
        "BodyTooLarge",
        "SnapshotTooLarge",
        "NotExact",
        "UnknownEventType",
        "EventType",
        "Value",
    }
    lesser = errors_and_values | {"changes", "check_json", "instant"}
    assert [name for name in events.__all__ if name not in lesser and name not in shown] == []


def test_the_reference_lists_every_signal() -> None:
    names = {name for name, value in vars(signals).items() if isinstance(value, signals.Signal)}
    assert names <= in_code(text("docs/reference.md"))


def test_the_reference_lists_every_metric(db: None, settings: object) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "METRICS_PER_WEBHOOK": True}  # type: ignore[attr-defined]
    suffixes = {"counter": "_total", "info": "_info"}
    told = {each.name + suffixes.get(each.type, "") for each in metrics.Collector().collect()}
    assert told == set(
        re.findall(r"^\| `(webhooks_\w+)` \| (?:`|\|)", text("docs/reference.md"), re.M)
    )


def tables(page: str) -> list[list[list[str]]]:
    """The cells of a page's tables, row by row, without the line below the heads."""
    found = re.findall(r"(?:^\|.*\|\n)+", page, re.M)
    rows = [
        [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
        for table in found
    ]
    return [[table[0], *table[2:]] for table in rows]


def test_the_reference_lists_every_format_its_names_of_events_and_its_options() -> None:
    known = {each.name: each for each in formats.all_formats()}
    assert [row[0] for row in tables_of("Format")[0][1:]] == [f"`{name}`" for name in known]

    [[head, *rows]] = tables_of("Event")
    for column, name in enumerate(head[1:], start=1):
        format = known[name.strip("`")]
        names = {row[0].strip("`"): row[column] for row in rows}
        assert format.event_types == {event for event, theirs in names.items() if theirs != "—"}
        for event, theirs in names.items():
            assert format.tells(event) is (theirs != "—")
            if theirs != "—":
                assert f'"{theirs}"' in format.body(a_message_of(event)), event

    listed: dict[str, list[str]] = {}
    name = ""
    for row in tables_of("Format")[1][1:]:
        name = row[0].strip("`") or name
        listed.setdefault(name, []).append(row[1].strip("`"))
    assert listed == {each.name: list(each.options) for each in known.values() if each.options}


def tables_of(head: str) -> list[list[list[str]]]:
    return [table for table in tables(text("docs/reference.md")) if table[0][0] == head]


def a_message_of(event: str) -> Message:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    return Message("evt_" + "0" * 32, event, 1, moment, '{"data":{}}', 1, moment, "1")
