"""As their documentation says; connections to the database are kept, as ours are."""

import os
from urllib.parse import urlsplit

RIVAL = os.environ["RIVAL"]
SECRET_KEY = "benchmarks only"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "benchmarks.rival.crm",
    *(["django_webhook"] if RIVAL == "django-webhook" else []),
    *(
        ["django_domain_events", "django_outbound_webhooks"]
        if RIVAL == "django-outbound-webhooks"
        else []
    ),
]
_url = urlsplit(os.environ["DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.path[1:],
        "USER": _url.username,
        "PASSWORD": _url.password,
        "HOST": _url.hostname,
        "PORT": _url.port,
        "CONN_MAX_AGE": 60,
    }
}
DJANGO_WEBHOOK = {"MODELS": ["crm.Client"]}
DJANGO_OUTBOUND_WEBHOOKS = {"ALLOW_PRIVATE_ADDRESSES": True}
CELERY_BROKER_URL = os.environ["CELERY_BROKER_URL"]
