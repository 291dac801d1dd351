from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChamadosConfig(AppConfig):
    name = "chamados"
    verbose_name = _("Tickets")
