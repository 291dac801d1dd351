"""Run inside an environment: `python probe.py [--without NAME,…] PACKAGE…`

Imports every module of some packages, and asks each command of theirs for its help. Prints a line
for each that cannot, and at last what `manage.py check` says.
"""

from __future__ import annotations

import importlib
import importlib.abc
import os
import pkgutil
import sys


class Absent(importlib.abc.MetaPathFinder):
    """As if some packages were not installed."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main() -> None:
    sys.path[0] = os.getcwd()
    packages = sys.argv[1:]
    if packages[0] == "--without":
        sys.meta_path.insert(0, Absent(set(packages[1].split(","))))
        packages = packages[2:]
    import django
    from django.core.management import call_command, get_commands, load_command_class

    django.setup()
    for package in packages:
        folders = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(folders, f"{package}.", onerror=lambda name: None):
            try:
                importlib.import_module(module.name)
            except Exception as error:
                print(f"{module.name}: {error!r}")  # noqa: T201
    for name, app in get_commands().items():
        if str(app).partition(".")[0] in packages:
            load_command_class(app, name).create_parser("manage.py", name).format_help()
    call_command("check")


if __name__ == "__main__":
    main()
