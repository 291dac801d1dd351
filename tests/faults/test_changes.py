"""Webhooks that change while their deliveries are in flight; rows from another time; pruning."""

from __future__ import annotations

from django.utils import timezone

from tests.faults.catalogue import fault
from tests.faults.scene import Scene, Watched, assert_invariant
from webhooks import operations
from webhooks.models import Attempt, Webhook


def _in_flight(scene: Scene) -> tuple[Watched, Webhook, Watched]:
    """Ten deliveries of one webhook: two wait for their answer, eight in the worker's memory.

    :returns: a healthy receiver beside it, the webhook and its receiver.
    """
    _, healthy = scene.receiver()
    webhook, receiver = scene.receiver("changing")
    scene.worker(WEBHOOKS_RECEIVER_CONCURRENCY="2")
    receiver.hold()
    scene.save(10)
    receiver.server.wait_for(2)
    scene.wait_until_claimed(20)
    return healthy, webhook, receiver


def _let_the_worker_notice(scene: Scene, healthy: Watched) -> None:
    """For each event that it gives to webhooks a worker first reads what became of these."""
    scene.save()
    healthy.server.wait_for(len(scene.committed))


def _attempts(webhook: Webhook) -> int:
    return Attempt.objects.filter(delivery__webhook=webhook).count()


@fault(
    "Webhook deleted while its deliveries are in flight",
    promise="What is on its way ends; the rest is cancelled and not sent",
)
def test_deleted(scene: Scene) -> None:
    healthy, webhook, receiver = _in_flight(scene)
    operations.delete_webhook(webhook)
    _let_the_worker_notice(scene, healthy)
    receiver.let_go()
    assert_invariant(scene, cancelled=[webhook])
    scene.wait_until(lambda: _attempts(webhook) == 2, "the two on their way")
    assert receiver.server.count == 2


@fault(
    "Webhook paused while its deliveries are in flight, and resumed",
    promise="What is on its way ends; the rest waits, and is sent once it is resumed",
)
def test_paused(scene: Scene) -> None:
    _, webhook, receiver = _in_flight(scene)
    operations.pause(webhook, "maintenance")
    handed_back = webhook.deliveries.filter(lane=Webhook.Lane.PARKED)
    scene.wait_until(
        lambda: handed_back.filter(next_attempt_at__lte=timezone.now()).count() == 8,
        "those in the worker's memory to be handed back",
    )
    receiver.let_go()
    scene.wait_until(lambda: _attempts(webhook) == 2, "the two on their way")
    assert receiver.server.count == 2
    operations.resume(webhook)
    scene.fault_is_over()
    assert_invariant(scene, unpaced=[webhook])
    assert scene.outcome.duplicates == 0


@fault(
    "Signing secret replaced while deliveries are in flight",
    promise="What is sent from then on is signed with the new one alone",
)
def test_rekeyed(scene: Scene) -> None:
    healthy, webhook, receiver = _in_flight(scene)
    secret = operations.rotate_secret(webhook, overlap_seconds=0)
    _let_the_worker_notice(scene, healthy)
    receiver.server.secrets = (secret,)
    receiver.let_go()
    assert_invariant(scene, unpaced=[webhook])
    # Two were on their way, signed with the old one; none of the rest was.
    assert not receiver.refused
    assert scene.outcome.duplicates == 0


@fault(
    "Webhook deleted and another made while nothing is due",
    promise="Every event from then on is the new one's",
)
def test_replaced(scene: Scene) -> None:
    scene.receiver()
    webhook, receiver = scene.receiver("old")
    scene.worker()
    scene.save()
    scene.settle()
    operations.delete_webhook(webhook)
    _, new = scene.receiver("new")
    scene.save(3)
    assert_invariant(scene, cancelled=[webhook])
    assert receiver.server.count == 1
    assert new.server.count == 3
