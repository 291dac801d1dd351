"""Using pages as a person does, and looking at them as a checker of accessibility does."""

from __future__ import annotations

from pathlib import Path

from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Request, Response, expect

# axe-core 4.11.0 (Deque Systems, MPL 2.0: see axe.LICENSE), unchanged, as published on npm.
AXE = (Path(__file__).parents[1] / "assets" / "axe.min.js").read_text(encoding="utf-8")
DESKTOP, PHONE = (1280, 900), (390, 844)


class Person:
    """Somebody at a browser who reads one language. `sins` is what no page may do, and did."""

    def __init__(self, context: BrowserContext, site: str, language: str) -> None:
        self.context, self.site, self.language = context, site, language
        self.sins: list[str] = []
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.sins.append(f"error: {error.error}"))
        context.on("request", self._asked)
        context.on("response", self._answered)
        self.page = context.new_page()

    # --- what a person does -----------------------------------------------------------------
    def log_in(self, name: str, password: str) -> None:
        self.open("/admin/login/")
        self.page.locator(f"button[name=language][value={self.language}]").click()
        expect(self.page.locator(f"html[lang={self.language}]")).to_be_attached()
        self.page.locator("#id_username").fill(name)
        self.page.locator("#id_password").fill(password)
        self.press("Log in")
        expect(self.page.locator("#user-tools")).to_be_visible()

    def arrive_as(self, user: User) -> None:
        """Logged in already, in one's language."""
        client = Client()
        client.force_login(user)
        cookies = {"sessionid": client.cookies["sessionid"].value, "django_language": self.language}
        self.context.add_cookies(
            [{"name": name, "value": value, "url": self.site} for name, value in cookies.items()]
        )

    def open(self, path: str) -> None:
        self.page.goto(path)

    def say(self, text: str) -> str:
        """A text of the interface in this person's language."""
        with translation.override(self.language):
            return translation.gettext(text)

    def called(self, text: str) -> Locator:
        """The button or link with that text (in English here)."""
        name = self.say(text)
        page = self.page
        return page.get_by_role("button", name=name, exact=True).or_(
            page.get_by_role("link", name=name, exact=True)
        )

    def press(self, text: str) -> None:
        self.called(text).click()

    def clipboard(self) -> str:
        text: str = self.page.evaluate("navigator.clipboard.readText()")
        return text

    # --- what a person sees -----------------------------------------------------------------
    def reads(self, text: str, where: str = "body") -> None:
        """That text (in English here) is there, or comes."""
        expect(self.page.locator(where)).to_contain_text(self.say(text))

    # --- what a checker sees ----------------------------------------------------------------
    def problems(self, *, besides: str = "#nav-sidebar") -> list[str]:
        """What is wrong with the page as it stands.

        :param besides: the part of the page that is not looked at.
        """
        self.page.evaluate(AXE)
        return [*self._too_wide(), *self._inaccessible(besides)]

    def _inaccessible(self, besides: str) -> list[str]:
        """What axe finds serious."""
        found = self.page.evaluate(
            "async besides => (await axe.run({exclude: [besides]},"
            " {resultTypes: ['violations'], preload: false})).violations",
            besides,
        )
        return [
            f"{finding['id']} ({finding['impact']}): {node['html'][:160]}"
            for finding in found
            if finding["impact"] in {"serious", "critical"}
            for node in finding["nodes"][:3]
        ]

    def _too_wide(self) -> list[str]:
        page, screen = self.page.evaluate(
            "[document.documentElement.scrollWidth, window.innerWidth]"
        )
        return [f"too wide: {page} > {screen}"] if page > screen else []

    # --- what no page may do ----------------------------------------------------------------
    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.sins.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.site, "data:", "blob:")):
            self.sins.append(f"foreign: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.request.resource_type != "document":
            return
        policy = response.headers.get("content-security-policy", "")
        if "default-src 'none'" not in policy or "script-src 'self';" not in policy:
            self.sins.append(f"policy “{policy}”: {response.url}")
