from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TarefasConfig(AppConfig):
    name = "tarefas"
    verbose_name = _("Tasks")
