"""Forget what is old."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from webhooks import operations
from webhooks.management import arguments
from webhooks.management.base import WebhooksCommand


class Command(WebhooksCommand):
    help = (
        "Forgets what is old, in batches: the events' payloads, the receivers' responses, or all "
        "that is known of events, deliveries and attempts (metadata). Never what is still owed: "
        "events not yet distributed and those with a pending delivery stay whole."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            type=arguments.duration,
            metavar="DURATION",
            help="12h, 90d, 52w; the default is what the settings say of each kind "
            "(RETENTION_DAYS)",
        )
        parser.add_argument(
            "--kind",
            choices=operations.KINDS,
            action="append",
            dest="kinds",
            help="what to forget; may be repeated; all by default",
        )
        parser.add_argument(
            "--batch-size", type=arguments.positive, default=500, help="rows a transaction"
        )
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        older_than = self._limits(options["older_than"])
        kinds = tuple(options["kinds"] or operations.KINDS)
        for kind in kinds:
            if kind not in older_than:
                self.stdout.write(_("Kept for ever by the settings: %(kind)s.") % {"kind": kind})
        # What somebody chose to forget earlier is still owed: only the settings let it expire.
        expires = options["older_than"] is None and "payload" in kinds
        if options["dry_run"]:
            if expires:
                self._show_expired(operations.expired().count())
            self._show(operations.count_prunable(older_than, kinds))
            self.stdout.write(_("Dry run: nothing was changed."))
            return
        if expires:
            self._show_expired(operations.cancel_expired())
        total = None
        if sys.stderr.isatty():
            found = operations.count_prunable(older_than, kinds)
            total = found.events + found.payloads + found.responses
        with arguments.progress_bar(sys.stderr, total=total, unit=_("rows")) as bar:
            pruned = operations.prune(
                older_than, kinds, batch_size=options["batch_size"], progress=bar.update
            )
        self._show(pruned)

    def _limits(self, age: timedelta | None) -> operations.Limits:
        if age is None:
            return operations.retention_limits()
        return dict.fromkeys(operations.KINDS, timezone.now() - age)

    def _show_expired(self, count: int) -> None:
        if count:
            self.stdout.write(
                _("Expired, since their webhook was not resumed in time: %(count)d deliveries.")
                % {"count": count}
            )

    def _show(self, pruned: operations.Pruned) -> None:
        self.stdout.write(
            _(
                "Events deleted: %(events)d. Payloads emptied: %(payloads)d. Responses emptied: "
                "%(responses)d. Deleted webhooks removed: %(webhooks)d."
            )
            % {
                "events": pruned.events,
                "payloads": pruned.payloads,
                "responses": pruned.responses,
                "webhooks": pruned.webhooks,
            }
        )
        if pruned.partitions:
            self.stdout.write(
                _("Partitions of attempts dropped whole: %(count)d.") % {"count": pruned.partitions}
            )
