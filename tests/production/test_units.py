"""deploy/ itself: what its files promise without being started."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.production import units
from webhooks.conf import DEFAULTS

DEPLOY = ROOT / "deploy"


@pytest.mark.parametrize("name", units.LONG_RUNNING)
def test_a_unit_comes_back_and_has_time_to_end(name: str) -> None:
    unit = units.read(name)
    assert unit.one("Restart") == "always"
    assert unit.one("StartLimitIntervalSec") == "0"  # a database may be away for long
    assert unit.one("KillSignal") == "SIGTERM"
    assert unit.one("KillMode") == "mixed"


def test_no_unit_is_killed_while_it_still_ends_in_order() -> None:
    [web] = units.read("crm-web").commands
    graceful = float(web[web.index("--graceful-timeout") + 1])
    assert float(units.read("crm-web").one("TimeoutStopSec")) > graceful
    # An engine waits for what it sends, less than a lease.
    assert float(units.read("crm-worker").one("TimeoutStopSec")) > DEFAULTS["LEASE_SECONDS"] + 10


@pytest.mark.parametrize("name", units.NAMES)
def test_no_unit_runs_as_root_or_may_become_it(name: str) -> None:
    unit = units.read(name)
    assert unit.one("User") == unit.one("Group") == "crm"
    assert unit.one("NoNewPrivileges") == "yes"
    assert unit.one("ProtectSystem") == "strict"
    assert unit.one("CapabilityBoundingSet") == ""


@pytest.mark.parametrize("page", ["README.md", "README.pt-BR.md"])
def test_the_readme_shows_the_commands_that_the_units_start(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = [line.partition("#")[0].strip() for line in re.findall(r"^\$ (.*)", text, re.MULTILINE)]
    for name in units.LONG_RUNNING:
        [command] = units.read(name).commands
        started = " ".join([Path(command[0]).name, *command[1:]])
        assert any(f"{started} ".startswith(f"{line} ") for line in shown if line), started


def test_the_example_of_the_environment_names_only_what_exists() -> None:
    known = (ROOT / ".env.example").read_text(encoding="utf-8")
    text = (DEPLOY / "crm.env.example").read_text(encoding="utf-8")
    for name in units.environment_file(text).keys() - {"WEB_CONCURRENCY"}:  # gunicorn's own
        assert re.search(rf"^#?{name}=", known, re.MULTILINE), name


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    shutil.copytree(units.FOLDER, tmp_path / "units")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("python", "gunicorn", "celery"):
        (programs / name).symlink_to("/bin/true")
    for path in (tmp_path / "units").glob("*.service"):
        path.write_text(path.read_text().replace("/opt/crm/.venv/bin", str(programs)))
    files = sorted(map(str, (tmp_path / "units").glob("*.service")))
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files],
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path / 'units'}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert len(files) == len(units.NAMES)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")
