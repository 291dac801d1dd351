"""Groups for those who work with webhooks, with the permissions that fit."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from ..databases import writing

ROLES: dict[str, tuple[str, ...]] = {
    # Makes, changes and mends; sees what payloads say only with `view_payload` besides.
    "Operador de webhooks": (
        "add_webhook",
        "change_webhook",
        "view_webhook",
        "view_event",
        "view_delivery",
        "view_bulkjob",
        "replay_delivery",
        "test_webhook",
        "rotate_secret",
    ),
    # Looks, and triggers nothing.
    "Auditor": (
        "view_webhook",
        "view_event",
        "view_delivery",
        "view_bulkjob",
        "view_auditentry",
    ),
}


def ensure_roles(*, dry_run: bool = False) -> list[str]:
    """Make the groups that are missing, and give each what it lacks; what else they may stays.

    :returns: the names of the groups that were made, or with `dry_run` would be.
    """
    made = []
    with transaction.atomic():
        for name, codenames in ROLES.items():
            group, created = Group.objects.get_or_create(name=name)
            group.permissions.add(
                *writing(Permission).filter(
                    content_type__app_label="webhooks", codename__in=codenames
                )
            )
            if created:
                made.append(name)
        if dry_run:
            transaction.set_rollback(True)
    return made
