"""Every page of the console, full of things, as a checker of accessibility sees it; and the fence
around all pages."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import expect

from clientes.models import Cliente
from tests.browser.conftest import Visit
from tests.browser.person import DESKTOP, PHONE
from tests.webhooks.makers import a_delivery, a_webhook, ago, an_attempt, an_event
from webhooks import operations
from webhooks.models import Delivery, Webhook

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def crowded(transactional_db: None) -> dict[str, str]:
    """A system with something on every page: the pages' addresses by name."""
    webhook = a_webhook(name="ERP da Padaria Aurora com um nome bem comprido", headers={"X": "1"})
    paused = a_webhook(name="Loja", status=Webhook.Status.PAUSED, status_reason="por ana")
    event = an_event()
    failed = a_delivery(webhook, event, last_error="status", last_status_code=500)
    an_attempt(failed)
    a_delivery(paused, an_event(), status=Delivery.Status.DELIVERED)
    a_delivery(webhook, status=Delivery.Status.PENDING, next_attempt_at=ago(minutes=5))
    webhook.tallies.create(
        hour=ago(minutes=1).replace(minute=0, second=0, microsecond=0),
        attempts=9,
        failures=4,
        duration_ms=90,
    )
    cliente = Cliente.objects.create(nome="Ana Lima", email="ana@example.com")
    job = operations.start_replay(operations.ReplayFilter())

    def page(name: str, pk: object = None) -> str:
        return reverse(f"admin:{name}", args=[] if pk is None else [pk])

    return {
        "index": "/admin/",
        "app": "/admin/webhooks/",
        "panel": page("webhooks_webhook_panel"),
        "webhooks": page("webhooks_webhook_changelist"),
        "webhook": page("webhooks_webhook_change", webhook.pk),
        "rotate": page("webhooks_webhook_rotate", webhook.pk),
        "add": page("webhooks_webhook_add"),
        "deliveries": page("webhooks_delivery_changelist"),
        "delivery": page("webhooks_delivery_change", failed.pk),
        "replay": page("webhooks_delivery_replay_many"),
        "replays": page("webhooks_bulkjob_changelist"),
        "job": page("webhooks_bulkjob_change", job.pk),
        "events": page("webhooks_event_changelist"),
        "event": page("webhooks_event_change", event.pk),
        "audit": page("webhooks_auditentry_changelist"),
        "record": page("clientes_cliente_change", cliente.pk),
        "records": page("tarefas_tarefa_changelist"),
    }


@pytest.mark.parametrize(
    ("language", "size", "dark"),
    [("pt-br", DESKTOP, True), ("en", PHONE, False)],
    ids=["desktop-dark", "phone-light"],
)
def test_no_page_has_what_a_checker_complains_of(
    visit: Visit, crowded: dict[str, str], language: str, size: tuple[int, int], dark: bool
) -> None:
    person = visit(language, size, dark=dark)
    person.arrive_as(User.objects.create_superuser("ana", password="x"))
    found = {}
    for name, path in crowded.items():
        person.open(path)
        expect(person.page.locator("html")).to_have_attribute("lang", language)
        if problems := person.problems():
            found[name] = problems
    assert found == {}


def test_what_stands_beside_every_page_is_fine_in_the_light_and_in_the_dark(
    visit: Visit, transactional_db: None
) -> None:
    ana = User.objects.create_superuser("ana", password="x")
    for dark in (False, True):
        person = visit(dark=dark)
        person.arrive_as(ana)
        person.open(reverse("admin:webhooks_auditentry_changelist"))
        expect(person.page.locator("#nav-sidebar")).to_be_visible()
        assert person.problems(besides="#content") == []


def test_what_slips_into_a_page_neither_runs_nor_calls_home(visit: Visit) -> None:
    person = visit()
    person.open("/admin/login/")
    person.page.evaluate(
        """document.body.insertAdjacentHTML("beforeend", `
            <p id="slipped" style="color: red" onclick="document.title = 'taken'">here</p>
            <img src="https://elsewhere.example/pixel.png">`)"""
    )
    slipped = person.page.locator("#slipped")
    slipped.click()
    expect(slipped).not_to_have_css("color", "rgb(255, 0, 0)")
    expect(person.page).not_to_have_title("taken")
    noticed, person.sins = person.sins, []
    for directive in ("style-src 'self'", "script-src 'self'", "img-src 'self'"):
        assert [sin for sin in noticed if directive in sin], noticed


def test_on_a_phone_the_secret_is_within_its_box_and_what_is_touched_is_a_finger_high(
    visit: Visit, transactional_db: None
) -> None:
    webhook = a_webhook()
    person = visit("pt-br", PHONE)
    page = person.page
    person.arrive_as(User.objects.create_superuser("ana"))
    person.open(reverse("admin:webhooks_webhook_rotate", args=[webhook.pk]))
    page.locator(".submit-row [type=submit]").click()

    secret, copy, kept = (
        page.locator(".wh-secret"),
        *map(person.called, ("Copy the secret", "I have kept it")),
    )
    outer = page.locator(".wh-section").first
    right = "element => element.getBoundingClientRect().right"
    height = "element => element.getBoundingClientRect().height"
    assert secret.evaluate(right) <= outer.evaluate(right)
    assert copy.evaluate(height) == kept.evaluate(height)
    for summary in page.locator("summary").all():
        assert summary.evaluate(height) >= 44
    assert person.problems() == []
