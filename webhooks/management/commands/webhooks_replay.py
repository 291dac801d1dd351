"""Send deliveries again."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webhooks import operations
from webhooks.addresses import shown_address
from webhooks.databases import writing
from webhooks.management import arguments, choosing
from webhooks.management.base import WebhooksCommand
from webhooks.models import Delivery


class Command(WebhooksCommand):
    help = (
        "Sends deliveries again: those that failed, unless told otherwise. Shows first what would "
        "be sent to whom; --yes acts without asking. The receivers see the same event ids as "
        "before. What is on its way already is left alone, so asking twice sends once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        choosing.add_arguments(
            parser, statuses=operations.SETTLED, default=Delivery.Status.FAILED, dated="settled"
        )
        parser.add_argument(
            "--batch-size", type=arguments.positive, default=500, help="rows a transaction"
        )
        parser.add_argument("--yes", action="store_true", help="act without asking")
        parser.add_argument(
            "--dry-run", action="store_true", help="show what would be sent, and end"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        filters = self._filter(options)
        deliveries = writing(operations.replayable(filters))
        counts = operations.count_replay(deliveries)
        total = sum(count.deliveries for count in counts)
        if gone := operations.count_gone(filters):
            self.stdout.write(
                ngettext(
                    "%(count)d delivery cannot be sent again: its payload was erased or pruned.",
                    "%(count)d deliveries cannot be sent again: their payloads were erased or "
                    "pruned.",
                    gone,
                )
                % {"count": gone}
            )
        if not total:
            self.stdout.write(_("Nothing to send again."))
            if options["ids"] and options["status"] != "all":
                self.stdout.write(_("--status all takes them however they ended."))
            return
        for count in counts:
            self._show(count)
        self.stdout.write(
            ngettext("%(count)d delivery.", "%(count)d deliveries in total.", total)
            % {"count": total}
        )
        if options["dry_run"]:
            self.stdout.write(_("Dry run: nothing was changed."))
            return
        if not options["yes"] and not arguments.confirmed(_("Send them? [y/N] ")):
            raise CommandError(_("Nothing was sent. Add --yes to send without being asked."))
        with arguments.progress_bar(sys.stderr, total=total, unit=_("deliveries")) as bar:
            sent = operations.replay(
                deliveries, batch_size=options["batch_size"], progress=bar.update
            )
        self.stdout.write(
            self.style.SUCCESS(
                ngettext(
                    "%(count)d delivery is on its way.",
                    "%(count)d deliveries are on their way.",
                    sent,
                )
                % {"count": sent}
            )
        )

    def _filter(self, options: dict[str, Any]) -> operations.ReplayFilter:
        status = options["status"]
        return operations.ReplayFilter(
            statuses=operations.SETTLED if status == "all" else (status,),
            since=options["since"],
            until=options["until"],
            **choosing.chosen(options),
        )

    def _show(self, count: operations.ReplayCount) -> None:
        first_at = timezone.localtime(count.first_at) if count.first_at else None
        line = _("%(count)6d  to %(name)s <%(url)s>, since %(first_at)s") % {
            "count": count.deliveries,
            "name": count.webhook.name,
            "url": shown_address(count.webhook.url),
            "first_at": f"{first_at:%Y-%m-%d %H:%M}" if first_at else "—",
        }
        if count.webhook.status != count.webhook.Status.ACTIVE:
            line += " " + _("(it is %(status)s: sent when it is resumed)") % {
                "status": count.webhook.get_status_display()
            }
        self.stdout.write(line)
