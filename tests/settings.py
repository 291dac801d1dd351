"""Settings of the tests: the project's own, with an environment that is the same everywhere.

Nothing of a developer's `.env` or shell gets in. `TEST_DB` (set by pytest's `--db`) chooses the
database; the PostgreSQL server is started, and its address filled in, when a test first needs it.
"""

import os

from tests.environment import BASE, FERNET_KEY, VAR_DIR

for _name in [name for name in os.environ if name.startswith("WEBHOOKS_")]:
    del os.environ[_name]
os.environ.update(BASE)

from crm_project.settings import *  # noqa: E402, F403
from crm_project.settings import DATABASES, INSTALLED_APPS, WEBHOOKS  # noqa: E402

assert WEBHOOKS["ENCRYPTION_KEYS"] == [FERNET_KEY], "a setting from outside reached the tests"

INSTALLED_APPS = [*INSTALLED_APPS, "tests.things"]

if os.environ.get("TEST_DB") == "postgres":
    DATABASES["default"] = {
        **DATABASES["default"],
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "crm",
        "OPTIONS": {},
        "CONN_MAX_AGE": 0,
    }
else:
    # A file, not memory: threads and other processes see the same database, as in real use.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
