"""`make run`: the CRM, a worker and a receiver side by side, and a webhook to watch arrive."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse
from django.utils.translation import gettext as _

from clientes.models import Cliente
from crm_project.demo import data, programs
from crm_project.demo.screen import Screen
from crm_project.demo.supervisor import ProgramEndedError, Supervisor
from webhooks import operations
from webhooks.models import Delivery, Webhook
from webhooks.sealed import SecretUnreadable

WEBHOOK_NAME = "make run"
READY_SECONDS = 60.0
ARRIVAL_SECONDS = 30.0


class Command(BaseCommand):
    help = _("Run the CRM, a worker and a receiver with demo data, and show a webhook arriving.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port",
            type=int,
            default=int(os.environ.get("PORT") or 8000),
            help=_("Port of the web interface, or the next free one (PORT, 8000)."),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError(
                _("This makes a user and made-up data: it runs only with DEBUG=true (see .env).")
            )
        self.screen = Screen()
        self.supervisor = Supervisor(self.screen.line_of)
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            self._demonstrate(options["port"])
        except KeyboardInterrupt:
            self.screen.say(_("Ending …"))
        except ProgramEndedError as error:
            for line in [] if error.program.ready else error.program.lines:
                self.screen.line_of(error.program.name, line)
            self.screen.say(
                _("“%(name)s” ended with status %(status)d, and so does the rest.")
                % {"name": error.program.name, "status": error.status},
                "red",
            )
            sys.exit(1)
        finally:
            # A second Ctrl-C must not leave any of them running.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self.supervisor.stop()

    def _demonstrate(self, wanted_port: int) -> None:
        self.screen.say(_("Preparing the database …"))
        call_command("migrate", verbosity=0)
        operations.ensure_roles()
        password = os.environ.get("ADMIN_PASSWORD") or secrets.token_urlsafe(9)
        data.ensure_records(data.ensure_admin(password))

        port = _port_near(wanted_port)
        if port != wanted_port:
            self.screen.say(
                _("Port %(wanted)d is taken; %(port)d is used.")
                % {"wanted": wanted_port, "port": port}
            )
        receiver_port = _port_near(port + 1)
        secret = _webhook_secret(f"http://127.0.0.1:{receiver_port}/")

        self.screen.say(_("Starting a receiver, a worker and the web …"))
        self.supervisor.start(
            programs.receiver(receiver_port, secret, coloured=self.screen.coloured)
        )
        self.supervisor.start(programs.worker())
        self.supervisor.start(programs.web(port))
        if not self.supervisor.run_until_ready(seconds=READY_SECONDS):
            raise CommandError(_("They were not all ready within a minute."))

        self.supervisor.run(seconds=1)
        client = self._create_client()
        self._tell_what_next(f"http://localhost:{port}", client, password)
        self.supervisor.run()

    def _create_client(self) -> Cliente:
        began = time.monotonic()
        client = data.new_client()
        self.screen.say(_("The client “%s” was saved. Its webhook:") % client, "bold")
        owed = Delivery.objects.filter(event__subject=client.public_id)
        arrived = self.supervisor.run(
            owed.filter(status=Delivery.Status.DELIVERED).exists, seconds=ARRIVAL_SECONDS
        )
        if arrived:
            self.screen.say(
                _("It arrived %.2f s after the save began.") % (time.monotonic() - began), "green"
            )
        else:
            self.screen.say(_("It has not arrived yet: see “Deliveries” in the admin."), "red")
        return client

    def _tell_what_next(self, site: str, client: Cliente, password: str) -> None:
        change = reverse("admin:clientes_cliente_change", args=[client.pk])
        self.screen.box(
            [
                _("Admin    %s") % (site + reverse("admin:index")),
                _("Login    %(user)s / %(password)s") % {"user": data.ADMIN, "password": password},
                "",
                _("Edit this client and watch “cliente.atualizado” arrive here:"),
                f"  {site}{change}",
                _("What was sent, and what came back:"),
                f"  {site}{reverse('admin:webhooks_delivery_changelist')}",
                "",
                _("Ctrl-C ends everything."),
            ]
        )


def _port_near(wanted: int) -> int:
    try:
        return programs.free_port(wanted)
    except OSError as error:
        raise CommandError(str(error)) from None


def _webhook_secret(url: str) -> str:
    """The secret of the demonstration's own webhook, which listens to everything."""
    webhook = Webhook.objects.filter(name=WEBHOOK_NAME).first()
    if webhook is not None:
        try:
            key = webhook.signing_keys.first()
            if key is not None:
                operations.update_webhook(webhook, url=url)
                operations.resume(webhook)
                return str(key.secret.reveal())
        except SecretUnreadable:  # made under an encryption key that `.env` no longer holds
            pass
        operations.delete_webhook(webhook)
    return operations.create_webhook(name=WEBHOOK_NAME, url=url, events=["*"])[1]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
