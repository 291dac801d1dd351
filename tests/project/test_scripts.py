"""The checks of `make check` that are the project's own find what they are for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import polib
import pytest

from tests.processes import ROOT


def run(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An outline of the project, with its scripts."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    return tmp_path


def test_links_that_lead_nowhere_are_found(project: Path) -> None:
    (project / "other.md").write_text("# A `heading` of its own\n")
    page = project / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#a-heading-of-its-own) `[c](no.md)` [d](https://x.example)"
    )
    assert run(project / "scripts" / "check-links").returncode == 0

    page.write_text("[a](none.md) [b](other.md#nothing)")
    found = run(project / "scripts" / "check-links")
    assert found.returncode == 1
    assert found.stdout.splitlines() == [
        "page.md: none.md leads nowhere",
        "page.md: other.md#nothing: no such heading",
    ]


@pytest.fixture
def catalog(project: Path) -> Path:
    folder = project / "app" / "locale" / "pt_BR" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (project / "app" / "texts.py").write_text("_('One'); _('Two')\n")
    return folder / "django.po"


def write(catalog: Path, compiled: bool = True, **texts: str) -> None:
    po = polib.POFile()
    po.metadata = {"Content-Type": "text/plain; charset=UTF-8", "Language": "pt_BR"}
    po.extend(polib.POEntry(msgid=one, msgstr=other) for one, other in texts.items())
    po.save(str(catalog))
    if compiled:
        po.save_as_mofile(str(catalog.with_suffix(".mo")))


def test_a_complete_translation_passes(project: Path, catalog: Path) -> None:
    write(catalog, One="Um", Two="Dois")
    done = run(project / "scripts" / "check-messages")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_not_translated_or_not_compiled_is_found(project: Path, catalog: Path) -> None:
    write(catalog, One="Um", Two="")
    assert "not translated: 'Two'" in run(project / "scripts" / "check-messages").stdout

    write(catalog, compiled=False, One="Um", Two="Dois")
    found = run(project / "scripts" / "check-messages")
    assert found.returncode == 1
    assert "compiled from another text" in found.stdout


@pytest.mark.skipif(shutil.which("xgettext") is None, reason="GNU gettext is not installed")
def test_a_text_that_nobody_translated_is_found(project: Path, catalog: Path) -> None:
    write(catalog, One="Um", Three="Três")
    found = run(project / "scripts" / "check-messages").stdout
    assert "not in the translations: 'Two'" in found
    assert "no longer in the code: 'Three'" in found


@pytest.mark.parametrize(
    ("says", "status", "expected", "told"),
    [
        ("No known vulnerabilities found", 0, 0, "No known vulnerabilities found"),
        ("Found 1 known vulnerability in 1 package\nrequests 2.0 CVE-1", 1, 1, "CVE-1"),
        ("No known vulnerabilities found\nx could not be audited", 0, 0, "Skipped for 1 packages"),
        ("Found 2 known vulnerabilities\nx could not be audited", 1, 1, "Found 2"),
        ("ConnectionError: no route", 1, 0, "cannot be reached"),
        ("ERROR: requirement x does not contain a hash", 1, 1, "does not contain a hash"),
        ("", None, 1, "pip-audit"),  # it is not there at all
    ],
)
def test_the_audit_fails_for_whatever_is_no_clean_answer_but_a_missing_network(
    project: Path, says: str, status: int | None, expected: int, told: str
) -> None:
    if status is not None:
        program = project / ".venv" / "bin" / "pip-audit"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\nexit {status}\n")
        program.chmod(0o755)
    found = subprocess.run(
        [project / "scripts" / "audit"], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == expected, found.stdout
    assert told in found.stdout
