"""The buttons above a webhook's form do not throw away what was written into it unasked."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Dialog, expect

from tests.browser.conftest import Visit
from tests.webhooks.makers import a_webhook
from webhooks.models import Webhook

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_whoever_has_written_something_is_asked_before_a_button_loses_it(
    visit: Visit, transactional_db: None
) -> None:
    webhook = a_webhook(name="Loja")
    person = visit("pt-br")
    page = person.page
    person.arrive_as(User.objects.create_superuser("ana"))
    asked: list[str] = []
    answers = iter([False, True])

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        if next(answers):
            dialog.accept()
        else:
            dialog.dismiss()

    page.on("dialog", answer)
    person.open(reverse("admin:webhooks_webhook_change", args=[webhook.pk]))
    person.press("Pause")
    expect(person.called("Resume")).to_be_visible()
    assert asked == [], "nothing was written"

    page.locator("#id_name").fill("Loja nova")
    person.press("Resume")  # and no, after all
    assert len(asked) == 1
    assert re.search("ainda não foi salvo", asked[0])
    expect(page.locator("#id_name")).to_have_value("Loja nova")
    assert Webhook.objects.get().status == "paused"

    person.press("Resume")
    expect(person.called("Pause")).to_be_visible()
    assert len(asked) == 2
    assert Webhook.objects.get().status == "active"

    page.locator("#id_name").fill("Loja nova")
    page.locator("[name=_continue]").click()
    expect(page.locator(".messagelist")).to_be_visible()
    assert len(asked) == 2, "to save it loses nothing"
    assert Webhook.objects.get().name == "Loja nova"
