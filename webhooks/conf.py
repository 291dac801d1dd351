"""The one setting of this app, `WEBHOOKS = {...}`, read late and with its defaults.

`conf.settings.TIMEOUT_SECONDS` reads `django.conf.settings.WEBHOOKS["TIMEOUT_SECONDS"]` at each
access, so that `override_settings` works and nothing is read while modules are imported.
`checks.py` refuses unknown keys and values that cannot work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

DEFAULTS: dict[str, Any] = {
    # --- secrets: Fernet keys; the first encrypts, all decrypt
    "ENCRYPTION_KEYS": [],
    "SECRET_OVERLAP_SECONDS": 86_400,
    # --- which addresses may be called
    "ALLOWED_NETWORKS": [],  # CIDRs beyond the public internet, reachable on any port
    "REFUSED_NETWORKS": [],  # CIDRs that are internal here all the same; comes before the allowed
    "ALLOWED_PORTS": [80, 443],
    "REQUIRE_HTTPS": True,
    "EGRESS_PROXY": None,  # http://[user:password@]host:port; names are then resolved by it
    # --- one attempt
    "TIMEOUT_SECONDS": 5.0,  # from the start to the last byte (seed 004, "Formato da URL")
    "RESPONSE_MAX_BYTES": 16_384,
    "BODY_MAX_BYTES": 102_400,  # Express's default limit
    "SNAPSHOT_MAX_BYTES": 1_048_576,  # the whole record and what changed, kept beside the body
    "USER_AGENT": None,  # None: the project's name and version
    # --- a test, and an address's look-up, for which a web request waits
    "TEST_TIMEOUT_SECONDS": 5.0,  # a webhook's own timeout counts where it is less
    "TEST_CONCURRENCY": 2,  # at one time in a process; beyond: 429
    # --- retries: seconds after the attempt before (seed 004, "Retentativas")
    "RETRY_SCHEDULE_SECONDS": [0, 60, 300, 900, 3600],
    "RETRY_JITTER": 0.0,  # share of each wait that may be added at random, 0 to 1
    "RETRY_AFTER_MAX_SECONDS": 86_400,
    # --- the engine, per worker process
    "SENDER_THREADS": 128,
    "RECEIVER_CONCURRENCY": 4,
    "SUSPECT_AFTER_SECONDS": 1.0,
    "SUSPECT_SHARE": 0.25,
    "LEASE_SECONDS": 60,
    "POLL_SECONDS": 1.0,
    # --- the wake-up after a commit
    "WAKEUP_INTERVAL_SECONDS": 0.05,
    "WAKEUP_TIMEOUT_SECONDS": 1.0,
    "WAKEUP_PAUSE_SECONDS": 5.0,  # no further try after a broker failed
    "QUEUE": None,  # None: Celery's default queue
    # --- a receiver that fails for long is disabled (0 days: never)
    "DISABLE_AFTER_DAYS": 5.0,
    "DISABLE_FAILURE_SHARE": 0.95,
    "DISABLE_MIN_ATTEMPTS": 10,
    # --- retention: days since the event, of answers since the attempt; None: for ever
    "RETENTION_DAYS": {"payload": 90, "response": 30, "metadata": 365},
    # --- the figures for Prometheus (metrics.py)
    "METRICS_TOKEN": None,  # what a scrape must know; None: there are none
    "METRICS_PER_WEBHOOK": False,
}


PREFIX = "WEBHOOKS_"


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings that an environment gives, for `WEBHOOKS = from_environment(os.environ)`.

    `WEBHOOKS_TIMEOUT_SECONDS=10` gives TIMEOUT_SECONDS. The type is the default's: booleans are
    true/false, lists are separated by commas, numbers are numbers, {} is JSON.

    :raises ImproperlyConfigured: a value is not of its type; the message names the variable and,
        since it may be a secret, not the value.
    """
    found = {}
    for name, default in DEFAULTS.items():
        text = environment.get(PREFIX + name)
        if text is None or not (text.strip() or isinstance(default, list)):
            continue
        try:
            found[name] = _parsed(name, text.strip(), default)
        except ValueError as error:
            raise ImproperlyConfigured(f"{PREFIX}{name}: {error}.") from None
    return found


def _parsed(name: str, text: str, default: Any) -> Any:
    if isinstance(default, bool):
        if text.lower() in {"true", "1", "yes", "on"}:
            return True
        # Anything else that reads as false would quietly take a protection away.
        if text.lower() in {"false", "0", "no", "off"}:
            return False
        raise ValueError("write true or false")
    if isinstance(default, (int, float)):
        return _number(text)
    if isinstance(default, list):
        items = [item.strip() for item in text.split(",") if item.strip()]
        return [_number(item) for item in items] if name in _LISTS_OF_NUMBERS else items
    if isinstance(default, dict):
        return json.loads(text)
    return text or None


_LISTS_OF_NUMBERS = {"ALLOWED_PORTS", "RETRY_SCHEDULE_SECONDS"}


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise ValueError("write a number") from None


class Settings:
    """Typed-by-default access to `WEBHOOKS`; an unknown name is an AttributeError."""

    def __getattr__(self, name: str) -> Any:
        try:
            default = DEFAULTS[name]
        except KeyError:
            raise AttributeError(f"WEBHOOKS has no setting named {name!r}") from None
        configured = getattr(django_settings, "WEBHOOKS", {})
        # What is no dictionary is told by a check, which must get to run.
        return configured.get(name, default) if isinstance(configured, dict) else default


settings = Settings()
