"""A browser, the people who use it, and what they need beside the site."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from tests.browser.person import DESKTOP, PHONE, Person
from tests.browser.receiver import Receiver
from webhooks.engine import Engine

SECONDS = 60  # the longest that anything on a page may take
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # What a page asks of another host is noted, and leads nowhere.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless, driven by Playwright: one for all tests of this folder.

    Playwright's event loop counts as running in the thread of the tests, and there Django refuses
    its ORM: coroutines that take turns could share a connection. In this loop run none but
    Playwright's own, which know no database, so Django is told to let it be. (A thread for the
    browser alone would need every locator and expectation handed over to it.) With this folder's
    last test both are over: no other test runs beside a loop.
    """
    expect.set_options(timeout=SECONDS * 1000)
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            chromium_sandbox=os.getuid() != 0,
            args=FLAGS,
        )
        yield chromium
        chromium.close()


class Visit(Protocol):
    def __call__(
        self,
        language: str = "pt-br",
        size: tuple[int, int] = DESKTOP,
        *,
        dark: bool = False,
        site: str = "",
    ) -> Person: ...


@pytest.fixture
def visit(browser: Browser, live_server: LiveServer) -> Iterator[Visit]:
    """`visit("en", PHONE)`: somebody with a browser of their own, at pages of `live_server` or
    another site.

    The test fails where a page complained in the console, asked another host for something, or
    came without a strict Content-Security-Policy.
    """
    people = []

    def come(
        language: str = "pt-br",
        size: tuple[int, int] = DESKTOP,
        *,
        dark: bool = False,
        site: str = "",
    ) -> Person:
        width, height = size
        site = site or live_server.url
        context = browser.new_context(
            base_url=site,
            viewport={"width": width, "height": height},
            is_mobile=size == PHONE,
            has_touch=size == PHONE,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            permissions=["clipboard-read", "clipboard-write"],
        )
        context.set_default_timeout(SECONDS * 1000)
        people.append(Person(context, site, language))
        return people[-1]

    yield come
    for person in people:
        person.context.close()
    assert [sin for person in people for sin in person.sins] == []


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def worker(transactional_db: None, settings: Any) -> Iterator[None]:
    """An engine that delivers, as in a worker."""
    # A machine that is busy is no receiver that is slow.
    settings.WEBHOOKS = {**settings.WEBHOOKS, "TIMEOUT_SECONDS": 50.0, "LEASE_SECONDS": 120}
    engine = Engine()
    thread = threading.Thread(target=engine.run)
    thread.start()
    yield
    engine.stop()
    thread.join(SECONDS)
