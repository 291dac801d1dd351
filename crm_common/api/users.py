"""Users in the API: whom a task may be given to, who resolved a ticket. The admin keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.http import Http404
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.response import Response

from api_common import filters
from api_common.describe import Json, Named, Operation, object_of, page_of
from api_common.views import ApiViewSet

from .. import public_ids
from .bodies import permission
from .lists import SearchFilter

User: Any = get_user_model()
PREFIX = "usuario"

USUARIO = Named(
    "Usuario",
    object_of(
        {
            "id": public_ids.schema(PREFIX),
            "nome": {"type": "string"},
            "ativo": {"type": "boolean"},
        }
    ),
)


class UsuarioFilters(filters.FilterSet):
    q = SearchFilter("username", "first_name", "last_name")
    ativo = filters.BooleanFilter("is_active", help_text=_("Whether the user may log in."))


class UsuarioViewSet(ApiViewSet):
    """Lists and reads."""

    lookup_field = "public_id"
    lookup_value_regex = "[^/]+"
    orderings = {"id": "pk"}
    action_permissions = {
        "list": [permission("view", User)],
        "retrieve": [permission("view", User)],
    }
    descriptions = {
        "list": Operation(
            summary=_("List users"),
            answer=page_of(USUARIO),
            filterset=UsuarioFilters,
            orderings=list(orderings),
        ),
        "retrieve": Operation(summary=_("Read a user"), answer=USUARIO, tagged=True),
    }

    @property
    def tag(self) -> str:  # type: ignore[override]
        return capfirst(User._meta.verbose_name_plural)

    def path_parameters(self) -> Mapping[str, Json]:
        return {"public_id": public_ids.schema(PREFIX)}

    def list(self, request: Request) -> Response:
        return self.page(User._default_manager.all(), represent, filterset=UsuarioFilters)

    def retrieve(self, request: Request, public_id: str) -> Response:
        filters.refuse_unknown(request, ())
        pk = public_ids.pk_of(public_id, PREFIX)
        user = None if pk is None else User._default_manager.filter(pk=pk).first()
        if user is None:
            raise Http404
        return self.answer(represent(user))


def represent(user: Any) -> dict[str, Any]:
    return {
        "id": public_ids.public_id(PREFIX, user.pk),
        "nome": user.get_full_name() or user.get_username(),
        "ativo": user.is_active,
    }
