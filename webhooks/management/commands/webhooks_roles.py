"""Make the groups “Operador de webhooks” and “Auditor”."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from webhooks.management.base import WebhooksCommand
from webhooks.operations import ROLES, ensure_roles


class Command(WebhooksCommand):
    help = (
        "Makes the groups “Operador de webhooks” and “Auditor” with the permissions that fit, and "
        "gives those that exist what they lack. Can be run again at any time. Seeing what payloads "
        "say (view_payload) is in neither: give it to whom it concerns."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="show the groups, and change nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        made = ensure_roles(dry_run=options["dry_run"])
        for name, codenames in ROLES.items():
            mark = "+" if name in made else "="
            self.stdout.write(f"{mark} {name}: {', '.join(codenames)}")
        if options["dry_run"]:
            self.stdout.write(_("Dry run: nothing was changed."))
