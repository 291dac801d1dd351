"""Keep attempts in one partition a month."""

from __future__ import annotations

import argparse
from datetime import date, datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import OperationalError
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.translation import gettext as _

from webhooks import operations
from webhooks.management import arguments
from webhooks.management.base import WebhooksCommand
from webhooks.operations import partitioning, partitions

MOST_AHEAD = 12  # months


def month(text: str) -> date:
    """`2027-01`, a year from now at the latest. For argparse."""
    try:
        found = datetime.strptime(text.strip(), "%Y-%m").date()
    except ValueError:
        raise argparse.ArgumentTypeError(
            _("“%(text)s” is no month: write 2027-01.") % {"text": text[:100]}
        ) from None
    if found > partitions.months_after(timezone.now().date(), MOST_AHEAD):
        # The ids do not go back: all until then would lie in that month.
        raise argparse.ArgumentTypeError(
            _("%(text)s is more than a year away.") % {"text": text.strip()}
        )
    return found


def ahead(text: str) -> int:
    """A number of months, a year at most. For argparse."""
    return min(MOST_AHEAD, arguments.positive(text))


class Command(WebhooksCommand):
    help = (
        "Keeps attempts in one partition a month (PostgreSQL), so that a month past its retention "
        "is dropped whole. The first time it converts the table, which can be done while workers "
        "work; from then on it makes the partitions of the coming months, lets the ids go on in "
        "the current month's, and drops what has expired, as webhooks.maintain does every hour. "
        "Attempts of a delivery that is still pending are never dropped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--month",
            type=month,
            metavar="YYYY-MM",
            help="the month that is to be the current one; this one by default, and at the latest "
            "that of a year from now",
        )
        parser.add_argument(
            "--ahead",
            type=ahead,
            default=partitions.AHEAD,
            metavar="MONTHS",
            help="how many coming months get a partition, 12 at most (%(default)s)",
        )
        parser.add_argument("--yes", action="store_true", help="convert without asking")
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be done, and change nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        dry = options["dry_run"]
        try:
            if not partitions.is_partitioned():
                self._convert(dry=dry, sure=options["yes"])
            if dry:
                for each in partitions.coming(options["month"], ahead=options["ahead"]):
                    self.stdout.write(_("To be made: %(name)s.") % {"name": each.name})
            else:
                partitions.roll(options["month"], ahead=options["ahead"], tell=self._tell)
            limit = operations.retention_limits().get("metadata")
            if dry and limit is not None:
                for each in partitions.expired(limit):
                    self.stdout.write(_("To be dropped: %(name)s.") % {"name": each.name})
            elif limit is not None:
                partitions.drop_expired(limit, tell=self._tell)
        except partitions.CannotPartition as error:
            raise CommandError(str(error)) from None
        except OperationalError as error:
            raise CommandError(
                _("Something long holds the table; try again later. (%(error)s)")
                % {"error": str(error).strip()}
            ) from None
        self._show()
        if dry:
            self.stdout.write(_("Dry run: nothing was changed."))

    def _convert(self, *, dry: bool, sure: bool) -> None:
        partitioning.refuse_what_hinders()
        if dry:
            self.stdout.write(_("The table of attempts would be converted to partitions."))
            return
        if not sure and not arguments.confirmed(
            _("Convert the table of attempts to partitions? There is no way back. [y/N] ")
        ):
            raise CommandError(_("Not confirmed: add --yes."))
        partitioning.convert(self._tell)

    def _tell(self, step: str) -> None:
        self.stdout.write(step)

    def _show(self) -> None:
        for each in partitions.partitions():
            self.stdout.write(
                _("%(name)s: about %(rows)d attempts, %(size)s, %(state)s")
                % {
                    "name": each.name,
                    "rows": each.rows,
                    "size": filesizeformat(each.size),
                    "state": _("closed on %(day)s") % {"day": f"{each.closed_at:%Y-%m-%d}"}
                    if each.closed_at
                    else _("open"),
                }
            )
