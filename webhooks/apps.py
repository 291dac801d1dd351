from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class WebhooksConfig(AppConfig):
    name = "webhooks"
    verbose_name = _("Webhooks")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, jobs  # noqa: F401
        from .tasks import publish_jobs, publish_wakeup
        from .wakeup import set_publisher

        autodiscover_modules("eventos", "events")
        set_publisher(publish_wakeup)
        jobs.set_publisher(publish_jobs)
