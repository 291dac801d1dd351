"""Make the groups “Operador de webhooks” and “Auditor”."""

from __future__ import annotations

from typing import Any

from webhooks.management.base import WebhooksCommand
from webhooks.operations import ROLES, ensure_roles


class Command(WebhooksCommand):
    help = (
        "Makes the groups “Operador de webhooks” and “Auditor” with the permissions that fit, and "
        "gives those that exist what they lack. Can be run again at any time. Seeing what payloads "
        "say (view_payload) is in neither: give it to whom it concerns."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        made = ensure_roles()
        for name, codenames in ROLES.items():
            mark = "+" if name in made else "="
            self.stdout.write(f"{mark} {name}: {', '.join(codenames)}")
