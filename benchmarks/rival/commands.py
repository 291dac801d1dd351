"""What runs inside a rival's project; see `benchmarks.project`, whose lines of input it obeys."""

from __future__ import annotations

import os

from benchmarks.project import CLIENT, command, main

RIVAL = os.environ["RIVAL"]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@command
def prepare(url: str) -> None:
    """Make the tables, and one webhook."""
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    if RIVAL == "django-webhook":
        from django_webhook.models import (
            Webhook,
            WebhookSecret,
            WebhookTopic,
            populate_topics_from_settings,
        )

        populate_topics_from_settings()
        webhook = Webhook.objects.create(url=url)
        webhook.topics.set([WebhookTopic.objects.get(name="crm.Client/create")])
        WebhookSecret.objects.create(webhook=webhook, token=SECRET)
    else:
        from django_outbound_webhooks import register_endpoint

        register_endpoint(name="sink", url=url, secret=SECRET, event_names=["crm.ClientCreated"])


@command
def create(count: int) -> None:
    from django.db import transaction

    from benchmarks.rival.crm.models import Client

    for _ in range(count):
        with transaction.atomic():
            client = Client.objects.create(**CLIENT)
            if RIVAL == "django-outbound-webhooks":
                _fire(client.pk, client.created_at.isoformat())


def _fire(pk: int, created_at: str) -> None:
    from django_domain_events import fire

    from benchmarks.rival.crm.events import ClientCreated

    fire(
        ClientCreated(
            f"cliente_{pk}", CLIENT["nome"], CLIENT["email"], CLIENT["telefone"], created_at
        )
    )


@command
def owed() -> int:
    if RIVAL == "django-webhook":
        from django_webhook.models import WebhookEvent

        return int(WebhookEvent.objects.exclude(status="SUCCESS").count())
    from django_domain_events.models.delivery_record import DeliveryRecord

    return int(DeliveryRecord.objects.exclude(status="succeeded").count())


if __name__ == "__main__":
    main()
