"""SECURITY.md names what there is: checks, permissions, settings, files."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission

from tests.processes import ROOT
from webhooks import checks, conf

TEXT = (ROOT / "SECURITY.md").read_text()


def test_its_checks_are_those_that_there_are() -> None:
    known = set(re.findall(r"^(webhooks\.[EW][0-9]{3})", str(checks.__doc__), re.MULTILINE))
    named = set(re.findall(r"webhooks\.[EW][0-9]{3}", TEXT))
    about_security = {"webhooks.E003", "webhooks.W001", "webhooks.W002", "webhooks.W005"}
    assert about_security <= named <= known


@pytest.mark.django_db
def test_its_permissions_are_all_that_reach_webhooks() -> None:
    table = TEXT.partition("## Permissions")[2].partition("## ")[0]
    named = {name for cell in re.findall(r"^\| (`.*?) \|", table, re.M) for name in ids(cell)}
    there_are = set(
        Permission.objects.filter(content_type__app_label="webhooks").values_list(
            "codename", flat=True
        )
    )
    assert named <= there_are
    # What nothing asks for: those of models without a page or a change of their own.
    unused = {name for name in there_are - named if not re.match("(add|change|delete|view)_", name)}
    assert not unused


def test_its_settings_and_files_exist() -> None:
    for name in re.findall(r"`([A-Z]+_[A-Z_]+)`", TEXT):
        plain = name.removeprefix("WEBHOOKS_")
        assert plain in conf.DEFAULTS or name in {"SECRET_KEY"}, name
    for pattern in re.findall(r"`(tests/[\w/*.]+|test_[\w*.]+\.py)`", TEXT):
        found: Any = list(ROOT.glob(pattern)) or list(ROOT.glob(f"tests/webhooks/{pattern}"))
        assert found, pattern


def ids(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)
