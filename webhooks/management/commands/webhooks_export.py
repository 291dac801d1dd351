"""Write deliveries down, for a spreadsheet or another program."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webhooks import operations
from webhooks.management import arguments, choosing
from webhooks.management.base import WebhooksCommand
from webhooks.models import Delivery


class Command(WebhooksCommand):
    help = (
        "Writes deliveries down, the oldest first, as CSV (with the last attempt of each) or JSON "
        "Lines (with all). What was sent and answered is left out unless --payloads asks for it; "
        "secrets are never in it. It is recorded in the audit trail, with what was chosen."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        choosing.add_arguments(parser, statuses=Delivery.Status.values, default="all", dated="made")
        parser.add_argument(
            "--format",
            choices=list(operations.EXPORT_FORMATS),
            default="csv",
            help="default: csv",
        )
        parser.add_argument(
            "--payloads", action="store_true", help="also what was sent and answered: personal data"
        )
        parser.add_argument(
            "--output",
            metavar="FILE",
            help="a new file, for its owner alone to read; not given: the standard output",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        deliveries = operations.matching(self._filter(options))
        with (
            self._opened(options["output"]) as write,
            arguments.progress_bar(sys.stderr, total=None, unit=_("deliveries")) as bar,
        ):
            export = operations.export(
                deliveries,
                format=options["format"],
                payloads=options["payloads"],
                chosen=self._words(options),
                progress=bar.update,
            )
            bar.total = export.count
            for piece in export.pieces:
                write(piece)
        if options["output"]:
            self.stdout.write(
                ngettext("%(count)d delivery.", "%(count)d deliveries in total.", export.count)
                % {"count": export.count}
            )

    def _filter(self, options: dict[str, Any]) -> operations.DeliveryFilter:
        status = options["status"]
        return operations.DeliveryFilter(
            statuses=() if status == "all" else (status,),
            created_since=options["since"],
            created_until=options["until"],
            **choosing.chosen(options),
        )

    def _words(self, options: dict[str, Any]) -> dict[str, object]:
        """What was asked for, for the audit trail."""
        words = {
            "status": options["status"],
            "webhook": options["webhook"],
            "event_type": " ".join(options["event_type"]),
            "since": options["since"] and options["since"].isoformat(timespec="seconds"),
            "until": options["until"] and options["until"].isoformat(timespec="seconds"),
            "ids": " ".join(map(str, options["ids"])),
        }
        return {name: word for name, word in words.items() if word}

    @contextmanager
    def _opened(self, path: str | None) -> Iterator[Callable[[str], object]]:
        """What takes the file's pieces."""
        try:
            if path is None:
                yield lambda text: self.stdout.write(text, ending="")
                self.stdout.flush()
            else:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with open(descriptor, "w", encoding="utf-8", newline="") as file:
                    yield file.write
        except BrokenPipeError:  # `| head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            raise CommandError(
                _("Cannot write to %(path)s: %(error)s.")
                % {"path": path or _("the standard output"), "error": error.strerror}
            ) from error
