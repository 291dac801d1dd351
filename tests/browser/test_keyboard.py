"""The same work without a mouse: Tab, Enter, Space, and what one types."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Visit
from tests.browser.person import Person
from tests.browser.receiver import Receiver
from tests.services.base import wait_until
from webhooks.models import Delivery

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

HAS_FOCUS = """element => {
    const box = element.getBoundingClientRect();
    return document.activeElement === element
        && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
}"""


def tab_to(person: Person, target: Locator) -> None:
    """Press Tab until it has the focus, and is on the screen."""
    for _ in range(120):
        if target.evaluate(HAS_FOCUS):
            return
        person.page.keyboard.press("Tab")
    raise AssertionError(f"Tab never comes to {target} on {person.page.url}")


def test_a_webhook_is_made_tried_and_sent_to_again_by_keyboard_alone(
    visit: Visit, worker: None, receiver: Receiver
) -> None:
    User.objects.create_superuser("ana", password="a long password")
    person = visit("en")
    page, keys = person.page, person.page.keyboard
    person.open("/admin/")
    tab_to(person, page.locator("button[name=language][value=en]"))
    keys.press("Enter")
    expect(page.locator("html[lang=en]")).to_be_attached()
    tab_to(person, page.locator("#id_username"))
    keys.type("ana")
    keys.press("Tab")
    keys.type("a long password")
    keys.press("Enter")

    tab_to(person, page.locator("#content").get_by_role("link", name="Webhooks", exact=True).last)
    keys.press("Enter")
    tab_to(person, page.locator(".object-tools .addlink"))
    keys.press("Enter")
    tab_to(person, page.locator("#id_name"))
    keys.type("Loja")
    tab_to(person, page.locator("#id_url"))
    keys.type(receiver.url)
    tab_to(person, page.locator("input[name=event_types][value='cliente.criado']"))
    keys.press("Space")
    tab_to(person, page.locator("[name=_save]"))
    keys.press("Enter")

    tab_to(person, person.called("Copy the secret"))
    keys.press("Space")
    expect(person.called("Copied")).to_be_visible()
    assert person.clipboard().startswith("whsec_")
    tab_to(person, person.called("I have kept it"))
    keys.press("Enter")

    receiver.status = 500
    tab_to(person, person.called("Send a test"))
    keys.press("Space")
    person.reads("HTTP 500")
    receiver.status = 200
    tab_to(person, person.called("Send again now"))
    keys.press("Enter")
    expect(page.locator(".messagelist")).to_contain_text("1 delivery is on its way.")
    wait_until(lambda: Delivery.objects.get().status == "delivered", what="the delivery")
    page.reload()
    person.reads("delivered", where=".field-state")
