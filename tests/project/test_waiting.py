"""What the tests wait for is asked in one question, so that nothing moves between two."""

from __future__ import annotations

import pytest

from tests.webhooks.makers import a_delivery, a_webhook, an_event, nothing_is_owed
from webhooks.models import Delivery

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def test_one_statement_says_whether_anything_is_owed(django_assert_num_queries) -> None:
    a_delivery(a_webhook(), status=Delivery.Status.DELIVERED)
    with django_assert_num_queries(1):
        assert nothing_is_owed()


def test_what_is_not_fanned_out_is_owed() -> None:
    an_event(fanned_out=False)
    assert not nothing_is_owed()


def test_what_is_pending_is_owed() -> None:
    a_delivery(a_webhook(), status=Delivery.Status.PENDING)
    assert not nothing_is_owed()
