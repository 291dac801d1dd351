"""Virtual environments that hold what production installs, and nothing of what tests need.

They are kept in `var/`, by what they are made from: another run of the tests finds them there.
Neither pip nor setuptools is in them, only what was asked for.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.processes import ROOT
from tests.services.base import workspace

KEPT = ROOT / "var" / "test-environments"
LOCKED = ROOT / "requirements.txt"
EXTRAS = "postgres,redis,api"
PACKAGED = ("pyproject.toml", "README.md", "LICENSE", "webhooks", "api_common")


def of_requirements() -> Path:
    """What `pip install -r requirements.txt` makes. :returns: its folder."""

    def install(folder: Path) -> None:
        _pip(folder, "install", "--require-hashes", "--no-compile", "-r", str(LOCKED))

    with _locked():
        return _kept("requirements", _digest([LOCKED]), install)


def of_wheel() -> Path:
    """What `pip install "….whl[postgres,redis,api]"` makes, of the project as it is now.

    Versions are those of requirements.txt, so that a release of somebody else's fails no test; what
    is installed is what the wheel asks for. :returns: its folder.
    """
    sources = [ROOT / name for name in tracked(*PACKAGED)]
    dependencies = _digest([LOCKED, ROOT / "pyproject.toml"])

    def install(folder: Path) -> None:
        _install_wheel(folder, sources)

    with _locked():
        folder = _kept("wheel", dependencies, install)
        if (folder / "made-from").read_text() != _digest(sources):
            _install_wheel(folder, sources, "--no-deps", "--force-reinstall")
        return folder


def tracked(*paths: str) -> list[str]:
    """The project's files below some paths, without what git ignores."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.split("\0") if name]
    return sorted(name for name in set(names) if (ROOT / name).is_file())


def copy(names: Sequence[str], folder: Path) -> None:
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)


def _install_wheel(folder: Path, sources: Sequence[Path], *options: str) -> None:
    # A copy: what an earlier build left in the project would be packed too.
    project = workspace("wheel")
    copy([str(path.relative_to(ROOT)) for path in sources], project)
    _pip(None, "wheel", "--no-deps", "--wheel-dir", str(project / "dist"), str(project))
    [wheel] = (project / "dist").glob("*.whl")
    constraints = project / "constraints.txt"
    constraints.write_text("\n".join(_versions()))
    _pip(
        *(folder, "install", "--no-compile", "--constraint", str(constraints), *options),
        f"django-crm-webhooks[{EXTRAS}] @ {wheel.as_uri()}",
    )
    (folder / "made-from").write_text(_digest(sources))


def _versions() -> list[str]:
    """The lines `name==version` of requirements.txt, with their conditions."""
    return re.findall(r"^([\w.-]+==[^\\\n]+)", LOCKED.read_text(), re.MULTILINE)


def _kept(name: str, digest: str, install: Callable[[Path], None]) -> Path:
    folder = KEPT / f"{name}-{digest}"
    if not (folder / "complete").exists():
        for other in KEPT.glob(f"{name}-*"):
            shutil.rmtree(other)
        venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
        install(folder)
        (folder / "complete").touch()
    return folder


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """The lanes of `make test` run side by side."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest(paths: Sequence[Path]) -> str:
    found = hashlib.sha256(f"{sys.version} {sys.base_prefix}".encode())
    for path in paths:
        found.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def _pip(folder: Path | None, *words: str) -> None:
    """pip of the tests' own environment, at work on another one.

    :raises AssertionError: it failed; says what it wrote.
    """
    there = () if folder is None else ("--python", str(folder))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-qq", *there]
    done = subprocess.run([*pip, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"pip {' '.join(words)} failed:\n{done.stdout}{done.stderr}"
