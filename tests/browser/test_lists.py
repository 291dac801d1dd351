"""Lists: on a desk all columns are within the page, on a phone each row tells all that it has."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Visit
from tests.browser.person import DESKTOP, PHONE
from tests.webhooks.makers import a_delivery, a_tally, a_webhook, ago, an_attempt, an_event
from webhooks import operations
from webhooks.models import Delivery

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

LISTS = {
    name: reverse(f"admin:webhooks_{name}_changelist")
    for name in ("webhook", "delivery", "event", "auditentry", "bulkjob")
}
TABLET = (1024, 768)
TOO_WIDE = "results => results.scrollWidth > results.clientWidth"
LINES = """cell => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    return new Set([...range.getClientRects()].map(box => Math.round(box.top))).size;
}"""
CUT = """cell => {
    const box = cell.getBoundingClientRect();
    return box.left < 0 || box.right > innerWidth || cell.scrollWidth > cell.clientWidth;
}"""


@pytest.fixture
def rows(transactional_db: None) -> None:
    """One of each, with names as long as they get."""
    webhook = a_webhook(
        name="ERP da Padaria Aurora com um nome bem comprido",
        url="https://erp.padaria-aurora.example.com/integracoes/crm/webhooks/entrada",
        events=["cliente.criado", "cliente.atualizado", "tarefa.criada", "tarefa.excluida"],
    )
    a_tally(webhook, failures=40, took=[1500] * 1300)
    failed = a_delivery(
        webhook,
        an_event("tarefa.atualizada", subject="tarefa_123456"),
        last_error="status",
        last_status_code=503,
    )
    an_attempt(failed, status_code=503)
    a_delivery(
        webhook,
        status=Delivery.Status.PENDING,
        next_attempt_at=ago(minutes=-7),
        attempt_count=2,
        last_error="protocol",
    )
    operations.start_replay(operations.ReplayFilter())
    operations.pause(webhook, "por ana")
    operations.resume(webhook)


@pytest.mark.parametrize("size", [DESKTOP, TABLET], ids=["desktop", "tablet"])
@pytest.mark.parametrize("language", ["pt-br", "en"])
def test_on_a_desk_no_column_lies_outside_and_no_date_is_broken(
    visit: Visit, rows: None, language: str, size: tuple[int, int]
) -> None:
    person = visit(language, size)
    person.arrive_as(User.objects.create_superuser("ana"))
    for name, path in LISTS.items():
        person.open(path)
        expect(person.page.locator("#nav-sidebar")).to_be_visible()  # it takes its width
        assert not person.page.locator(".results").evaluate(TOO_WIDE), name
    person.open(LISTS["delivery"])
    for date in person.page.locator(".field-made").all():
        assert date.evaluate(LINES) == 1


def test_on_a_phone_a_row_tells_all_that_it_has_with_the_columns_names(
    visit: Visit, rows: None
) -> None:
    person = visit("pt-br", PHONE)
    page = person.page
    person.arrive_as(User.objects.create_superuser("ana"))
    for name, path in LISTS.items():
        person.open(path)
        cells = page.locator("#result_list tbody :is(td, th)")
        assert cells.count() > 3, name
        for cell in cells.all():
            expect(cell).to_be_visible()
            assert not cell.evaluate(CUT), (name, cell.inner_text())

    person.open(LISTS["delivery"])
    row = page.locator("#result_list tbody tr").last
    assert said_before(row.locator(".field-last_answer")) == "Última resposta: "
    assert said_before(row.locator(".field-receiver")) == "Webhook: "
    top = {
        name: row.locator(f".field-{name}").evaluate("cell => cell.getBoundingClientRect().top")
        for name in ("state", "last_answer", "made", "told", "receiver")
    }
    assert list(top) == sorted(top, key=top.__getitem__), "what came of it comes first"


def said_before(cell: Locator) -> str:
    """What a style puts before a cell's own text."""
    text: str = cell.evaluate("cell => getComputedStyle(cell, '::before').content")
    return text.replace('" "', "").strip('"')


def test_a_long_filter_is_folded_until_something_of_it_is_chosen(visit: Visit, rows: None) -> None:
    person = visit("en", DESKTOP)
    page = person.page
    person.arrive_as(User.objects.create_superuser("ana"))
    person.open(LISTS["delivery"])
    by_type = page.locator("details[data-filter-title='event type']")
    expect(page.locator("details[data-filter-title='status']")).to_have_attribute("open", "")
    expect(by_type).not_to_have_attribute("open", "")
    by_type.locator("summary").click()
    by_type.get_by_text("tarefa.atualizada").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(by_type).to_have_attribute("open", "")
