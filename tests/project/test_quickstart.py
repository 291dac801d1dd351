"""The quickstart, followed to the letter in an empty folder."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.project.quickstart import QUICKSTART, Shop, blocks


@pytest.mark.slow
def test_a_new_project_tells_what_the_quickstart_says(tmp_path: Path) -> None:
    with contextlib.closing(Shop(tmp_path, Path(sys.executable), ROOT)) as shop:
        shop.make()
        assert "webhooks.E" not in shop.manage("check")
        worker = shop.watch_one_arrive()
        assert worker.stop() == 0


@pytest.mark.parametrize("name", ["README.md", "README.pt-BR.md"])
def test_the_readme_shows_the_same_code(name: str) -> None:
    whole = dict(blocks(QUICKSTART))
    shown = dict(blocks((ROOT / name).read_text(encoding="utf-8")))
    for file in ("orders/models.py", "orders/eventos.py"):
        assert shown[file] == whole[file]
