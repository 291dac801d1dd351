"""The processes of the demonstration: a receiver, a worker and the web."""

from __future__ import annotations

import re
import socket
import sys
import urllib.error
import urllib.request

from django.conf import settings
from django.utils.translation import gettext as _

from .supervisor import Program

MANAGE = (sys.executable, str(settings.BASE_DIR / "manage.py"))
PORTS_TO_TRY = 50

CELERY_LINE = re.compile(r"^\[[^\]]*: (?P<level>\w+)/[^\]]*\] (?P<text>.*)$")
ACCESS_LINE = re.compile(
    r'^\[[^\]]*\] "(?P<request>\w+ (?P<path>\S+)) HTTP/[\d.]+" (?P<status>\d+)'
)
READY_PATH = "/admin/login/?ready"
NOT_WORTH_A_LINE = ("/static/", "/favicon.ico", "/admin/jsi18n/", READY_PATH)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(first: int) -> int:
    """The first free TCP port of the loopback from `first` on.

    :raises OSError: there is none near.
    """
    for port in range(first, min(first + PORTS_TO_TRY, 65_536)):
        if is_free(port):
            return port
    raise OSError(
        _("No port from %(first)d to %(last)d is free; choose another with PORT=…")
        % {"first": first, "last": first + PORTS_TO_TRY - 1}
    )


def receiver(port: int, secret: str, *, coloured: bool) -> Program:
    options = ("--force-color",) if coloured else ()
    return Program(
        name=_("receiver"),
        command=(*MANAGE, "webhooks_listen", "--port", str(port), *options),
        environment={"WEBHOOKS_LISTEN_SECRET": secret},
        is_ready=lambda program: not is_free(port),
    )


def worker() -> Program:
    return Program(
        name=_("worker"),
        command=(sys.executable, "-m", "celery", "-A", "crm_project", "worker", "-l", "INFO"),
        is_ready=lambda program: any(line.endswith(" ready.") for line in program.lines),
        quiet=_worth_of_worker,
    )


def web(port: int) -> Program:
    return Program(
        name=_("web"),
        command=(*MANAGE, "runserver", "--noreload", f"127.0.0.1:{port}"),
        environment={"DJANGO_RUNSERVER_HIDE_WARNING": "true"},
        is_ready=lambda program: _answers(f"http://127.0.0.1:{port}{READY_PATH}"),
        quiet=_worth_of_web,
    )


def _worth_of_worker(line: str) -> str | None:
    if match := CELERY_LINE.match(line):
        return match["text"] if match["level"] not in ("DEBUG", "INFO") else None
    return line or None


def _worth_of_web(line: str) -> str | None:
    if match := ACCESS_LINE.match(line):
        quiet = match["path"].startswith(NOT_WORTH_A_LINE)
        return None if quiet else f"{match['request']} {match['status']}"
    return line or None


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address
            return True
    except (OSError, urllib.error.URLError):
        return False
