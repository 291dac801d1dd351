"""What the commands share."""

from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import BaseCommand

from ..context import acting, who


class WebhooksCommand(BaseCommand):
    """What it does is known to have come from a command, from which, and by whose login.

    Called from within a request (`call_command`), it is still the request's user who acts.
    """

    def execute(self, *args: Any, **options: Any) -> str | None:
        if who()[0] != "system":
            return super().execute(*args, **options)
        with acting("command", self._actor):
            return super().execute(*args, **options)

    def _actor(self) -> str:
        name = type(self).__module__.rpartition(".")[2]
        try:
            return f"{name} ({getpass.getuser()})"
        except (KeyError, OSError):  # a container's user may have no name
            return name
