"""docs/api.md, command by command, against the server as it runs in production."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from api_common import tokens
from tests.processes import ROOT, Process
from tests.services import free_port
from tests.webhooks.makers import receiver
from webhooks.api import rd_descriptions

PAGES = ("docs/api.md", "docs/api.pt-BR.md")
STEP = re.compile(r"^```sh\n(.*?)^```\n\n^```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def steps(page: str) -> list[tuple[str, Any]]:
    """Commands, and what is shown of their answers."""
    found = STEP.findall((ROOT / page).read_text(encoding="utf-8"))
    return [(commands, json.loads(answer)) for commands, answer in found]


def differences(shown: Any, got: Any, path: str = "$") -> list[str]:
    """Where an answer is not as shown; it may say more, and “…” stands for any text."""
    match shown, got:
        case dict(), dict():
            return [
                line
                for key, each in shown.items()
                for line in differences(each, got.get(key, "(absent)"), f"{path}.{key}")
            ]
        case list(), list() if len(shown) == len(got):
            return [
                line
                for index, each in enumerate(shown)
                for line in differences(each, got[index], f"{path}[{index}]")
            ]
        case "…", str() if got != "(absent)":
            return []
    return [] if shown == got else [f"{path}: shown {shown!r}, got {got!r}"]


@pytest.mark.slow
def test_every_command_answers_as_the_page_shows(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    _token, token = tokens.create(User.objects.create_superuser("root"), "walk")
    port = free_port()
    bind = f"127.0.0.1:{port}"
    server = start("-m", "gunicorn", "crm_project.wsgi", "--bind", bind)
    server.wait_for("Booting worker")
    with receiver() as (url, got):
        script = [f"set -euo pipefail\nCRM=http://{bind} TOKEN={token} RECEIVER={url}\n"]
        # One shell for all, as for who follows the page.
        for number, (commands, _shown) in enumerate(steps(PAGES[0])):
            script.append(f"{{\n{commands}}} > answer-{number}\n")
        done = subprocess.run(
            ["bash", "-c", "".join(script)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 0, f"{done.stderr}\n{server.output}"
    for number, (commands, shown) in enumerate(steps(PAGES[0])):
        answer = json.loads((tmp_path / f"answer-{number}").read_text(encoding="utf-8"))
        assert differences(shown, answer) == [], commands
    assert [headers["x-webhook-event"] for headers, _body in got] == ["webhook.teste"]


def test_both_languages_show_the_same_steps() -> None:
    english, portuguese = map(steps, PAGES)
    assert english == portuguese and len(english) > 12


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_name_the_types_of_rd_station_that_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`(crm_\w+|WEBHOOK\.\w+)`", text))
    assert named == set(rd_descriptions.TYPES)
