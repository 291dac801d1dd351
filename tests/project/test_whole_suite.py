"""`make test` runs a test that failed once more, alone: what passes then is flaky, not broken."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, Process

CONFIGURATION = """
[tool.pytest.ini_options]
addopts = ["-p", "no:django", "-p", "tests.plugin", "--strict-markers", "--import-mode=importlib"]
pythonpath = ["."]
markers = ["fault", "attack", "both_databases", "postgres_only", "sqlite_only", "services", "site"]
"""
PASSES = "def test_passes(): pass\n"
FAILS = "def test_fails(): assert False\n"
# It passes from its second run on.
FLAKY = """
from pathlib import Path
import pytest

@pytest.mark.both_databases
@pytest.mark.parametrize("name", ["some name"])
def test_flaky(name, request):
    ran = Path(request.config.getoption("db"))
    if not ran.exists():
        ran.touch()
        raise AssertionError
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The outline of a project with tests, which needs no database."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "test", tmp_path / "scripts")
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "plugin.py", tmp_path / "tests")
    (tmp_path / "pyproject.toml").write_text(CONFIGURATION)
    return tmp_path


def write(project: Path, **texts: str) -> None:
    for name, text in texts.items():
        (project / "tests" / f"test_{name}.py").write_text(text)


def whole_suite(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/test"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def last_lines(done: subprocess.CompletedProcess[str], title: str) -> list[str]:
    lines = done.stdout.splitlines()
    return lines[lines.index(title) + 1 :]


def test_a_suite_that_passes_is_green(project: Path) -> None:
    write(project, good=PASSES)
    done = whole_suite(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "alone" not in done.stdout


def test_what_passes_alone_is_listed_as_flaky_and_fails_nothing(project: Path) -> None:
    write(project, good=PASSES, moody=FLAKY)
    done = whole_suite(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert last_lines(
        done, "Flaky: they failed, then passed alone. Fix them with the next work:"
    ) == [
        "  postgres  tests/test_moody.py::test_flaky[some name]",
        "  sqlite  tests/test_moody.py::test_flaky[some name]",
    ]


def test_what_fails_again_fails_the_run(project: Path) -> None:
    write(project, bad=FAILS, moody=FLAKY)
    done = whole_suite(project)
    assert done.returncode == 1
    assert last_lines(done, "Failed, and failed again alone:") == [
        "  postgres  tests/test_bad.py::test_fails"
    ]
    assert "test_flaky[some name]" in done.stdout


def test_many_failures_are_not_run_again(project: Path) -> None:
    many = "".join(f"def test_{number}(): assert False\n" for number in range(21))
    write(project, bad=many)
    done = whole_suite(project)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        "21 tests failed: too many to be flaky, so none ran once more."
    )


@pytest.mark.parametrize(
    ("text", "status"),
    [("import none_of_that_name\n", 2), ("import os\ndef test_ends(): os._exit(1)\n", 1)],
    ids=["cannot be imported", "ends the process"],
)
def test_a_run_that_breaks_off_is_never_flaky(project: Path, text: str, status: int) -> None:
    write(project, bad=text, good=PASSES)
    done = whole_suite(project)
    assert done.returncode == 1
    assert f"pytest ended with status {status} on postgres (not (fault" in done.stdout


def test_a_suite_that_is_told_to_end_ends_its_tests_in_order(project: Path) -> None:
    hangs = """
import time, pytest

@pytest.fixture
def server():
    yield
    print("the server is closed", flush=True)

def test_hangs(server):
    print("it hangs", flush=True)
    time.sleep(100)
"""
    write(project, hanging=hangs)
    command = [sys.executable, "scripts/test", "-s"]
    process = Process(command, {"PATH": "/usr/bin:/bin"}, project)
    try:
        process.wait_for("it hangs")
        process.terminate(signal.SIGTERM)
        assert process.wait() == 1
    finally:
        process.close()
    assert "the server is closed" in process.output
