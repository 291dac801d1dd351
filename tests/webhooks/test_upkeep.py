"""What a worker looks after beside delivering is done in slices, however much there is of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.webhooks.makers import a_delivery, a_tally, a_webhook, analyze, rows_read
from webhooks import disabling
from webhooks.directory import Directory
from webhooks.engine import Engine
from webhooks.models import Delivery, Event, Webhook
from webhooks.queue import Queue, mending, queue_on
from webhooks.testing import Receiver
from webhooks.upkeep import Upkeep

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

NORMAL, TROUBLED, PARKED = Webhook.Lane.NORMAL, Webhook.Lane.TROUBLED, Webhook.Lane.PARKED
HOUR = dt.timedelta(hours=1)


def many(webhook: Webhook, count: int, **values: Any) -> None:
    """Pending deliveries, all due at the same moment, as an operation on many leaves them."""
    first = a_delivery(webhook, **{"status": Delivery.Status.PENDING, **values})
    columns = [
        field.column
        for field in Delivery._meta.local_fields
        if field.column not in {"id", "event_id"}
    ]
    new_id, numbers = (
        ("gen_random_uuid()", "SELECT generate_series(2, %s)")
        if connection.vendor == "postgresql"
        else (
            "lower(hex(randomblob(16)))",
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < %s) "
            "SELECT i FROM n",
        )
    )
    others = [field.column for field in Event._meta.local_fields if field.column != "id"]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO webhooks_event (id, {', '.join(others)}) "  # noqa: S608
            f"SELECT {new_id}, {', '.join(others)} FROM webhooks_event, ({numbers}) numbers "
            "WHERE id = %s",
            [count, first.event_id.hex],
        )
        cursor.execute(
            f"INSERT INTO webhooks_delivery (event_id, {', '.join(columns)}) "  # noqa: S608
            f"SELECT e.id, {', '.join(f'd.{name}' for name in columns)} "
            "FROM webhooks_delivery d, webhooks_event e WHERE d.id = %s AND NOT EXISTS ("
            "SELECT 1 FROM webhooks_delivery x WHERE x.event_id = e.id)",
            [first.pk],
        )


def made_apart() -> None:
    """Those of some events are made in the same moment, and not more."""
    later = (
        "created_at + id * interval '10 ms'"
        if connection.vendor == "postgresql"
        else "strftime('%%Y-%%m-%%d %%H:%%M:%%f', created_at, '+' || (id * 0.01) || ' seconds')"
    )
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE webhooks_delivery SET created_at = {later}", [])  # noqa: S608


def parked(count: int) -> None:
    many(a_webhook(), count, lane=PARKED)


def parked_rightly(count: int) -> None:
    many(a_webhook(status=Webhook.Status.PAUSED, lane=PARKED), count, lane=PARKED)


def deleted(count: int) -> None:
    many(a_webhook(deleted_at=timezone.now(), lane=PARKED), count)


def stopped(count: int) -> None:
    many(a_webhook(status=Webhook.Status.PAUSED, lane=PARKED), count, lane=TROUBLED)


def left_in_the_lane(count: int) -> None:
    many(a_webhook(), count, lane=TROUBLED)


def from_the_future(count: int) -> None:
    at = timezone.now() + 5 * HOUR
    many(a_webhook(), count, created_at=at, next_attempt_at=at)
    made_apart()


def delivered_in_the_future(count: int) -> None:
    at = timezone.now() + 5 * HOUR
    many(a_webhook(), count, at=at, status=Delivery.Status.DELIVERED)
    made_apart()


def timeless(count: int) -> None:
    many(a_webhook(), count, next_attempt_at=None)


def mend_times(queue: Queue) -> None:
    queue.mend_times(lease=60.0)


LEFT = pytest.mark.parametrize(
    ("leave", "mend"),
    [
        (parked, Queue.mend_parked),
        (parked_rightly, Queue.mend_parked),
        (deleted, Queue.mend_deleted),
        (stopped, Queue.mend_stopped),
        (left_in_the_lane, Queue.mend_lanes),
        (from_the_future, mend_times),
        (delivered_in_the_future, mend_times),
        (timeless, mend_times),
    ],
)


@LEFT
def test_a_slice_costs_the_same_however_much_is_left(
    leave: Callable[[int], None], mend: Callable[[Queue], object]
):
    costs, statements = [], []
    for count in (1_500, 15_000):
        leave(count)
        analyze()
        queue = queue_on()
        for _ in range(3):  # in the midst of it
            with CaptureQueriesContext(connection) as asked, rows_read() as read:
                mend(queue)
            costs.append(read.count)
            statements.append(len(asked))
    few, much = max(costs[:3]), max(costs[3:])
    assert much < 3 * few + 20 * mending.SLICE  # what many looks along an index may cost
    assert max(statements) < 30


@LEFT
def test_no_slice_changes_more_rows_than_it_may(
    leave: Callable[[int], None], mend: Callable[[Queue], object]
):
    leave(2 * mending.SLICE + 100)
    before = dict(Delivery.objects.values_list("pk", "lane"))
    times = dict(Delivery.objects.values_list("pk", "next_attempt_at"))
    mend(queue_on())
    changed = sum(
        lane != before[pk] or at != times[pk]
        for pk, lane, at in Delivery.objects.values_list("pk", "lane", "next_attempt_at")
    )
    assert changed <= 2 * mending.SLICE  # the newest, and the next


def a_round(queue: Queue) -> int:
    """:returns: in how many turns."""
    engine = Engine()
    try:
        directory = Directory("default")
        directory.refresh()
        upkeep = Upkeep(queue, directory, engine._senders, lease=60.0)
        turns = 0
        upkeep.turn(0.0)
        while upkeep.busy:
            turns += 1
            upkeep.turn(0.0)
        return turns
    finally:
        engine._senders.close()


@pytest.mark.parametrize(
    ("leave", "mended"),
    [
        (parked, {"status": "pending", "lane": NORMAL}),
        (deleted, {"status": "cancelled"}),
        (stopped, {"status": "pending", "lane": PARKED}),
        (from_the_future, {"next_attempt_at__lte": dt.timedelta(seconds=1)}),
        (timeless, {"next_attempt_at__lte": dt.timedelta(seconds=1)}),
    ],
)
def test_a_round_of_slices_mends_all(leave: Callable[[int], None], mended: dict[str, Any]):
    count = 5 * mending.SLICE + 7
    leave(count)
    assert a_round(queue_on()) > count / mending.SLICE
    condition = {
        name: timezone.now() + value if isinstance(value, dt.timedelta) else value
        for name, value in mended.items()
    }
    assert Delivery.objects.filter(**condition).count() == count


def test_while_much_is_left_others_have_their_turns():
    """One kind of which very much is left does not put the others off."""
    deleted(3 * mending.SLICE)
    many(a_webhook(name="stray"), 1, lane=PARKED)
    engine = Engine()
    try:
        upkeep = Upkeep(queue_on(), Directory("default"), engine._senders, lease=60.0)
        for _ in range(8):
            upkeep.turn(0.0)
    finally:
        engine._senders.close()
    assert Delivery.objects.filter(webhook__name="stray", lane=NORMAL).exists()
    assert Delivery.objects.filter(status=Delivery.Status.PENDING).count() > mending.SLICE


@pytest.mark.django_db(transaction=True)
def test_an_engine_mends_between_the_turns_in_which_it_delivers():
    with Receiver() as receiver:
        webhook = a_webhook(url=receiver.url)
        many(webhook, 3 * mending.SLICE, lane=PARKED)
        engine = Engine()
        changed = []
        before = 0
        try:
            for _ in range(4):
                engine._turn(wait=0)
                now = Delivery.objects.exclude(lane=PARKED).count()
                changed.append(now - before)
                before = now
        finally:
            engine._senders.close()
        assert max(changed) <= 2 * mending.SLICE
        Engine().drain()
        assert not Delivery.objects.filter(lane=PARKED, status="pending").exists()
        assert Delivery.objects.filter(status="delivered").count() == 3 * mending.SLICE


def test_receivers_that_fail_for_long_are_reviewed_a_few_at_a_time():
    long_ago = timezone.now() - 10 * 24 * HOUR
    for number in range(3 * disabling._REVIEWED_AT_ONCE):
        webhook = a_webhook(
            name=str(number), failing_since=long_ago, failure_count=1, status_changed_at=long_ago
        )
        if number % 30 == 7:
            for hours in (0, 24 * 5):
                a_tally(webhook, hours_ago=hours, failures=100)
    Webhook.objects.update(created_at=long_ago)
    with CaptureQueriesContext(connection) as asked:
        disabling.review_next(None)
    assert len(asked) < 30
    disabling.review()
    assert Webhook.objects.filter(status=Webhook.Status.DISABLED).count() == 2
