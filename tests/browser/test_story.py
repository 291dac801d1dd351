"""The operator's story as a person lives it: make a webhook, try it, see it break, find out why,
mend it, send again, see it green.

Either language begins at the one screen and goes on at the other, so that each half is walked in
both languages and at both sizes.
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from clientes.models import Cliente
from tests.browser.conftest import Visit
from tests.browser.person import DESKTOP, PHONE, Person
from tests.browser.receiver import Receiver
from tests.services.base import wait_until
from webhooks import operations, signing
from webhooks.models import Delivery, Webhook

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
FAILED = "/admin/webhooks/delivery/?status__exact=failed"
TOLD = "[aria-labelledby=wh-told]"


@pytest.mark.parametrize(
    ("language", "first", "then"),
    [("pt-br", DESKTOP, PHONE), ("en", PHONE, DESKTOP)],
    ids=["pt-br", "en"],
)
def test_from_a_new_webhook_over_a_failure_to_green(
    visit: Visit,
    worker: None,
    receiver: Receiver,
    language: str,
    first: tuple[int, int],
    then: tuple[int, int],
) -> None:
    ana = User.objects.create_superuser("ana", password="a long password")
    person = visit(language, first)
    person.log_in("ana", "a long password")
    secret = create_a_webhook(person, receiver)
    send_a_test(person, receiver, secret)

    receiver.status = 500
    operations.update_webhook(Webhook.objects.get(), retry_schedule=[0])
    cliente = Cliente.objects.create(nome="Ana Lima", email="ana@example.com")
    person = visit(language, then)
    person.arrive_as(ana)
    delivery = find_the_failure(person, cliente)

    receiver.status = 200
    send_all_of_them_again(person)
    see_it_green(person, cliente, delivery)


def create_a_webhook(person: Person, receiver: Receiver) -> str:
    """The new webhook's secret, as it lies in the clipboard."""
    page = person.page
    person.open("/admin/webhooks/webhook/add/")
    page.locator("#id_name").fill("Loja")
    page.locator("#id_url").fill(receiver.url)
    page.locator("input[name=event_types][value='cliente.criado']").check()
    page.locator("[name=_save]").click()

    person.reads("Keep this secret now: it is shown this once, and cannot be read again.")
    assert person.problems() == []
    person.press("Copy the secret")
    expect(person.called("Copied")).to_be_visible()
    secret = person.clipboard()
    assert secret.startswith("whsec_")
    person.press("I have kept it")
    expect(page.locator("#wh-health")).to_be_visible()
    assert secret not in page.content()
    return secret


def send_a_test(person: Person, receiver: Receiver, secret: str) -> None:
    person.press("Send a test")
    person.reads("Accepted.")
    person.reads("HTTP 200")
    person.reads("noted", where=".wh-timeline")  # what the receiver answered
    headers, body = receiver.got[-1]
    assert signing.verify_hex(secret, body, headers["x-webhook-signature"])


def find_the_failure(person: Person, cliente: Cliente) -> Delivery:
    """From the client's page and the list to what the receiver answered, and what it was sent."""
    page = person.page
    mine = Delivery.objects.filter(event__subject=f"cliente_{cliente.pk}")
    wait_until(mine.filter(status="failed").exists, what="the failure")
    person.open(f"/admin/clientes/cliente/{cliente.pk}/change/")
    person.reads("failed", where=TOLD)
    person.open(FAILED)
    [row] = page.locator("#result_list tbody tr").all()
    expect(row).to_contain_text("HTTP 500")
    row.locator("th a").click()

    told = "The receiver failed with status %(status)s while it handled the event."
    text = person.say(told + " Look into its log.") % {"status": 500}
    expect(page.locator(".wh-timeline")).to_contain_text(text)
    assert "Ana Lima" not in page.content()
    person.press("Show them (it is recorded)")
    person.reads("You see the values this once; that was recorded.")
    expect(page.locator(".wh-timeline")).to_contain_text("Ana Lima")
    return mine.get()


def send_all_of_them_again(person: Person) -> None:
    page = person.page
    person.open(FAILED)
    person.press("Send all of these again …")
    person.reads("To whom")
    page.locator(".submit-row [type=submit]").click()
    person.reads("done", where="#wh-progress")  # the page finds out by itself


def see_it_green(person: Person, cliente: Cliente, delivery: Delivery) -> None:
    mine = Delivery.objects.filter(pk=delivery.pk)
    wait_until(mine.filter(status="delivered").exists, what="the delivery")
    person.open(f"/admin/webhooks/delivery/{delivery.pk}/change/")
    expect(person.page.locator(".field-state .wh-good")).to_be_visible()
    expect(person.page.locator(".wh-timeline > li")).to_have_count(2)
    person.open(f"/admin/clientes/cliente/{cliente.pk}/change/")
    person.reads("delivered", where=TOLD)
