"""Rows as another version of the code, or a hand in the database, may have left them."""

from __future__ import annotations

from typing import Any

from django.db import connection

from tests.faults.catalogue import fault
from tests.faults.scene import CREATED, Scene, assert_invariant
from tests.webhooks.makers import SECRET, a_delivery, a_webhook, an_event
from webhooks.models import Attempt, Delivery, Webhook
from webhooks.testing import Receiver

PENDING = Delivery.Status.PENDING


def _left_as(webhook: Webhook, **columns: Any) -> Webhook:
    """With these values in its row, which no form would have taken."""
    Webhook.objects.filter(pk=webhook.pk).update(**columns)
    return webhook


def _unreadable(webhook: Webhook, column: str) -> None:
    """As if the key that encrypted it were lost."""
    statements = {
        "secret": "UPDATE webhooks_signingkey SET secret = %s WHERE webhook_id = %s",
        "headers": "UPDATE webhooks_webhook SET headers = %s WHERE id = %s",
    }
    id = webhook.pk if connection.vendor == "postgresql" else webhook.pk.hex
    with connection.cursor() as cursor:
        cursor.execute(statements[column], ["gAAAAABm" + "A" * 92, id])


@fault(
    "Webhooks with an unknown format, a schedule of null or garbage, patterns of null, a key lost",
    promise="What can be sent is; the rest fails and says why; no other webhook notices",
)
def test_old_webhooks(scene: Scene) -> None:
    scene.receiver()
    _left_as(scene.receiver("no schedule")[0], retry_schedule=None)
    _left_as(scene.receiver("a schedule that is none")[0], retry_schedule={"after": "a while"})
    _left_as(scene.receiver("no time")[0], timeout_seconds=0)
    unknown = _left_as(a_webhook(name="unknown format", events=[CREATED]), format="crm-1999")
    lost = [a_webhook(name=f"lost {column}", events=[CREATED]) for column in ("secret", "headers")]
    for webhook, column in zip(lost, ("secret", "headers"), strict=True):
        _unreadable(webhook, column)
    for patterns in ({}, "", 7, [None, 3], ["["]):
        _left_as(a_webhook(name="patterns"), events=patterns)
    nowhere = _left_as(a_webhook(name="nowhere", events=[CREATED]), url="not an address")

    scene.worker()
    scene.save(5)
    assert_invariant(scene, failed=[unknown, *lost, nowhere])
    assert scene.outcome.duplicates == 0
    why = Attempt.objects.filter(delivery__webhook__in=[unknown, *lost]).values_list(
        "error", flat=True
    )
    assert set(why) <= {"format", "internal"}
    scene.outcome.note = f"fails as {', '.join(sorted(set(why)))}"


@fault(
    "Events of an unknown type, without a snapshot, with a body that is no JSON",
    promise="Sent as they were recorded; where a format cannot tell them, that fails and says why",
)
def test_old_events(scene: Scene) -> None:
    scene.receiver()
    with Receiver(secrets=[SECRET]) as receiver:
        plain = a_webhook(name="plain", url=receiver.url, events=["antigo.*"])
        standard = a_webhook(
            name="standard", url=receiver.url, events=["antigo.*"], format="standard-webhooks"
        )
        an_event("antigo.tipo", fanned_out=False, snapshot="")
        an_event("antigo.tipo", fanned_out=False, snapshot="null", subject="", sequence=0)
        an_event("antigo.corpo", fanned_out=False, body="not JSON")
        an_event("antigo.vazio", fanned_out=False, body="")
        scene.worker()
        scene.save(5)
        assert_invariant(scene)
        ends = {
            (each.webhook_id, each.event.type): each.status
            for each in Delivery.objects.filter(webhook__in=[plain, standard]).select_related(
                "event"
            )
        }
    assert ends[plain.pk, "antigo.tipo"] == ends[standard.pk, "antigo.tipo"] == "delivered"
    assert ends[standard.pk, "antigo.corpo"] == "failed"
    # Of what was erased nothing can be told.
    assert ends[plain.pk, "antigo.vazio"] == ends[standard.pk, "antigo.vazio"] == "cancelled"


@fault(
    "Pending deliveries without a due time, beyond the schedule, in a lane that is not theirs",
    promise="Each is sent",
)
def test_old_deliveries(scene: Scene) -> None:
    scene.receiver()
    with Receiver(secrets=[SECRET]) as receiver:
        webhook = a_webhook(name="old", url=receiver.url, events=["antigo.*"])
        for columns in (
            {"next_attempt_at": None},
            {"schedule_position": 99, "attempt_count": 99},
            {"lane": Webhook.Lane.TROUBLED},
            {"lane": Webhook.Lane.TROUBLED, "next_attempt_at": None},
        ):
            a_delivery(webhook, an_event("antigo.tipo"), status=PENDING, **columns)
        scene.worker()
        scene.save(5)
        assert_invariant(scene)
        assert receiver.count == 4
    assert not Delivery.objects.exclude(status=Delivery.Status.DELIVERED).exists()
