"""The environment in which the project runs under test, in this process and in those it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tests.services.base import workspace

VAR_DIR = workspace("var")
FERNET_KEY = "Y2hhdmUtZGUtdGVzdGUtMzItYnl0ZXMtZmVybmV0LS0="

BASE: dict[str, str] = {
    "ENV_FILE": os.devnull,  # a developer's `.env` is not read
    "VAR_DIR": str(VAR_DIR),
    "DEBUG": "false",
    "SECRET_KEY": "tests-only",
    "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1],testserver",
    "CSRF_TRUSTED_ORIGINS": "",
    "SECURE_COOKIES": "false",
    "DATABASE_URL": f"sqlite:///{VAR_DIR / 'unused.sqlite3'}",
    "CELERY_BROKER_URL": "memory://",
    "EMAIL_URL": "memorymail://",
    "WEBHOOKS_ENCRYPTION_KEYS": FERNET_KEY,
    "WEBHOOKS_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
    "WEBHOOKS_ALLOWED_PORTS": "80,443",
    "WEBHOOKS_REQUIRE_HTTPS": "false",
}


def for_process(**changes: str) -> Mapping[str, str]:
    """The whole environment of a process of the project, with some of `BASE` changed.

    It runs the project's real settings (`crm_project.settings`), not those of the tests.
    """
    kept = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "COVERAGE_PROCESS_CONFIG")
        if name in os.environ
    }
    return {
        **kept,
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "default",
        "DJANGO_SETTINGS_MODULE": "crm_project.settings",
        **BASE,
        **changes,
    }
