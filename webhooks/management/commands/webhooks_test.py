"""Send a test event."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from webhooks import failures, operations
from webhooks.addresses import shown_address
from webhooks.conf import settings
from webhooks.management import arguments
from webhooks.management.base import WebhooksCommand
from webhooks.management.terminal import body_lines


class Command(WebhooksCommand):
    help = (
        "Sends the event webhook.teste to one webhook, signed like any other, and shows what came "
        "back. Ends with code 0 if the receiver accepted it and with 1 if not. It is tried once, "
        "also while the webhook is paused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("webhook", metavar="ID|NAME", help="the webhook's id or name")
        parser.add_argument(
            "--dry-run", action="store_true", help="show where it would go, and send nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        webhook = arguments.webhook(options["webhook"])
        self.stdout.write(f"{webhook.name}: POST {shown_address(webhook.url)}")
        if options["dry_run"]:
            self.stdout.write(_("Dry run: nothing was sent."))
            return
        attempt = operations.send_test(webhook)
        if attempt.status_code is not None:
            self.stdout.write(f"HTTP {attempt.status_code} ({attempt.duration_ms} ms)")
        if attempt.response_body:
            self.stdout.write("\n".join(body_lines(attempt.response_body.encode())))
        if attempt.succeeded:
            self.stdout.write(self.style.SUCCESS(_("Delivered.")))
            return
        self.stderr.write(
            self.style.ERROR(
                failures.sentence(
                    attempt.error,
                    detail=attempt.error_detail,
                    status=attempt.status_code,
                    timeout=webhook.timeout_seconds or settings.TIMEOUT_SECONDS,
                )
            )
        )
        sys.exit(1)
