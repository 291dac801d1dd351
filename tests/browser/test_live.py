"""Pages that keep themselves up to date do so without taking anything from whoever reads them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.urls import reverse
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.person import PHONE
from tests.webhooks.makers import a_delivery, a_tally, a_webhook
from webhooks import operations
from webhooks.models import BulkJob, Worker

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PANEL = reverse("admin:webhooks_webhook_panel")


def test_what_is_open_focused_scrolled_or_read_out_stays_when_the_panel_is_renewed(
    visit: Visit, transactional_db: None
) -> None:
    webhook = a_webhook(name="Loja")
    a_tally(webhook, took=[10])
    person = visit("en", PHONE)
    page = person.page
    page.clock.install()
    person.arrive_as(User.objects.create_superuser("ana"))
    person.open(PANEL)
    person.reads("No worker is running: nothing is delivered.", where="[role=alert]")
    table, chart = page.locator("#wh-panel details"), page.locator(".wh-scroll").first
    table.locator("summary").click()
    chart.evaluate("chart => { chart.scrollLeft = -50; }")
    page.locator("[role=alert] p").evaluate("said => { said.before = true; }")

    a_tally(webhook, hours_ago=2, failures=7)
    page.clock.fast_forward(10_000)
    expect(page.locator("[aria-labelledby=wh-attempts] > p")).to_contain_text("8 attempts, 7")
    expect(table).to_have_attribute("open", "")
    expect(table.locator("summary")).to_be_focused()
    assert chart.evaluate("chart => chart.scrollLeft") == -50
    assert page.locator("[role=alert] p").evaluate("said => said.before") is True

    Worker.objects.create(id="host:1")
    page.clock.fast_forward(10_000)
    expect(page.locator("[role=alert]")).to_be_empty()
    expect(table).to_have_attribute("open", "")


@pytest.mark.parametrize(("language", "said"), [("pt-br", "Parado às "), ("en", "Stopped at ")])
def test_a_page_that_cannot_be_renewed_says_so_until_it_can(
    visit: Visit, transactional_db: None, language: str, said: str
) -> None:
    person = visit(language)
    page = person.page
    page.clock.install()
    ana = User.objects.create_superuser("ana")
    person.arrive_as(ana)
    person.open(PANEL)
    fresh, stopped = page.locator(".wh-as-of"), page.locator("[data-wh-stopped]")
    expect(fresh).to_be_visible()
    expect(stopped).to_be_hidden()

    Session.objects.all().delete()
    page.clock.fast_forward(10_000)
    expect(stopped).to_contain_text(said)
    expect(fresh).to_be_hidden()
    assert person.problems() == []

    person.arrive_as(ana)  # in another tab
    page.clock.fast_forward(10_000)
    expect(stopped).to_be_hidden()
    expect(fresh).to_be_visible()


def test_a_replays_buttons_follow_its_state_and_its_progress_is_the_same_region(
    visit: Visit, transactional_db: None
) -> None:
    a_delivery(a_webhook())
    job = operations.start_replay(operations.ReplayFilter())
    person = visit("en")
    page = person.page
    page.clock.install()
    person.arrive_as(User.objects.create_superuser("ana"))
    person.open(reverse("admin:webhooks_bulkjob_change", args=[job.pk]))
    expect(person.called("Stop")).to_be_visible()
    page.locator("[aria-live]").evaluate("region => { region.before = true; }")

    assert not operations.work_on_jobs(wait=lambda seconds: None)
    page.clock.fast_forward(2000)
    person.reads("done", where="[aria-live]")
    expect(page.locator("[aria-live]")).to_contain_text("1 of 1 put back in the queue")
    expect(person.called("Stop")).to_have_count(0)
    expect(page.locator("#wh-progress")).not_to_have_attribute("data-wh-live", "2")
    assert page.locator("[aria-live]").evaluate("region => region.before") is True
    assert BulkJob.objects.get().state == "done"
