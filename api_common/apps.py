from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ApiCommonConfig(AppConfig):
    """What every endpoint shares. It knows neither webhooks nor any record of the CRM."""

    name = "api_common"
    verbose_name = _("API")
    default_auto_field = "django.db.models.BigAutoField"
