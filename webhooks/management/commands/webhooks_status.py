"""Tell how the deliveries go."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webhooks import operations
from webhooks.addresses import shown_address
from webhooks.management import arguments
from webhooks.management.base import WebhooksCommand
from webhooks.models import BulkJob, Webhook, Worker


class Command(WebhooksCommand):
    help = (
        "Tells how the deliveries go: the backlog, the workers, and each webhook's state, success "
        "share and latency of the last 24 hours, pending deliveries and last failure. With "
        "--fail-if-older-than it ends with code 1 when something has waited longer, for monitoring."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--webhook", metavar="ID|NAME", help="only this webhook")
        parser.add_argument("--json", action="store_true", dest="as_json", help="write JSON")
        parser.add_argument(
            "--fail-if-older-than",
            type=arguments.positive,
            metavar="SECONDS",
            help="end with code 1 if anything has been due for longer",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        backlog = operations.backlog(now)
        webhooks = (
            [arguments.webhook(options["webhook"])]
            if options["webhook"]
            else list(Webhook.objects.all())
        )
        report = {
            "backlog": {
                "undistributedEvents": backlog.undistributed,
                "pending": backlog.pending,
                "due": backlog.due,
                "held": backlog.held,
                "parked": backlog.parked,
                "oldestDueAt": backlog.oldest_due_at and backlog.oldest_due_at.isoformat(),
                "oldestDueSeconds": round(backlog.age_seconds(now), 1),
            },
            "workers": [self._worker(worker, now) for worker in operations.workers(now)],
            "webhooks": self._webhooks(webhooks),
        }
        if options["as_json"]:
            self.stdout.write(json.dumps(report, indent=2, ensure_ascii=False))
        else:
            self._write(report)
        limit = options["fail_if_older_than"]
        if limit is not None and backlog.age_seconds(now) > limit:
            self.stderr.write(
                self.style.ERROR(
                    _("The longest waiting has been due for %(age)d seconds, more than %(limit)d.")
                    % {"age": backlog.age_seconds(now), "limit": limit}
                )
            )
            sys.exit(1)

    def _worker(self, worker: Worker, now: datetime) -> dict[str, Any]:
        return {
            "id": worker.pk,
            "startedAt": worker.started_at.isoformat(),
            "seenAt": worker.seen_at.isoformat(),
            "seenSecondsAgo": round(max(0.0, (now - worker.seen_at).total_seconds()), 1),
            "inFlight": worker.in_flight,
            "shortage": worker.shortage or "",
        }

    def _webhooks(self, webhooks: list[Webhook]) -> list[dict[str, Any]]:
        states = operations.health(webhooks)
        jobs = operations.jobs_of(webhooks)
        rows = []
        for webhook in webhooks:
            state = states[webhook.pk]
            day, latency = state.day, state.day.latency
            failure, job = state.last_failure, jobs.get(webhook.pk)
            rows.append(
                {
                    "id": str(webhook.pk),
                    "name": webhook.name,
                    "url": shown_address(webhook.url),
                    "status": webhook.status,
                    "statusReason": webhook.reason,
                    "pending": state.pending,
                    "attempts24h": day.attempts,
                    "failures24h": day.failures,
                    "successShare": day.success_share,
                    "p50Ms": latency and latency.p50_ms,
                    "p95Ms": latency and latency.p95_ms,
                    "lastFailure": failure
                    and {
                        "at": failure.at.isoformat(),
                        "delivery": failure.delivery_id,
                        "sentence": failure.sentence,
                    },
                    "job": job and {"kind": job.kind, "changed": job.changed, "total": job.total},
                }
            )
        return rows

    def _write(self, report: dict[str, Any]) -> None:
        backlog = report["backlog"]
        self.stdout.write(
            _(
                "Backlog: %(due)d due of %(pending)d pending deliveries, %(undistributed)d events "
                "to distribute, %(parked)d deliveries parked. The longest waiting: %(age).0f s."
            )
            % {
                "due": backlog["due"],
                "pending": backlog["pending"],
                "undistributed": backlog["undistributedEvents"],
                "parked": backlog["parked"],
                "age": backlog["oldestDueSeconds"],
            }
        )
        if not report["workers"]:
            self.stdout.write(self.style.ERROR(_("No worker is running: nothing is delivered.")))
        for worker in report["workers"]:
            started = timezone.localtime(datetime.fromisoformat(worker["startedAt"]))
            self.stdout.write(
                _("Worker %(id)s: since %(at)s, last seen %(seconds).0f s ago, sending %(count)d.")
                % {
                    "id": worker["id"],
                    "at": f"{started:%Y-%m-%d %H:%M:%S}",
                    "seconds": worker["seenSecondsAgo"],
                    "count": worker["inFlight"],
                }
            )
            if worker["shortage"]:
                self.stdout.write(
                    self.style.ERROR(
                        _("  Its machine is short (%(shortage)s): it sends less at a time.")
                        % {"shortage": worker["shortage"]}
                    )
                )
        if not report["webhooks"]:
            self.stdout.write(_("There are no webhooks."))
        for row in report["webhooks"]:
            self._write_webhook(row)

    def _write_webhook(self, row: dict[str, Any]) -> None:
        status = str(dict(Webhook.Status.choices).get(row["status"], row["status"]))
        if row["statusReason"]:
            status += f" ({row['statusReason']})"
        share = row["successShare"]
        latency = (
            f"p50 {row['p50Ms']} ms, p95 {row['p95Ms']} ms" if row["p50Ms"] is not None else "—"
        )
        self.stdout.write("")
        self.stdout.write(self.style.MIGRATE_HEADING(f"{row['name']} <{row['url']}>"))
        self.stdout.write(
            ngettext(
                "  %(status)s · pending %(pending)d · last 24 h: %(attempts)d attempt, "
                "%(failures)d failed (%(share)s succeeded) · %(latency)s",
                "  %(status)s · pending %(pending)d · last 24 h: %(attempts)d attempts, "
                "%(failures)d failed (%(share)s succeeded) · %(latency)s",
                row["attempts24h"],
            )
            % {
                "status": status,
                "pending": row["pending"],
                "attempts": row["attempts24h"],
                "failures": row["failures24h"],
                "share": "—" if share is None else f"{share:.1%}",
                "latency": latency,
            }
        )
        if job := row["job"]:
            self.stdout.write(
                _("  under way: %(what)s, %(changed)d of %(total)d")
                % {**job, "what": BulkJob.Kind(job["kind"]).label}
            )
        failure = row["lastFailure"]
        if failure:
            at = timezone.localtime(datetime.fromisoformat(failure["at"]))
            self.stdout.write(
                _("  last failure (delivery %(delivery)d, %(at)s): %(sentence)s")
                % {
                    "delivery": failure["delivery"],
                    "at": f"{at:%Y-%m-%d %H:%M:%S}",
                    "sentence": failure["sentence"],
                }
            )
