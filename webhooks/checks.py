"""System checks: settings that cannot work, or that open what should be closed.

webhooks.E001  WEBHOOKS is no dictionary, or has a key that does not exist
webhooks.E002  a setting has a value it cannot have
webhooks.E003  there is no usable encryption key
webhooks.E004  a lease ends before an attempt may
webhooks.E005  the database is neither PostgreSQL nor SQLite
webhooks.E006  the metrics are on, and cannot be told, or to anybody who guesses
webhooks.W001  http:// is allowed outside of development
webhooks.W002  networks beyond the public internet may be called
webhooks.W003  a registered model's save and its event are not one transaction
webhooks.W004  SQLite's transactions do not begin IMMEDIATE
webhooks.W005  ports beyond 80 and 443 may be called
webhooks.W006  an egress proxy decides where names lead
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS, connections

from . import rules, tracking
from .conf import DEFAULTS, settings
from .sealed import EncryptionKeyMissing, fernet

_TOKEN_LENGTH = 16  # characters that a token has at least


@register()
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    configured = getattr(django_settings, "WEBHOOKS", {})
    if not isinstance(configured, dict):
        return [Error("WEBHOOKS must be a dictionary.", id="webhooks.E001")]
    found: list[CheckMessage] = []
    for name in configured.keys() - DEFAULTS.keys():
        close = difflib.get_close_matches(str(name), DEFAULTS, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Known: {', '.join(sorted(DEFAULTS))}."
        found.append(
            Error(f"WEBHOOKS has no setting named {name!r}.", hint=hint, id="webhooks.E001")
        )
    wrong = set()
    for name, rule in rules.RULES.items():
        value = getattr(settings, name)
        problem = rule(value)
        if problem:
            wrong.add(name)
            found.append(
                Error(f'WEBHOOKS["{name}"] is {value!r}.', hint=f"{problem}.", id="webhooks.E002")
            )
    if not wrong & {"LEASE_SECONDS", "TIMEOUT_SECONDS"} and (
        settings.LEASE_SECONDS < settings.TIMEOUT_SECONDS + 5
    ):
        found.append(
            Error(
                f"A lease of {settings.LEASE_SECONDS:g} s ends before an attempt of "
                f"{settings.TIMEOUT_SECONDS:g} s and its recording surely have: deliveries would "
                "be sent twice.",
                hint='Make WEBHOOKS["LEASE_SECONDS"] at least TIMEOUT_SECONDS + 5; 60 is usual.',
                id="webhooks.E004",
            )
        )
    return found


@register(Tags.security)
def check_encryption_keys(**kwargs: Any) -> list[CheckMessage]:
    keys = settings.ENCRYPTION_KEYS
    if isinstance(keys, str) or not isinstance(keys, Sequence):  # not shown: it may be a key
        return [
            Error(
                'WEBHOOKS["ENCRYPTION_KEYS"] is no list.',
                hint="Write a list of Fernet keys: the first encrypts, all decrypt.",
                id="webhooks.E003",
            )
        ]
    try:
        fernet()
    except EncryptionKeyMissing as error:
        message, _, hint = str(error).partition(". ")
        return [Error(f"{message}.", hint=hint or None, id="webhooks.E003")]
    return []


@register(Tags.security)
def check_addresses(**kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.REQUIRE_HTTPS is False and not django_settings.DEBUG:
        found.append(
            Warning(
                "Webhooks may be sent over plain http: whoever is on the way reads and changes "
                "them.",
                hint='Set WEBHOOKS["REQUIRE_HTTPS"] (WEBHOOKS_REQUIRE_HTTPS) to true outside of '
                "development.",
                id="webhooks.W001",
            )
        )
    networks, ports = settings.ALLOWED_NETWORKS, settings.ALLOWED_PORTS
    if networks and not rules.networks(networks) and not django_settings.DEBUG:
        found.append(
            Warning(
                "Whoever may create a webhook may call these networks, on any port, from the "
                f"workers: {', '.join(map(str, networks))}.",
                hint="List the narrowest networks that hold your receivers, never one with a "
                "metadata service (169.254.169.254) or the workers' own machines in it, or "
                "silence this check.",
                id="webhooks.W002",
            )
        )
    beyond = [] if rules.ports(ports) else sorted(set(ports) - {80, 443})
    if beyond and not django_settings.DEBUG:
        found.append(
            Warning(
                f"Whoever may create a webhook may make the workers call these ports: {beyond}.",
                hint="Leave out the ports of anything that is no web server, or silence this "
                "check.",
                id="webhooks.W005",
            )
        )
    return found


@register(Tags.security)
def check_egress_proxy(**kwargs: Any) -> list[CheckMessage]:
    proxy = settings.EGRESS_PROXY
    if not proxy:
        return []
    if not isinstance(proxy, str):
        return [Error('WEBHOOKS["EGRESS_PROXY"] is no text.', id="webhooks.E002")]
    from .transport import proxy_of  # not before it is needed: requests is no light import

    try:
        proxy_of(proxy)
    except ValueError as error:  # the value may hold a password and is not shown
        return [
            Error('WEBHOOKS["EGRESS_PROXY"] is no proxy.', hint=f"{error}.", id="webhooks.E002")
        ]
    return [
        Warning(
            "Webhooks go out through a proxy, which looks their names up and connects. Of the "
            "guard only the URL's own part is left: its spelling, its port, and its address where "
            "it is written as one. That a name leads to something internal, now or by a later "
            "change, is no longer noticed here.",
            hint="Let the proxy refuse internal addresses (as Smokescreen does), and silence "
            "this check.",
            id="webhooks.W006",
        )
    ]


@register(Tags.security)
def check_metrics(**kwargs: Any) -> list[CheckMessage]:
    token = settings.METRICS_TOKEN
    if token is None:
        return []
    if not isinstance(token, str) or not re.fullmatch(f"[!-~]{{{_TOKEN_LENGTH},}}", token):
        return [
            Error(  # not shown: it may be somebody's
                f'WEBHOOKS["METRICS_TOKEN"] is no text of {_TOKEN_LENGTH} or more printable '
                "characters without spaces.",
                hint="python -c 'import secrets; print(secrets.token_urlsafe())' makes a good one; "
                "None: no metrics.",
                id="webhooks.E006",
            )
        ]
    try:
        importlib.import_module("prometheus_client")
    except ImportError:
        return [
            Error(
                'WEBHOOKS["METRICS_TOKEN"] asks for metrics, which prometheus-client writes, and '
                "that is not installed.",
                hint="pip install 'django-crm-webhooks[metrics]'",
                id="webhooks.E006",
            )
        ]
    return []


@register(Tags.models)
def check_tracked_models(**kwargs: Any) -> list[CheckMessage]:
    return [
        Warning(
            f"{model._meta.label} tells events, but saving one is no transaction: a process that "
            "dies after the save loses its event.",
            hint="Let the model inherit from webhooks.events.TrackedModel or, if it is not yours, "
            "register it with wrap_save=True. ATOMIC_REQUESTS alone covers neither commands nor "
            "shells.",
            obj=model,
            id="webhooks.W003",
        )
        for model in tracking.registered()
        if not tracking.is_atomic(model)
    ]


@register(Tags.database)
def check_database(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor not in {"postgresql", "sqlite"}:
        return [
            Error(
                f"Deliveries cannot be queued on {connection.display_name}.",
                hint="Use PostgreSQL, or SQLite on one machine.",
                id="webhooks.E005",
            )
        ]
    options = connection.settings_dict.get("OPTIONS", {})
    if connection.vendor == "sqlite" and options.get("transaction_mode") != "IMMEDIATE":
        return [
            Warning(
                "SQLite's transactions do not begin IMMEDIATE: with a web server and a worker "
                "writing at once, some fail with “database is locked”.",
                hint='Set DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE", '
                '"timeout": 20, "init_command": "PRAGMA journal_mode=WAL"}.',
                id="webhooks.W004",
            )
        ]
    return []
