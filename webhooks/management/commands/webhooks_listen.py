"""A local receiver that shows what arrives, for whoever is writing one."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from webhooks.management.terminal import body_lines, printable
from webhooks.received import Answer, Request
from webhooks.receiver import Receiver
from webhooks.signing import InvalidSecret

SECRETS_VARIABLE = "WEBHOOKS_LISTEN_SECRET"
INDENT = "  "


class Command(BaseCommand):
    requires_system_checks: list[str] = []

    help = _(
        "Listens on this machine and shows each webhook that arrives: event, id, attempt, "
        "whether its signatures are right, and its body. With a secret, what is not signed "
        "by it is answered 401. "
        "Exit codes: 0 stopped, or --once complete; 1 with --once, some signature was wrong "
        "or it was stopped before; 2 it could not listen."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help=_("default: 127.0.0.1"))
        parser.add_argument(
            "--port", type=_port, default=9000, help=_("default: 9000; 0 takes a free one")
        )
        parser.add_argument(
            "--secret",
            action="append",
            help=_(
                "the webhook's secret (“whsec_…”, one's own, or a public key: “whpk_…” or in PEM); "
                "can be given several times. Better, for it stays out of the list of processes: "
                "the variable WEBHOOKS_LISTEN_SECRET, several separated by commas"
            ),
        )
        parser.add_argument(
            "--status",
            type=_status,
            default=200,
            help=_("the status to answer with, such as 500 to see retries (default: 200)"),
        )
        parser.add_argument(
            "--delay", type=_seconds, default=0.0, help=_("seconds to wait before answering")
        )
        parser.add_argument(
            "--once",
            type=_count,
            metavar="N",
            nargs="?",
            const=1,
            help=_("stop after N requests (N: 1 if not given)"),
        )

    def handle(self, *, host: str, port: int, once: int | None, **options: Any) -> None:
        # An argument is meant; the variable is what was around.
        secrets = options["secret"] or [
            each.strip() for each in os.environ.get(SECRETS_VARIABLE, "").split(",") if each.strip()
        ]
        self._language = get_language()  # of this thread; requests are shown from others
        self._writing = threading.Lock()
        self._once = once
        self._answered = 0
        self._wrong = 0
        self._finished = threading.Event()
        answer = Answer(status=options["status"], delay=options["delay"])
        try:
            receiver = Receiver(
                answer,
                secrets=secrets,
                host=host,
                port=port,
                keep=1,
                on_request=self._show,
                on_answer=self._count,
            )
        except InvalidSecret as error:
            raise CommandError(str(error), returncode=2) from error
        except (OSError, OverflowError) as error:
            raise CommandError(
                _("Cannot listen on %(host)s, port %(port)d: %(error)s. Choose another --port.")
                % {"host": host, "port": port, "error": error},
                returncode=2,
            ) from error
        with receiver, _stop_signals(self._finished):
            self._write(_("Listening on %(url)s. Ctrl+C stops.") % {"url": receiver.url})
            if not secrets:
                self._write(_("No --secret was given: signatures are not checked."))
            self._finished.wait()
        if once is not None and (self._wrong or self._answered < once):
            sys.exit(1)

    # --- Showing ------------------------------------------------------------------------------

    def _show(self, request: Request, answer: Answer) -> None:
        """Called by each connection's thread when a request is there."""
        with override(self._language):
            text = "\n".join(self._lines(request, answer))
        if self._once is None or request.number <= self._once:
            self._write(text)

    def _count(self, request: Request, answer: Answer) -> None:
        """Called by each connection's thread once the answer was sent."""
        with self._writing:
            self._answered += 1
            if request.verdicts and not request.verified:
                self._wrong += 1
            if self._once is not None and self._answered >= self._once:
                self._finished.set()

    def _lines(self, request: Request, answer: Answer) -> Iterator[str]:
        style = self.style
        moment = time.strftime("%H:%M:%S", time.localtime(request.received_at))
        event = style.MIGRATE_HEADING(printable(request.event or request.path))
        about = [printable(request.id), printable(request.path)]
        if request.attempt:
            about.insert(1, _("attempt %(number)s") % {"number": printable(request.attempt)})
        yield f"{moment}  {event}  {'  '.join(filter(None, about))}"
        for verdict in request.verdicts:
            if verdict.valid:
                verified = _("signature verified")
                yield f"{INDENT}{style.SUCCESS(f'✓ {verdict.header}: {verified}')}"
            else:
                detail = printable(verdict.detail)
                yield f"{INDENT}{style.ERROR(f'✗ {verdict.header}: {detail}')}"
        yield from (INDENT + line for line in body_lines(request.body))
        color = style.SUCCESS if 200 <= answer.status < 300 else style.WARNING
        yield f"{INDENT}{color(f'→ {answer.status}')}\n"

    def _write(self, text: str) -> None:
        """Write whole lines at once: whoever reads them through a pipe sees them as they come."""
        with self._writing:
            try:
                self.stdout.write(text)
                self.stdout.flush()
            except BrokenPipeError:  # `| head` has seen enough
                self._finished.set()


@contextmanager
def _stop_signals(stop: threading.Event) -> Iterator[None]:
    """Ctrl+C and SIGTERM set `stop`; where signals cannot be had (a thread), nothing does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


# --- Arguments --------------------------------------------------------------------------------


def _number(text: str, kind: type[int] | type[float], least: float, most: float) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not least <= value <= most:
        raise ArgumentTypeError(
            _("%(text)s is not a number from %(least)d to %(most)d")
            % {"text": text, "least": least, "most": most}
        )
    return value


def _port(text: str) -> int:
    return int(_number(text, int, 0, 65_535))


def _status(text: str) -> int:
    return int(_number(text, int, 200, 599))


def _seconds(text: str) -> float:
    return float(_number(text, float, 0, 3600))


def _count(text: str) -> int:
    return int(_number(text, int, 1, 1_000_000_000))
