from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CrmCommonConfig(AppConfig):
    """No tables of its own; installed for its translations."""

    name = "crm_common"
    verbose_name = _("CRM")
