"""Django's model permissions, on everything, reading included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from .problems import Problem


class RequiredPermissions(BasePermission):
    """Lets through who has every permission that `view.required_permissions()` names."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            return False  # a 401, which says how to authenticate
        require(request, view.required_permissions())
        return True


def require(request: Request, permissions: Sequence[str]) -> None:
    """:param permissions: such as “clientes.view_cliente”, all of them needed.
    :raises Problem: 403, naming the first that is missing.
    """
    for permission in permissions:
        if not request.user.has_perm(permission):
            raise Problem(
                "forbidden",
                _("You need the permission “%(permission)s”.") % {"permission": permission},
                extra={"permission": permission},
            )
