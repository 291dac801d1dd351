"""The supervisor of `make run`: real programs, shown, ended together, never left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

from crm_project.demo import programs
from crm_project.demo.screen import columns
from crm_project.demo.supervisor import Program, ProgramEndedError, Supervisor
from tests.processes import ROOT
from tests.services.base import is_running, wait_until


def program(name: str, script: str, **options: object) -> Program:
    options.setdefault("is_ready", lambda program: "up" in program.lines)
    command = (sys.executable, "-c", textwrap.dedent(script))
    return Program(name=name, command=command, **options)  # type: ignore[arg-type]


FOREVER = "import time; print('up'); time.sleep(600)"


@pytest.fixture
def shown() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def supervisor(shown: list[tuple[str, str]]):
    supervisor = Supervisor(lambda name, line: shown.append((name, line)))
    yield supervisor
    supervisor.stop()


def test_what_a_program_writes_is_shown_with_its_name_from_when_it_is_ready(supervisor, shown):
    script = """
        import sys, time
        print('noise')
        print('up')
        sys.stdin.read()
        time.sleep(0.3)
        print('olá')
        print('half', end='', flush=True)
        print(' and half', file=sys.stderr)
        time.sleep(600)
    """
    supervisor.start(program("one", script))

    assert supervisor.run_until_ready(seconds=60)
    assert supervisor.run(lambda: len(shown) == 2, seconds=60)

    assert shown == [("one", "olá"), ("one", "half and half")]


def test_quiet_chooses_what_is_worth_a_line(supervisor, shown):
    script = """
        import time
        print('up')
        time.sleep(0.3)
        print('dull')
        print('news')
        time.sleep(600)
    """
    supervisor.start(program("one", script, quiet=lambda line: None if line == "dull" else line))
    assert supervisor.run_until_ready(seconds=60)
    assert supervisor.run(lambda: bool(shown), seconds=60)
    assert shown == [("one", "news")]


def test_a_program_that_dies_ends_the_run_and_its_last_words_are_kept(supervisor):
    supervisor.start(program("steady", FOREVER))
    supervisor.start(program("weak", "print('cannot go on'); raise SystemExit(3)"))
    with pytest.raises(ProgramEndedError) as ended:
        supervisor.run(seconds=60)
    assert (ended.value.program.name, ended.value.status) == ("weak", 3)
    assert list(ended.value.program.lines) == ["cannot go on"]


def test_stop_ends_all_of_them(supervisor):
    started = [program(name, FOREVER) for name in ("one", "two")]
    for each in started:
        supervisor.start(each)
    assert supervisor.run_until_ready(seconds=60)

    supervisor.stop()

    assert [each.process.poll() for each in started] == [-signal.SIGTERM] * 2


def test_one_that_will_not_end_is_made_to(supervisor, monkeypatch):
    monkeypatch.setattr("crm_project.demo.supervisor.STOP_SECONDS", 0.5)
    stubborn = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print('up')
        time.sleep(600)
    """
    started = program("stubborn", stubborn)
    supervisor.start(started)
    assert supervisor.run_until_ready(seconds=60)
    supervisor.stop()
    assert started.process.poll() == -signal.SIGKILL


def test_programs_end_with_a_supervisor_that_was_killed():
    script = """
        import sys
        from crm_project.demo.supervisor import Program, Supervisor
        program = Program(
            name="child",
            command=(sys.executable, "-c", "import time; print('up'); time.sleep(600)"),
            is_ready=lambda program: "up" in program.lines,
        )
        supervisor = Supervisor(print)
        supervisor.start(program)
        supervisor.run_until_ready(seconds=60)
        print(program.process.pid, flush=True)
        supervisor.run()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        child = int(run.stdout.readline())
        assert is_running(child)
        run.kill()
        wait_until(lambda: not is_running(child), what="the child's end")


def test_the_next_free_port_is_taken_where_one_is_in_use():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not programs.is_free(port)
        assert programs.free_port(port) > port


def test_a_worker_tells_warnings_and_a_web_server_pages_only():
    worker, web = programs.worker().quiet, programs.web(8000).quiet
    assert worker("[2024-01-01 10:00:00,000: INFO/MainProcess] Task received") is None
    assert worker("[2024-01-01 10:00:00,000: WARNING/MainProcess] disk full") == "disk full"
    assert worker("Traceback (most recent call last):") == "Traceback (most recent call last):"
    assert web('[01/Jan/2024 10:00:00] "GET /static/admin/x.css HTTP/1.1" 200 12') is None
    assert web('[01/Jan/2024 10:00:00] "GET /admin/ HTTP/1.1" 200 12') == "GET /admin/ 200"


def test_columns_counts_what_a_terminal_shows():
    assert columns("olá") == columns("ola\u0301") == 3
