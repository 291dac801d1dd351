"""The project's Celery application: `celery -A crm_project worker`."""

import os
from logging.config import dictConfig

from celery import Celery, signals
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm_project.settings")

app = Celery("crm_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def _log_as_django_does(**kwargs: object) -> None:
    dictConfig(settings.LOGGING)


@app.on_configure.connect
def _choose_logs(**kwargs: object) -> None:
    """Where somebody listens to `setup_logging`, Celery leaves logging alone."""
    if settings.LOG_FORMAT == "json":
        signals.setup_logging.connect(_log_as_django_does)
