"""The quickstart, followed to the letter in an empty folder."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.environment import FERNET_KEY
from tests.processes import ROOT, Process
from tests.services import free_port

QUICKSTART = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
SECRET = "a-secret-of-16-or-more"


def blocks(page: str) -> list[tuple[str, str]]:
    """The Python of a page that names its file in its first line: (file, text)."""
    found = re.findall(r"^( *)```python\n *# (\S+)\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)
    return [
        (name, "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True)))
        for indent, name, text in found
    ]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    environment: Mapping[str, str] = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        "PYTHONUNBUFFERED": "1",
        "WEBHOOKS_ENCRYPTION_KEYS": FERNET_KEY,
        "WEBHOOKS_LISTEN_SECRET": SECRET,
    }
    started: list[Process] = []

    def start(*words: str) -> Process:
        process = Process([sys.executable, *words], environment, folder=tmp_path)
        started.append(process)
        return process

    yield start
    for process in started:
        process.close()


@pytest.mark.slow
def test_a_new_project_tells_what_the_quickstart_says(
    tmp_path: Path, run: Callable[..., Process]
) -> None:
    def manage(*words: str) -> str:
        process = run("manage.py", *words)
        assert process.wait() == 0, process.output
        return process.output

    assert run("-m", "django", "startproject", "shop", ".").wait() == 0
    manage("startapp", "orders")
    script = ""
    for name, text in blocks(QUICKSTART):
        if name == "shell":
            script = text
        else:
            with (tmp_path / name).open("w" if name == "orders/models.py" else "a") as file:
                file.write("\n" + text)

    manage("makemigrations", "orders")
    manage("migrate")
    assert "webhooks.E" not in manage("check")
    port = free_port()
    receiver = run("manage.py", "webhooks_listen", "--port", str(port))
    receiver.wait_for(str(port))
    worker = run("-m", "celery", "-A", "shop", "worker")
    manage("shell", "-c", script.replace("9000", str(port)))

    for event in ("order.created", "order.updated", "order.paid"):
        receiver.wait_for(re.escape(event))
    receiver.wait_for('"novo": "PAID"')
    assert receiver.output.count("✓ X-Webhook-Signature") == 3
    assert worker.stop() == 0


@pytest.mark.parametrize("name", ["README.md", "README.pt-BR.md"])
def test_the_readme_shows_the_same_code(name: str) -> None:
    whole = dict(blocks(QUICKSTART))
    shown = dict(blocks((ROOT / name).read_text(encoding="utf-8")))
    for file in ("orders/models.py", "orders/eventos.py"):
        assert shown[file] == whole[file]
