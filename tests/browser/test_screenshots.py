"""The pictures of the documentation: `make screenshots` keeps them, a test run only looks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from clientes.models import Cliente
from tests.browser.conftest import Visit
from tests.browser.person import DESKTOP, PHONE
from tests.webhooks.makers import a_delivery, a_tally, a_webhook, an_attempt, an_event
from webhooks.events import silenced
from webhooks.models import Delivery, Webhook, Worker

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
ADMIN = "/admin/webhooks/"


@pytest.fixture
def day(transactional_db: None) -> dict[str, str]:
    """A day in the life of three webhooks: the pages to be shown, by the name of the picture."""
    erp = a_webhook(name="ERP", url="https://erp.example.com/webhook", events=["*"])
    loja = a_webhook(name="Loja", url="https://loja.example.com/hook", events=["cliente.*"])
    a_webhook(
        name="Planilha",
        url="https://planilha.example.com/",
        events=["tarefa.*"],
        status=Webhook.Status.PAUSED,
        status_reason="por ana",
    )
    for back in range(24):
        busy = 20 + 6 * abs(12 - back)
        bad = busy // 3 if 5 <= back <= 8 else back % 2
        a_tally(erp, hours_ago=back, took=range(20, 20 + busy))
        a_tally(loja, hours_ago=back, failures=bad, took=range(60, 60 + busy * 2, 4))
    with silenced():  # its event is written below
        cliente = Cliente.objects.create(nome="Maria Oliveira", email="maria@example.com")
    event = an_event(
        subject=f"cliente_{cliente.pk}",
        body='{"event":"cliente.criado","timestamp":"2024-01-01T10:00:00Z","data":{'
        f'"id":"cliente_{cliente.pk}"'
        ',"nome":"Maria Oliveira","email":"maria@example.com","telefone":null}}',
    )
    for index in range(12):
        other = an_event(subject=f"cliente_{cliente.pk + 1 + index}")
        delivery = a_delivery(erp, other, status=Delivery.Status.DELIVERED, last_status_code=200)
        an_attempt(delivery, error="", status_code=200, duration_ms=20 + 3 * index)
    delivered = a_delivery(erp, event, status=Delivery.Status.DELIVERED, last_status_code=200)
    an_attempt(delivered, error="", status_code=200, duration_ms=31)
    failed = a_delivery(loja, event, last_error="status", last_status_code=503, attempt_count=2)
    for number in (1, 2):
        an_attempt(
            failed,
            number=number,
            status_code=503,
            response_body="Service Unavailable",
            request_headers={
                "Content-Type": "application/json",
                "X-Webhook-Event": "cliente.criado",
                "X-Webhook-Signature": "••••••••",
            },
        )
    Worker.objects.create(id="worker-1:4711")
    return {
        "painel": reverse("admin:webhooks_webhook_panel"),
        "webhooks": f"{ADMIN}webhook/",
        "novo": f"{ADMIN}webhook/add/",
        "entregas": f"{ADMIN}delivery/",
        "entrega": f"{ADMIN}delivery/{failed.pk}/change/",
        "evento": f"{ADMIN}event/{event.pk}/change/",
        "reenvio": f"{ADMIN}delivery/replay_many/?status__exact=failed",
        "cliente": f"/admin/clientes/cliente/{cliente.pk}/change/",
    }


def test_the_pictures_are_taken(visit: Visit, day: dict[str, str], tmp_path: Path) -> None:
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    ana = User.objects.create_superuser("ana", password="x")
    desk, phone = visit("pt-br", DESKTOP), visit("pt-br", PHONE)
    desk.arrive_as(ana)
    desk.page.add_init_script("localStorage.setItem('django.admin.navSidebarIsOpen', 'false')")
    for name, path in day.items():
        desk.open(path)
        desk.page.evaluate(
            "document.querySelector('[aria-labelledby=wh-told]')?.scrollIntoView({block: 'end'})"
        )
        desk.page.screenshot(path=folder / f"{name}.png")
    phone.arrive_as(ana)
    phone.open(day["entrega"])
    phone.page.screenshot(path=folder / "entrega-celular.png")
    pictures = list(folder.glob("*.png"))
    assert len(pictures) >= len(day) + 1
    assert all(picture.stat().st_size > 10_000 for picture in pictures)
