"""What a worker knows of the webhooks: whatever changes is noticed, and nothing stops the rest."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from tests.webhooks.makers import SECRET, a_delivery, a_webhook
from webhooks import formats, operations
from webhooks.conf import DEFAULTS
from webhooks.directory import Directory, receiver_of
from webhooks.fields import SecretUnreadable
from webhooks.models import Delivery, SigningKey, Webhook
from webhooks.queue import queue_on
from webhooks.sealed import _fernets

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture
def directory():
    return Directory("default")


def known(directory):
    directory.refresh()
    return {receiver.id: receiver for receiver in directory}


def test_it_knows_every_webhook_with_what_sending_needs(directory):
    webhook = a_webhook(
        url="http://127.0.0.1:9/a",
        events=["cliente.*"],
        headers={"X-Mine": "1"},
        auth_type="bearer",
        auth_secret="t0ken",
        timeout_seconds=2.5,
        retry_schedule=[0, 7],
        rate_limit=3.0,
        keep_responses=False,
    )
    receiver = known(directory)[webhook.pk]
    assert (receiver.url, receiver.timeout, receiver.schedule) == (webhook.url, 2.5, [0.0, 7.0])
    assert (receiver.rate_limit, receiver.keep_responses) == (3.0, False)
    assert receiver.subscription.wants("cliente.criado")
    assert not receiver.subscription.wants("tarefa.criada")
    assert receiver.format is formats.get("sistema-crm")
    assert receiver.headers == {"X-Mine": "1", "Authorization": "Bearer t0ken"}
    assert len(receiver.keys(timezone.now())) == 1
    assert "t0ken" not in repr(receiver)
    assert SECRET not in repr(receiver)


@pytest.mark.parametrize(
    ("given", "header"),
    [
        ({"auth_type": "basic", "auth_username": "ana", "auth_secret": "çã"}, "Authorization"),
        ({"auth_type": "bearer", "auth_secret": "t0ken"}, "Authorization"),
        (
            {"auth_type": "header", "auth_header_name": "X-Entry", "auth_secret": "t0ken"},
            "X-Entry",
        ),
    ],
)
def test_every_way_of_authenticating_is_sent_and_masked(directory, given, header):
    webhook = a_webhook(**given)
    receiver = known(directory)[webhook.pk]
    assert receiver.headers[header]
    masked = receiver.mask(receiver.headers | {"X-Plain": "seen"})
    assert masked["X-Plain"] == "seen"
    assert given["auth_secret"] not in str(masked)
    if given["auth_type"] == "basic":
        assert receiver.headers[header] == "Basic YW5hOsOnw6M="


def test_when_nothing_changed_one_query_finds_out(directory, django_assert_num_queries):
    for number in range(5):
        a_webhook(name=str(number))
    directory.refresh()
    with django_assert_num_queries(1):
        directory.refresh()


def test_only_what_changed_is_read_again(directory, django_assert_num_queries):
    webhooks = [a_webhook(name=str(number)) for number in range(5)]
    before = known(directory)
    webhooks[0].url = "http://127.0.0.1:9/new"
    webhooks[0].save()
    with django_assert_num_queries(4):  # stamp, versions, keys, webhooks
        directory.refresh()
    after = known(directory)
    assert after[webhooks[0].pk].url == "http://127.0.0.1:9/new"
    assert [each for each in after if after[each] is not before[each]] == [webhooks[0].pk]


@pytest.mark.parametrize(
    "change",
    [
        operations.pause,
        lambda webhook: operations.disable(webhook, "It failed."),
        lambda webhook: operations.update_webhook(webhook, name="Another"),
        operations.rotate_secret,
        lambda webhook: operations.rotate_secret(webhook, overlap_seconds=0),
        operations.delete_webhook,
        lambda webhook: SigningKey.objects.get(webhook=webhook).delete(),
        lambda webhook: SigningKey.objects.create(webhook=webhook, secret="another-secret-here"),
        lambda webhook: webhook.save(update_fields=["name"]),
        lambda webhook: queue_on().trouble([webhook.pk]),
    ],
)
def test_every_change_to_a_webhook_is_noticed(directory, change):
    webhook = a_webhook()
    before = known(directory)[webhook.pk]
    change(webhook)
    assert known(directory).get(webhook.pk) is not before


def test_the_end_of_a_rotation_is_noticed(directory):
    webhook = a_webhook()
    operations.rotate_secret(webhook, overlap_seconds=60)
    assert len(known(directory)[webhook.pk].keys(timezone.now())) == 2
    assert len(known(directory)[webhook.pk].keys(timezone.now() + dt.timedelta(seconds=61))) == 1
    operations.expire_old_keys(webhook)
    assert len(known(directory)[webhook.pk].keys(timezone.now())) == 1


def test_the_newest_key_comes_first(directory):
    webhook = a_webhook()
    new = operations.rotate_secret(webhook)
    first, _second = known(directory)[webhook.pk].keys(timezone.now())
    alone = receiver_of(webhook, [SigningKey(secret=new)]).keys(timezone.now())[0]
    assert first.sign(b"x") == alone.sign(b"x")


def test_one_webhook_gone_and_another_made_at_once_is_noticed(directory):
    """As many webhooks as before, of the same versions: only who they are is new."""
    for delete in (Webhook.delete, operations.delete_webhook):
        old = a_webhook(name="old")
        directory.refresh()
        delete(old)
        new = a_webhook(name="new")
        found = known(directory)
        assert new.pk in found
        assert old.pk not in found
        assert directory.get(old.pk) is None
        Webhook.all_objects.all().delete()


def test_two_that_change_places_among_the_lanes_are_noticed(directory):
    one, other = a_webhook(name="one"), a_webhook(name="other")
    queue = queue_on()
    queue.trouble([one.pk])
    assert {id: each.lane for id, each in known(directory).items()} == {one.pk: 1, other.pk: 0}
    queue.calm([one.pk])
    queue.trouble([other.pk])
    assert {id: each.lane for id, each in known(directory).items()} == {one.pk: 0, other.pk: 1}


def test_a_stray_that_is_mended_is_noticed(directory):
    webhook = a_webhook()
    a_delivery(webhook, status=Delivery.Status.PENDING, lane=Webhook.Lane.TROUBLED)
    assert known(directory)[webhook.pk].lane == Webhook.Lane.NORMAL
    queue_on().mend_lanes()
    assert known(directory)[webhook.pk].lane == Webhook.Lane.TROUBLED


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": "of-another-release"},
        {"events": [1, None, "cliente.*"]},
        {"events": "cliente.*"},
        {"events": {}},
        {"retry_schedule": ["soon"]},
        {"retry_schedule": {}},
        {"timeout_seconds": 100_000.0},
        {"auth_type": "digest"},
    ],
    ids=str,
)
def test_a_webhook_that_is_wrong_in_the_database_stops_no_other(directory, wrong):
    webhook, other = a_webhook(name="wrong"), a_webhook(name="right")
    Webhook.objects.filter(pk=webhook.pk).update(**wrong, version=2)
    found = known(directory)
    assert found.keys() == {webhook.pk, other.pk}
    receiver = found[webhook.pk]
    assert receiver.schedule == DEFAULTS["RETRY_SCHEDULE_SECONDS"]
    assert receiver.headers == {}
    # An attempt ends well before its lease does, so that it is begun at all.
    assert receiver.timeout <= DEFAULTS["LEASE_SECONDS"] - 5
    if wrong.get("events") == [1, None, "cliente.*"]:
        assert receiver.subscription.wants("cliente.criado")


def test_a_lost_key_is_found_out_when_it_is_needed_and_not_before(directory, settings):
    webhook = a_webhook(headers={"X-Mine": "1"})
    a_webhook(name="other")
    _fernets.cache_clear()
    settings.WEBHOOKS = {
        **settings.WEBHOOKS,
        "ENCRYPTION_KEYS": ["b3V0cmEtY2hhdmUtZGUtdGVzdGUtMzItYnl0ZXMtLS0="],
    }
    receiver = known(directory)[webhook.pk]
    with pytest.raises(SecretUnreadable):
        _ = receiver.headers
    with pytest.raises(SecretUnreadable):
        receiver.keys(timezone.now())
