"""The project that docs/quickstart.md makes, in an empty folder."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

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


class Shop:
    """:param python: whose packages the project runs with.
    :param path: where else it finds packages, for `PYTHONPATH`."""

    def __init__(self, folder: Path, python: Path, *path: Path) -> None:
        self.folder = folder
        self.python = python
        self.script = ""
        """What the page lets one type into a shell."""
        self.environment: Mapping[str, str] = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(map(str, (folder, *path))),
            "PYTHONUNBUFFERED": "1",
            "WEBHOOKS_ENCRYPTION_KEYS": FERNET_KEY,
            "WEBHOOKS_LISTEN_SECRET": SECRET,
        }
        self._started: list[Process] = []

    def run(self, *words: str) -> Process:
        process = Process([str(self.python), *words], self.environment, folder=self.folder)
        self._started.append(process)
        return process

    def manage(self, *words: str) -> str:
        process = self.run("manage.py", *words)
        assert process.wait() == 0, process.output
        return process.output

    def make(self, settings: str = "") -> None:
        """Steps 1 to 5, and tables. :param settings: what follows the page's own."""
        assert self.run("-m", "django", "startproject", "shop", ".").wait() == 0
        self.manage("startapp", "orders")
        for name, text in blocks(QUICKSTART):
            if name == "shell":
                self.script = text
            else:
                mode = "w" if name == "orders/models.py" else "a"
                with (self.folder / name).open(mode) as file:
                    file.write("\n" + text)
        with (self.folder / "shop/settings.py").open("a") as file:
            file.write("\n" + settings)
        self.manage("makemigrations", "orders")
        self.manage("migrate")

    def watch_one_arrive(self) -> Process:
        """Step 6. :returns: the worker, which runs."""
        port = free_port()
        receiver = self.run("manage.py", "webhooks_listen", "--port", str(port))
        receiver.wait_for(str(port))
        worker = self.run("-m", "celery", "-A", "shop", "worker")
        self.manage("shell", "-c", self.script.replace("9000", str(port)))
        for event in ("order.created", "order.updated", "order.paid"):
            receiver.wait_for(re.escape(event))
        receiver.wait_for('"novo": "PAID"')
        assert receiver.output.count("✓ X-Webhook-Signature") == 3
        return worker

    def close(self) -> None:
        for process in self._started:
            process.close()
