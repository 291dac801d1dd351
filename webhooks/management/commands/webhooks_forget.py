"""Erase what was told of a person, at their request."""

from __future__ import annotations

import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webhooks import operations
from webhooks.addresses import shown_address
from webhooks.conf import settings
from webhooks.management import arguments
from webhooks.management.base import WebhooksCommand


class Command(WebhooksCommand):
    help = (
        "Erases the personal data of one data subject (LGPD, Art. 18) from events and attempts: "
        "payloads, and what receivers answered. Ids, types, times and statuses stay. Shows first "
        "what would be erased and who was sent it; --yes acts without asking. Can be stopped and "
        "run again. It does not reach the CRM's own records, backups, nor the receivers: they "
        "must be told."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--subject", required=True, metavar="ID", help="whom to forget, such as cliente_123"
        )
        parser.add_argument(
            "--batch-size",
            type=arguments.positive,
            default=100,
            help="events a transaction",
        )
        parser.add_argument("--yes", action="store_true", help="act without asking")
        parser.add_argument(
            "--dry-run", action="store_true", help="show what would be erased, and end"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            subject = operations.clean_subject(options["subject"])
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        found = operations.count_forgettable(subject)
        self._show_recipients(subject)
        if found == operations.Forgotten():
            self.stdout.write(
                _("Nothing is kept about %(subject)s that is not erased.") % {"subject": subject}
            )
            return
        self.stdout.write(
            _(
                "About %(subject)s: events to erase: %(events)d. Attempts to empty: %(attempts)d. "
                "Pending deliveries to cancel: %(cancelled)d."
            )
            % {"subject": subject, **_counts(found)}
        )
        if options["dry_run"]:
            self.stdout.write(_("Dry run: nothing was changed."))
            return
        if not options["yes"] and not arguments.confirmed(
            _("Erase them? This cannot be undone. [y/N] ")
        ):
            raise CommandError(_("Nothing was erased. Add --yes to erase without being asked."))
        with arguments.progress_bar(sys.stderr, total=found.events, unit=_("events")) as bar:
            done = operations.forget(subject, batch_size=options["batch_size"], progress=bar.update)
        self._report(done)

    def _show_recipients(self, subject: str) -> None:
        recipients = operations.recipients(subject)
        if recipients:
            self.stdout.write(_("These receivers were sent it and must be told to erase it too:"))
        for recipient in recipients:
            self.stdout.write(
                _("%(count)6d  to %(name)s <%(url)s>, last %(last_at)s")
                % {
                    "count": recipient.deliveries,
                    "name": recipient.webhook.name,
                    "url": shown_address(recipient.webhook.url),
                    "last_at": f"{timezone.localtime(recipient.last_at):%Y-%m-%d %H:%M}"
                    if recipient.last_at
                    else "—",
                }
            )

    def _report(self, done: operations.Forgotten) -> None:
        self.stdout.write(
            self.style.SUCCESS(
                _(
                    "Events erased: %(events)d. Attempts emptied: %(attempts)d. Pending deliveries "
                    "cancelled: %(cancelled)d."
                )
                % _counts(done)
            )
        )
        if done.cancelled:
            self.stdout.write(
                _(
                    "A request that a worker had taken before may still go out during the next "
                    "%(seconds)d seconds; what is recorded of it holds no data."
                )
                % {"seconds": settings.LEASE_SECONDS}
            )
        if done.busy:
            raise CommandError(
                ngettext(
                    "Workers were busy with %(busy)d event: run this command again.",
                    "Workers were busy with %(busy)d events: run this command again.",
                    done.busy,
                )
                % _counts(done)
            )


def _counts(forgotten: operations.Forgotten) -> dict[str, int]:
    return {
        "events": forgotten.events,
        "attempts": forgotten.attempts,
        "cancelled": forgotten.cancelled,
        "busy": forgotten.busy,
    }
