"""What Prometheus gets to see, over real HTTP, and who may ask."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from tests.environment import FERNET_KEY
from tests.services.base import PATIENCE
from tests.webhooks.makers import a_delivery, a_webhook, ago, an_attempt, an_event, receiver
from webhooks import heartbeat, metrics
from webhooks.models import Webhook
from webhooks.testing import deliver_all

pytestmark = pytest.mark.both_databases
TOKEN = "a-token-of-the-metrics"
SOUND = {
    "ENCRYPTION_KEYS": [FERNET_KEY],
    "ALLOWED_NETWORKS": ["127.0.0.0/8"],
    "REQUIRE_HTTPS": False,
}
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def scrape(live_server: Any) -> Any:
    def ask(token: str | None = TOKEN, accept: str = "text/plain") -> tuple[int, str]:
        request = Request(f"{live_server.url}/metrics", headers={"Accept": accept})  # noqa: S310
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except HTTPError as refusal:
            return refusal.code, refusal.read().decode()

    return ask


def samples(text: str, parse: Any = plain) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


@override_settings(WEBHOOKS={**SOUND, "METRICS_TOKEN": TOKEN})
def test_a_scrape_tells_what_is_owed_and_what_came_of_it(scrape: Any) -> None:
    heartbeat.Heart().beat()
    with receiver() as (url, _), receiver(500) as (broken, _):
        well, ill = a_webhook(url=url), a_webhook(url=broken, name="Ill")
        an_event(fanned_out=False)
        deliver_all()
    parked = a_webhook(name="Paused", status=Webhook.Status.PAUSED, lane=Webhook.Lane.PARKED)
    a_delivery(parked, status="pending", lane=Webhook.Lane.PARKED, at=ago(hours=1))
    a_delivery(well, status="pending", at=ago(minutes=5))
    a_delivery(well, status="failed", at=ago(minutes=5))
    a_delivery(well, status="failed", at=ago(hours=2))
    an_event(fanned_out=False)
    Webhook.objects.filter(pk=ill.pk).update(hold_until=timezone.now() + timedelta(minutes=1))

    status, text = scrape()

    assert status == 200
    found = samples(text)
    assert found["webhooks_attempts_total", "success"] == 1
    assert found["webhooks_attempts_total", "failure"] == 1
    assert found["webhooks_attempt_duration_seconds_count",] == 1
    assert found["webhooks_attempt_duration_seconds_bucket", "+Inf"] == 1
    assert 0 <= found["webhooks_attempt_duration_seconds_sum",] < 30
    assert found["webhooks_attempts_recent", "status"] == 1
    assert found["webhooks_deliveries_pending", "normal", "due"] == 1
    assert found["webhooks_deliveries_pending", "normal", "later"] == 1
    assert found["webhooks_deliveries_pending", "parked", "due"] == 1
    assert found["webhooks_deliveries_failed_last_hour",] == 1
    assert found["webhooks_events_undistributed",] == 1
    assert 300 <= found["webhooks_oldest_due_seconds", "normal"] < 400
    assert found["webhooks_oldest_due_seconds", "troubled"] == 0
    assert found["webhooks_webhooks", "active"] == 2
    assert found["webhooks_webhooks", "paused"] == 1
    assert found["webhooks_breakers", "open"] == 1
    assert found["webhooks_breakers", "closed"] == 1
    assert found["webhooks_failing",] == 1
    assert found["webhooks_workers",] == 1
    assert str(well.pk) not in text
    again = samples(scrape(accept=OPENMETRICS)[1], openmetrics)
    assert again["webhooks_attempts_total", "failure"] == 1


@override_settings(WEBHOOKS={**SOUND, "METRICS_TOKEN": TOKEN, "METRICS_PER_WEBHOOK": True})
def test_each_webhook_is_told_apart_where_that_is_asked_for(scrape: Any) -> None:
    with receiver(500) as (url, _):
        ill, idle = a_webhook(url=url, name='Say "no"\n'), a_webhook(name="Idle", events=[])
        an_event(fanned_out=False)
        deliver_all()
    found = samples(scrape()[1])
    assert found["webhooks_webhook_info", 'Say "no"\n', str(ill.pk)] == 1
    assert found["webhooks_webhook_attempts_total", "failure", str(ill.pk)] == 1
    assert found["webhooks_webhook_pending", str(ill.pk)] == 1
    assert found["webhooks_webhook_failing_seconds", str(idle.pk)] == 0


def test_nobody_else_is_told_anything(scrape: Any) -> None:
    with override_settings(WEBHOOKS={**SOUND, "METRICS_TOKEN": TOKEN}):
        for token in (None, "", "another-token-of-them", TOKEN + "x", "não"):
            status, text = scrape(token)
            assert status == 401
            assert "webhooks_" not in text
            assert TOKEN not in text


def test_there_is_nothing_unless_a_token_is_set(scrape: Any) -> None:
    for unset in (None, ""):
        with override_settings(WEBHOOKS={**SOUND, "METRICS_TOKEN": unset}):
            assert scrape()[0] == scrape(token="")[0] == 404


def test_a_scrape_costs_the_same_whatever_there_is(db: None) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            list(metrics.Collector().collect())
        return len(asked)

    few = queries()
    for number in range(3):
        delivery = a_delivery(a_webhook(name=f"Webhook {number}"), an_event())
        an_attempt(delivery)
    assert queries() == few
