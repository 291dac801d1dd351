"""Failing receivers: held back, tried one at a time, and in the end disabled."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.db import transaction
from django.utils import timezone, translation

from tests.services.base import wait_until
from webhooks import breaker, disabling, events, latency, operations, reasons
from webhooks.fanout import Owed, owe
from webhooks.models import Delivery, Event, Tally, Webhook
from webhooks.queue import Pulse, queue_on
from webhooks.signals import webhook_disabled
from webhooks.testing import Answer, Receiver, deliver_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

DAYS = dt.timedelta(days=1)


def make_webhook(url: str = "http://127.0.0.1:9/", **values: Any) -> Webhook:
    values = {"name": "ERP", "events": ["teste.feito"], **values}
    webhook, _secret = operations.create_webhook(url=url, **values)
    return webhook


@pytest.fixture(autouse=True)
def _event_type() -> None:
    events.declare(
        "teste.feito", description="", area="", data_schema={"type": "object"}, example={}
    )


def tell(count: int) -> None:
    for number in range(count):
        events.emit("teste.feito", data={"n": number})


def owe_troubled(webhook: Webhook, count: int) -> None:
    """Deliveries that wait in the webhook's own lane."""
    tell(count)
    owe(
        [
            Owed(pk, webhook.pk, Webhook.Lane.TROUBLED)
            for pk in Event.objects.values_list("pk", flat=True)
        ]
    )
    Event.objects.update(fanned_out=True)
    Webhook.objects.filter(pk=webhook.pk).update(lane=Webhook.Lane.TROUBLED)


def fail_for(webhook: Webhook, days: float, *, attempts: int = 100, failures: int = 100) -> None:
    now = timezone.now()
    since = now - days * DAYS
    Webhook.objects.filter(pk=webhook.pk).update(
        failing_since=since, created_at=since - 30 * DAYS, status_changed_at=since - 30 * DAYS
    )
    for hour in (since, now):
        Tally.objects.create(
            webhook=webhook,
            hour=hour.replace(minute=0, second=0, microsecond=0),
            attempts=attempts // 2,
            failures=failures // 2,
        )


def took(duration_ms: int) -> list[int]:
    successes = latency.nothing()
    successes[latency.bucket(duration_ms)] += 1
    return successes


def test_attempts_are_counted_and_a_success_ends_a_bad_time() -> None:
    webhook = make_webhook()
    queue = queue_on()
    [failing] = queue.note([Pulse(webhook.pk, attempts=3, failures=3, well=False)])
    assert (failing.webhook_id, failing.failures) == (webhook.pk, 3)
    [failing] = queue.note(
        [Pulse(webhook.pk, attempts=2, failures=1, duration_ms=7, successes=took(7), well=False)]
    )
    assert failing.failures == 4
    webhook.refresh_from_db()
    assert webhook.failing_since is not None

    assert queue.note([Pulse(webhook.pk, attempts=1, duration_ms=9, successes=took(9))]) == []
    webhook.refresh_from_db()
    assert (webhook.failing_since, webhook.failure_count) == (None, 0)
    [tally] = Tally.objects.all()
    assert (tally.attempts, tally.failures, tally.duration_ms) == (6, 4, 16)
    assert tally.within_10_ms == 2
    assert sum(getattr(tally, column) for column in latency.COLUMNS) == 2


@pytest.mark.parametrize("failures", [1, breaker.AFTER_FAILURES])
def test_a_success_ends_what_the_breaker_holds_and_not_what_the_receiver_asked_for(failures):
    webhook = make_webhook(rate_limit=5)
    queue = queue_on()
    queue.note([Pulse(webhook.pk, attempts=failures, failures=failures, well=False)])
    queue.hold({webhook.pk: 300})
    queue.note([Pulse(webhook.pk, attempts=1, duration_ms=9, successes=took(9))])
    webhook.refresh_from_db()
    tripped = failures >= breaker.AFTER_FAILURES
    assert (webhook.hold_until is None) == tripped


def test_one_that_takes_some_and_says_of_others_that_it_is_too_much_is_slowed_down() -> None:
    answers = iter([Answer(status=429, headers={"Retry-After": "300"}), Answer()])
    with Receiver(lambda request: next(answers)) as receiver:
        webhook = make_webhook(receiver.url)
        tell(2)
        deliver_all()
        assert receiver.count == 2
    webhook.refresh_from_db()
    assert 290 < (webhook.hold_until - timezone.now()).total_seconds() <= 300


def test_a_receiver_that_is_held_is_sent_nothing_and_no_retry_is_spent() -> None:
    webhook = make_webhook()
    owe_troubled(webhook, 3)
    queue = queue_on()
    queue.hold({webhook.pk: 600})
    assert not queue.due().troubled
    assert queue.claim_troubled(10, lease=60) == []
    assert set(Delivery.objects.values_list("schedule_position", "fence")) == {(0, 0)}


def test_a_longer_hold_is_not_shortened() -> None:
    webhook = make_webhook()
    queue_on().hold({webhook.pk: 600})
    webhook.refresh_from_db()
    before = webhook.hold_until
    queue_on().hold({webhook.pk: 1})
    webhook.refresh_from_db()
    assert webhook.hold_until == before


def test_half_open_lets_a_single_one_through() -> None:
    webhook = make_webhook()
    owe_troubled(webhook, 5)
    past = timezone.now() - dt.timedelta(seconds=1)
    Webhook.objects.update(
        failing_since=past, failure_count=breaker.AFTER_FAILURES, hold_until=past
    )
    assert len(queue_on().claim_troubled(10, lease=60)) == 1


def test_after_the_one_that_succeeded_the_others_follow() -> None:
    with Receiver() as receiver:
        webhook = make_webhook(receiver.url)
        owe_troubled(webhook, 5)
        past = timezone.now() - dt.timedelta(seconds=1)
        Webhook.objects.update(
            failing_since=past, failure_count=breaker.AFTER_FAILURES, hold_until=past
        )
        deliver_all()
        assert receiver.count == 5
    webhook.refresh_from_db()
    assert webhook.failure_count == 0


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_time_gets_it_for_all_that_waits(status: int) -> None:
    with Receiver(Answer(status=status, headers={"Retry-After": "300"})) as receiver:
        webhook = make_webhook(receiver.url)
        tell(1)
        deliver_all()
        tell(20)
        deliver_all()
        assert receiver.count == 1
    webhook.refresh_from_db()
    wait = (webhook.hold_until - timezone.now()).total_seconds()
    assert 290 < wait <= 300
    untried = Delivery.objects.filter(attempt_count=0, status=Delivery.Status.PENDING)
    assert untried.count() == 20


def test_a_rate_limit_holds_for_all_workers_together() -> None:
    webhook = make_webhook(rate_limit=2)
    assert webhook.lane == Webhook.Lane.TROUBLED
    owe_troubled(webhook, 10)
    first, second = queue_on(), queue_on()
    assert len(first.claim_troubled(64, lease=60)) == 2
    assert second.claim_troubled(64, lease=60) == []
    Webhook.objects.update(next_turn_at=timezone.now() - dt.timedelta(seconds=1))
    assert len(second.claim_troubled(64, lease=60)) == 2


def test_a_slow_rate_limit_is_a_longer_pause() -> None:
    webhook = make_webhook(rate_limit=0.1)
    owe_troubled(webhook, 2)
    assert len(queue_on().claim_troubled(64, lease=60)) == 1
    webhook.refresh_from_db()
    assert 9 < (webhook.next_turn_at - timezone.now()).total_seconds() <= 10


def test_a_limited_receiver_gets_everything_in_the_end() -> None:
    with Receiver() as receiver:
        make_webhook(receiver.url, rate_limit=50)
        tell(60)
        deliver_all()
        while Delivery.objects.filter(status=Delivery.Status.PENDING).exists():
            Webhook.objects.update(next_turn_at=None)
            deliver_all()
        assert receiver.count == 60


def test_gone_disables_where_the_format_says_so() -> None:
    with Receiver(Answer(status=410)) as receiver:
        standard = make_webhook(receiver.url, name="A", format="standard-webhooks")
        default = make_webhook(receiver.url, name="B")
        tell(1)
        deliver_all()
    standard.refresh_from_db()
    default.refresh_from_db()
    assert standard.status == Webhook.Status.DISABLED
    assert "410" in standard.reason
    assert standard.deliveries.get().status == Delivery.Status.FAILED
    # Seed 004 tries again whatever the 4xx.
    assert default.status == Webhook.Status.ACTIVE
    assert default.deliveries.get().status == Delivery.Status.PENDING


def test_one_that_fails_for_days_is_disabled_and_people_are_told() -> None:
    owner = get_user_model().objects.create_user("dono", "dono@example.com")
    webhook = make_webhook(owner=owner)
    with Receiver() as watcher:
        make_webhook(watcher.url, name="Vigia", events=["webhook.*"])
        fail_for(webhook, days=5)
        owe([Owed(_event(), webhook.pk, 0)])
        heard: list[dict[str, Any]] = []

        def listener(**kwargs: Any) -> None:
            heard.append(kwargs)

        webhook_disabled.connect(listener)
        try:
            assert disabling.review() == 1
            assert disabling.review() == 0
        finally:
            webhook_disabled.disconnect(listener)
        deliver_all()
        [request] = watcher.requests
    webhook.refresh_from_db()
    assert webhook.status == Webhook.Status.DISABLED
    assert "100" in webhook.reason
    told = json.loads(request.body)
    assert told["event"] == "webhook.desativado"
    assert told["data"]["webhookId"] == str(webhook.pk)
    with translation.override("pt-br"):
        reason = webhook.reason
    assert "tentativas dos últimos 5 dias falharam" in reason
    assert told["data"]["motivo"] == reason
    wait_until(lambda: mail.outbox, what="the letter")  # written apart from what the engine does
    [letter] = mail.outbox
    assert letter.to == ["dono@example.com"]
    assert letter.subject == f"O webhook “{webhook.name}” foi desativado"
    assert reason in letter.body
    assert [each["webhook"].pk for each in heard] == [webhook.pk]
    assert webhook.deliveries.get().lane == Webhook.Lane.PARKED


def test_disabling_parks_what_waits_after_its_commit_and_no_more_than_a_slice() -> None:
    """All in one statement would lock it all, and hold the worker up, however much there is."""
    webhook = make_webhook()
    owe_troubled(webhook, 5)

    def parked() -> int:
        return webhook.deliveries.filter(lane=Webhook.Lane.PARKED).count()

    with transaction.atomic():
        assert disabling.disable(webhook.pk, "410", at_once=2)
        assert parked() == 0
    assert parked() == 2
    queue_on().mend_stopped()
    assert parked() == 5


def test_the_reason_is_told_in_the_language_of_who_reads_it() -> None:
    webhook = make_webhook()
    with translation.override(None):
        disabling.disable(webhook.pk, reasons.known("gone"))
    webhook.refresh_from_db()
    for language, words in {"en": "It answered 410 Gone.", "pt-br": "Respondeu 410 Gone."}.items():
        with translation.override(language):
            assert webhook.reason == words
    for written in ("manutenção", "{", '{"reason": "by"}', '{"reason": []}', "[1]", '{"x": 1}', ""):
        assert Webhook(status_reason=written).reason == written


def _event() -> Any:
    [pk] = events.emit("teste.feito", data={"n": 1})
    Event.objects.filter(pk=pk).update(fanned_out=True)
    return pk


@pytest.mark.parametrize(
    ("days", "attempts", "failures"),
    [(4, 100, 100), (5, 8, 8), (5, 100, 80)],
    ids=["not for long enough", "too few attempts", "too small a share"],
)
def test_others_are_not(days: float, attempts: int, failures: int) -> None:
    webhook = make_webhook()
    fail_for(webhook, days=days, attempts=attempts, failures=failures)
    assert disabling.review() == 0
    webhook.refresh_from_db()
    assert webhook.status == Webhook.Status.ACTIVE


def test_one_that_is_resumed_has_as_long_as_any_to_recover() -> None:
    webhook = make_webhook()
    fail_for(webhook, days=5)
    assert disabling.review() == 1
    webhook = operations.resume(webhook)
    assert (webhook.status, webhook.lane) == (Webhook.Status.ACTIVE, Webhook.Lane.NORMAL)
    # It fails again at once: the old failures must not count.
    queue_on().note([Pulse(webhook.pk, attempts=50, failures=50, well=False)])
    assert disabling.review() == 0


def test_a_mail_server_that_fails_changes_nothing(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    owner = get_user_model().objects.create_user("dono", "dono@example.com")
    webhook = make_webhook(owner=owner)
    fail_for(webhook, days=5)
    assert disabling.review() == 1
    webhook.refresh_from_db()
    assert webhook.status == Webhook.Status.DISABLED


def test_it_can_be_switched_off(settings: Any) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "DISABLE_AFTER_DAYS": 0}
    webhook = make_webhook()
    fail_for(webhook, days=50)
    assert disabling.review() == 0
