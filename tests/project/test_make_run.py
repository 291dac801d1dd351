"""`make run`, as a person meets it: real processes on a folder of its own, seen from outside."""

from __future__ import annotations

import contextlib
import html
import http.cookiejar
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import environment
from tests.processes import ROOT, Process
from tests.services.base import PATIENCE, descendants, free_port, is_running, wait_until

PASSWORD = "chosen-by-hand"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Process]]:
    """Starts it; always on the same folder, as on one person's machine."""
    folder = tmp_path_factory.mktemp("run")
    started: list[Process] = []

    def start(**changes: str) -> Process:
        variables = {
            "DEBUG": "true",
            "VAR_DIR": str(folder),
            "DATABASE_URL": f"sqlite:///{folder / 'crm.sqlite3'}",
            "CELERY_BROKER_URL": "filesystem://",
            "PORT": str(free_port()),
            "ADMIN_PASSWORD": PASSWORD,
            **changes,
        }
        command = [sys.executable, "manage.py", "demo"]
        started.append(Process(command, environment.for_process(**variables)))
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture(scope="module")
def first(run: Callable[..., Process]) -> Iterator[Process]:
    """The first run on this machine, where something else has the port already."""
    with socket.socket() as taken:
        port = free_port()
        taken.bind(("127.0.0.1", port))
        taken.listen()
        process = run(PORT=str(port))
        process.wait_for("admin/clientes/cliente", seconds=2 * PATIENCE)
        yield process


def finish(process: Process) -> None:
    """End it as Ctrl-C does, and see that nothing of it is left."""
    family = descendants(process.pid)
    assert len(family) >= 3
    process.terminate(signal.SIGINT)
    assert process.wait() == 0, process.output
    wait_for_the_end_of(family)


def wait_for_the_end_of(pids: list[int]) -> None:
    wait_until(
        lambda: not any(is_running(pid) for pid in pids),
        what="the end of all its processes",
    )


@pytest.mark.slow
def test_a_client_is_saved_and_its_signed_webhook_arrives(first: Process) -> None:
    first.wait_for("cliente.criado")
    first.wait_for(r"✓.*X-Webhook-Signature")
    first.wait_for(r'"nome": "João Silva"')
    first.wait_for(PASSWORD)
    assert "✗" not in first.output


@pytest.mark.slow
def test_the_groups_for_operators_and_auditors_are_there(
    first: Process, tmp_path_factory: pytest.TempPathFactory
) -> None:
    database = tmp_path_factory.getbasetemp() / "run0" / "crm.sqlite3"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        names = connection.execute("SELECT name FROM auth_group ORDER BY name").fetchall()
    assert names == [("Auditor",), ("Operador de webhooks",)]


@pytest.mark.slow
def test_a_taken_port_is_told_and_the_next_free_one_used(first: Process) -> None:
    wanted = first.wait_for(r"(\d+).* (\d+)")
    page = first.wait_for(r"http://localhost:(\d+)/admin/")
    assert page[1] == wanted[2] != wanted[1]


@pytest.mark.slow
def test_an_edit_in_the_admin_arrives_with_what_changed(first: Process) -> None:
    page = first.wait_for(r"(http://\S+/admin/clientes/cliente/\d+/change/)")[1]
    browse = urllib.request.build_opener(
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    )
    login = page.split("/admin/")[0] + "/admin/login/"
    fields = form_fields(browse.open(login, timeout=PATIENCE).read().decode())
    fields |= {"username": "admin", "password": PASSWORD, "next": "/admin/"}
    browse.open(login, urllib.parse.urlencode(fields).encode(), timeout=PATIENCE)

    fields = form_fields(browse.open(page, timeout=PATIENCE).read().decode())
    before = len(first.lines)
    changed = {**fields, "nome": "João da Silva", "_save": "1"}
    browse.open(page, urllib.parse.urlencode(changed).encode(), timeout=PATIENCE)

    first.wait_for("cliente.atualizado", after=before)
    first.wait_for(r"✓.*X-Webhook-Signature", after=before)
    first.wait_for(r'"novo": "João da Silva"', after=before)


@pytest.mark.slow
def test_it_can_be_ended_and_run_again_and_ends_when_a_part_of_it_does(
    first: Process, run: Callable[..., Process]
) -> None:
    finish(first)

    second = run()
    second.wait_for(r"✓.*X-Webhook-Signature", seconds=2 * PATIENCE)
    second.wait_for(PASSWORD)
    assert "✗" not in second.output

    family = descendants(second.pid)
    worker = next(pid for pid in family if b"celery" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(worker, signal.SIGKILL)
    second.wait_for(r"worker.*-9")
    assert second.wait() == 1
    wait_for_the_end_of(family)


def form_fields(page: str) -> dict[str, str]:
    """The values that a browser would send back of a page's form, by name."""
    fields = {}
    for tag in re.findall(r"<input\b[^>]*>", page):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        kind = attributes.get("type", "text")
        if "name" in attributes and kind not in ("submit", "checkbox", "radio", "file"):
            fields[attributes["name"]] = html.unescape(attributes.get("value", ""))
    for name, text in re.findall(r'<textarea name="([^"]+)"[^>]*>\s*(.*?)</textarea>', page, re.S):
        fields[name] = html.unescape(text)
    return fields


def test_it_refuses_to_make_up_data_in_production(run: Callable[..., Process]) -> None:
    process = run(DEBUG="false")
    assert process.wait() == 1
    assert "DEBUG=true" in process.output
    assert "Traceback" not in process.output


@pytest.fixture
def first_env(tmp_path: Path) -> Callable[[], Path]:
    """Runs the script in a copy of the project's outline; returns the `.env` it wrote."""
    (tmp_path / "scripts").mkdir()
    script = Path(shutil.copy(ROOT / "scripts" / "first-env", tmp_path / "scripts"))

    def run() -> Path:
        subprocess.run(
            [sys.executable, str(script)], check=True, timeout=PATIENCE, capture_output=True
        )
        return tmp_path / ".env"

    return run


def test_the_first_env_is_the_owners_alone_and_stays(first_env: Callable[[], Path]) -> None:
    path = first_env()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert first_env().read_text() == text


def test_the_first_env_holds_what_the_project_needs(
    first_env: Callable[[], Path], tmp_path: Path
) -> None:
    script = (
        "import django, json; django.setup(); from django.conf import settings as s;"
        "from webhooks.sealed import fernet; fernet();"
        "print(json.dumps([s.DEBUG, s.WEBHOOKS['ALLOWED_NETWORKS'], s.WEBHOOKS['REQUIRE_HTTPS']]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "crm_project.settings",
            "ENV_FILE": str(first_env()),
            "VAR_DIR": str(tmp_path / "var"),
        },
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == [True, ["127.0.0.0/8", "::1/128"], False]
