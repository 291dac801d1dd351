"""What the API says of itself: its kinds of problem, and that there is nothing at an address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpRequest
from django.urls import Resolver404, resolve
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views import defaults
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from .describe import Json, Named, Operation, Text, object_of
from .problems import KINDS, Kind, Problem, respond
from .views import ApiView


class OpenView(ApiView):
    """For everybody: nothing in it is anybody's."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = []


class DocumentView(OpenView):
    """A description for programs. It holds nobody's data, and is the same for all."""

    @staticmethod
    def describing(summary: Text, named: str) -> dict[str, Operation]:
        """Its `descriptions`."""
        answer = {"type": "object"}
        return {"get": Operation(summary=summary, answer=answer, tagged=True, named=named)}

    def document(self) -> Json:
        raise NotImplementedError

    def get(self, request: Request) -> Response:
        return self.answer(self.document())


KIND = Named(
    "ProblemKind",
    object_of(
        {
            "code": {"enum": sorted(KINDS)},
            "status": {"type": "integer"},
            "title": {"type": "string"},
            "detail": {"type": "string"},
        }
    ),
)


class ProblemKinds(OpenView):
    """Every kind of problem that an answer may be."""

    descriptions = {
        "get": Operation(
            summary=gettext_lazy("List the kinds of problem"),
            answer=object_of({"results": {"type": "array", "items": KIND}}),
            named="problem_kind_list",
        )
    }

    def get(self, request: Request) -> Response:
        return Response({"results": [_represent(kind) for kind in KINDS.values()]})


class ProblemKind(OpenView):
    """What the `type` of a problem leads to."""

    descriptions = {
        "get": Operation(
            summary=gettext_lazy("Explain a kind of problem"),
            answer=KIND,
            named="problem_kind_retrieve",
        )
    }

    def path_parameters(self) -> Mapping[str, Json]:
        return {"code": {"enum": sorted(KINDS)}}

    def get(self, request: Request, code: str) -> Response:
        if code not in KINDS:
            raise Http404
        return Response(_represent(KINDS[code]))


class NothingHere(OpenView):
    """A 404 in the API's own shape, whatever the method."""

    tag = ""  # nothing is described

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        path = request.path_info
        if not path.endswith("/") and _leads_somewhere(f"{path}/"):
            raise Problem(
                "not-found", _("Addresses end with a slash: %(path)s/") % {"path": request.path}
            )
        raise Problem("not-found")


def bad_request(request: HttpRequest, exception: Exception) -> Any:
    """For `handler400`: what Django refuses before any view is reached, such as a foreign Host."""
    if not request.path_info.startswith("/api/"):
        return defaults.bad_request(request, exception)
    answer: Any = respond(Problem("malformed"), request)
    answer.accepted_renderer = JSONRenderer()
    answer.accepted_media_type = answer.accepted_renderer.media_type
    answer.renderer_context = {}
    return answer.render()


def _leads_somewhere(path: str) -> bool:
    try:
        view = resolve(path).func
    except Resolver404:
        return False
    return not issubclass(getattr(view, "cls", object), NothingHere)


def _represent(kind: Kind) -> dict[str, Any]:
    return {
        "code": kind.code,
        "status": kind.status,
        "title": str(kind.title),
        "detail": str(kind.detail),
    }
