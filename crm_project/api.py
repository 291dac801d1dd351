"""The routes of the API, under /api/v1/."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from chamados.api import ChamadoViewSet, DepartamentoViewSet
from clientes.api import ClienteViewSet
from crm_common.api.users import UsuarioViewSet
from tarefas.api import TarefaViewSet

router = SimpleRouter()
router.register("clientes", ClienteViewSet, basename="cliente")
router.register("tarefas", TarefaViewSet, basename="tarefa")
router.register("chamados", ChamadoViewSet, basename="chamado")
router.register("departamentos", DepartamentoViewSet, basename="departamento")
router.register("usuarios", UsuarioViewSet, basename="usuario")

urlpatterns = [
    path("", include(router.urls)),
    path("", include("webhooks.api.urls")),
    path("", include("api_common.urls")),  # last: it takes what is left
]
