import os

from django.apps import AppConfig


class CrmConfig(AppConfig):
    name = "benchmarks.rival.crm"
    label = "crm"

    def ready(self) -> None:
        if os.environ["RIVAL"] == "django-outbound-webhooks":
            from . import events  # noqa: F401
