"""The console under somebody else's admin theme: it shows what it shows, and its buttons work."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import expect

from clientes.models import Cliente
from tests.browser.conftest import Visit
from tests.browser.receiver import Receiver
from tests.processes import Process
from tests.services.base import accepts_connections, free_port, wait_until
from tests.webhooks.makers import a_delivery, a_tally, a_webhook, an_attempt, an_event

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def themed_site(start: Callable[..., Process]) -> str:
    port = free_port()
    start(
        *("manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"),
        DJANGO_SETTINGS_MODULE="tests.browser.settings_theme",
        DEBUG="true",
    )
    wait_until(lambda: accepts_connections(port), what="the site under the theme")
    return f"http://127.0.0.1:{port}"


def test_what_a_theme_leaves_of_the_console_is_whole(
    themed_site: str, visit: Visit, receiver: Receiver
) -> None:
    webhook = a_webhook(url=receiver.url)
    cliente = Cliente.objects.create(nome="Ana Lima", email="ana@example.com")
    event = an_event(subject=f"cliente_{cliente.pk}")
    failed = a_delivery(webhook, event, last_error="status", last_status_code=500)
    an_attempt(failed)
    a_tally(webhook, failures=4, took=[40] * 5)
    person = visit("en", site=themed_site)
    person.arrive_as(User.objects.create_superuser("ana", password="x"))
    page = person.page

    person.open(reverse("admin:webhooks_webhook_panel"))
    expect(page.locator("link[href*=adminlte]").first).to_be_attached()  # it is the theme
    colours = {
        page.locator(bar).first.evaluate("bar => getComputedStyle(bar).fill")
        for bar in (".wh-bar-good", ".wh-bar-bad")
    }
    assert len(colours) == 2, colours

    person.open(reverse("admin:clientes_cliente_change", args=[cliente.pk]))
    person.reads("failed", where="[aria-labelledby=wh-told]")

    person.open(reverse("admin:webhooks_delivery_change", args=[failed.pk]))
    person.reads("The receiver failed with status 500", where=".wh-timeline")
    person.press("Show them (it is recorded)")
    person.reads("João", where=".wh-timeline")

    person.open(reverse("admin:webhooks_webhook_change", args=[webhook.pk]))
    person.press("Send a test")
    person.reads("noted", where=".wh-timeline")
    assert len(receiver.got) == 1

    person.open(reverse("admin:webhooks_webhook_add"))
    page.locator("#select2-id_format-container").click()  # the theme's, in place of the select
    page.locator(".select2-results__option", has_text="Twenty").click()
    expect(page.locator(".wh-options-twenty").first).not_to_have_attribute("hidden", "")
    expect(page.locator(".wh-options-freshmarketer").first).to_have_attribute("hidden", "")
    # The theme brings scripts and styles of its own, for which the policy makes room.
    person.sins = [sin for sin in person.sins if not sin.startswith("policy")]
