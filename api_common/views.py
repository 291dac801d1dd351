"""What every endpoint does around its own work: who, how often, in which transaction, as whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils.cache import patch_vary_headers
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import SAFE_METHODS
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSetMixin

from . import etags, filters, idempotency, problems, request_bodies
from .authentication import BearerAuthentication, SessionAuthentication
from .describe import Json, Named, Operation, Text
from .openapi import AutoSchema
from .pagination import KeysetPagination, Ranked
from .parsers import JSONParser
from .permissions import RequiredPermissions
from .throttles import UserThrottle


class Negotiation(DefaultContentNegotiation):
    """By `Accept` alone: `?format=` is a filter here, not a way to ask for another answer."""

    settings: Any = SimpleNamespace(URL_FORMAT_OVERRIDE=None)


class ApiView(APIView):
    """The base of all endpoints.

    Its protocol does not hang on the project's REST_FRAMEWORK: it is the same wherever the app is
    installed.
    """

    authentication_classes = [BearerAuthentication, SessionAuthentication]
    permission_classes = [RequiredPermissions]
    throttle_classes = [UserThrottle]
    parser_classes = [JSONParser]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = Negotiation
    metadata_class = None
    schema = AutoSchema()

    acceptable = True
    """Whether the caller accepts JSON."""
    acting: Callable[..., AbstractContextManager[Any]] = nullcontext
    """`webhooks.events.acting`, where what is done here is told: called with “api”, who, and what
    reads that user's row."""
    refusals: tuple[type[Exception], ...] = ()
    """What else refuses the request (400), such as `webhooks.events.REFUSALS`: where what is saved
    cannot be told."""
    permissions: Sequence[str] = ()
    """Which permissions it takes, where all methods take the same."""
    not_atomic: Sequence[str] = ()
    """Actions (or methods, “post”) that are not one transaction."""
    descriptions: Mapping[str, Operation] = {}
    """What each action (or method, “get”) is, for the OpenAPI document."""
    tag: Text = "API"
    """The heading under which the document lists it."""

    # --- what a view may say ----------------------------------------------------------------
    @property
    def deed(self) -> str | None:
        """The action of a view set, else the method."""
        return getattr(self, "action", str(self.request.method).lower())

    def required_permissions(self) -> Sequence[str]:
        return self.permissions

    def throttle_scope(self) -> str | None:
        """A scope of its own, beside that of all requests."""
        return None

    def preparation(self) -> Callable[[], None]:
        """What is to be done before the transaction begins, such as asking other machines."""
        return idempotency.nothing

    def described(self, action: str) -> Operation | None:
        return self.descriptions.get(action)

    def problem_schema(self) -> Named | None:
        """JSON Schema of its errors, where its exception handler gives them another shape."""
        return None

    def path_parameters(self) -> Mapping[str, Json]:
        """JSON Schemas of what stands in the address."""
        return {}

    # --- around the work --------------------------------------------------------------------
    @classmethod
    def as_view(cls, *args: Any, **kwargs: Any) -> Any:
        # The view's own transactions count, whatever the project's ATOMIC_REQUESTS.
        return transaction.non_atomic_requests(super().as_view(*args, **kwargs))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """As DRF's, with the work itself in `_work`."""
        self.args, self.kwargs = args, kwargs
        self.request = drf_request = self.initialize_request(request, *args, **kwargs)
        self.headers = self.default_response_headers
        try:
            self.initial(drf_request, *args, **kwargs)
            name = str(drf_request.method).lower()
            handler = getattr(self, name, None) if name in self.http_method_names else None
            take: Any = handler or self.http_method_not_allowed
            if handler is not None and not self.acceptable and self._promises_body():
                raise NotAcceptable
            response = self._work(lambda: take(drf_request, *args, **kwargs))
        except Exception as error:
            response = self.handle_exception(error)
        self.response = self.finalize_response(drf_request, response, *args, **kwargs)
        return self.response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # Reads the body, and refuses one that is too long, before anything is done with it.
        request_bodies.read(request._request)
        super().initial(request, *args, **kwargs)
        if "\0" in request.get_full_path() or "%00" in request.get_full_path():
            raise problems.Problem("malformed")

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        # Errors are answered in their own type, and some answers have no body: whether `Accept`
        # matters is known later.
        try:
            return super().perform_content_negotiation(request, force)
        except NotAcceptable:
            self.acceptable = False
            return super().perform_content_negotiation(request, force=True)

    def _promises_body(self) -> bool:
        """Whether what is asked, if it goes well, is answered by a body: of what changes something,
        that must be known before it does."""
        if self.request.method in SAFE_METHODS:
            return False  # known when it was done
        said = self.described(str(self.deed))
        return said is None or said.answer is not None

    def _read(self, perform: Callable[[], Response]) -> Response:
        if self.acceptable or self.request.method != "GET":
            return perform()
        with transaction.atomic():  # that something was seen is not kept where nothing is shown
            response = perform()
            if response.status_code == HTTPStatus.OK:
                raise NotAcceptable
        return response

    def _work(self, perform: Callable[[], Response]) -> Response:
        user = self.request.user
        with self.acting_as(user):
            if self.request.method in SAFE_METHODS:
                return self._read(perform)
            return idempotency.answer(
                self.request,
                perform,
                atomic=self.deed not in self.not_atomic,
                prepare=self.preparation(),
            )

    def acting_as(self, user: Any) -> AbstractContextManager[Any]:
        if type(self).acting is nullcontext:
            return nullcontext()
        return type(self).acting("api", f"usuario_{user.pk}" if user.pk else "", lambda: user)

    def get_exception_handler(self) -> Callable[..., Response]:
        return problems.handle

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, self.refusals):
            exc = problems.invalid("", str(exc))
        return super().handle_exception(exc)

    def permission_denied(self, request: Request, message: Any = None, code: Any = None) -> None:  # type: ignore[override]
        raise problems.Problem(
            "forbidden" if request.user.is_authenticated else "not-authenticated"
        )

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        return Response(status=204)

    # --- answers ----------------------------------------------------------------------------
    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        # Whose answer it is, no cache between here and the caller can know.
        response.headers.setdefault("Cache-Control", "private, no-cache")
        patch_vary_headers(response, ("Authorization", "Cookie"))
        return response

    def answer(
        self,
        data: Any,
        status: int = 200,
        *,
        state: Any = None,
        secrets: Any = None,
        **headers: str,
    ) -> Response:
        """One object, with its ETag; 304 if the caller has it already.

        :param state: what the tag names, where the object does not say all of it.
        :param secrets: told with it this once, and not part of its state.
        """
        tag = etags.etag(data if state is None else state)
        if secrets is not None:
            data = {**data, **secrets}
            headers["Cache-Control"] = "no-store"
        if self.request.method in SAFE_METHODS and etags.not_modified(self.request, tag):
            return Response(status=304, headers={"ETag": tag})
        return Response(data, status=status, headers={"ETag": tag, **headers})


class ApiViewSet(ViewSetMixin, ApiView):
    """Several actions on one kind of thing, listed page by page."""

    action_permissions: Mapping[str, Sequence[str]] = {}
    """What each action takes. One that is not here is refused to everybody."""
    action_scopes: Mapping[str, str] = {}
    orderings: Mapping[str, str | Ranked] = {"id": "pk"}
    """What a list may be ordered by, and the field it means; the first, descending, by default."""

    def required_permissions(self) -> Sequence[str]:
        # No action: the method is not allowed here, which is said next.
        action = getattr(self, "action", None)
        return () if action in (None, "metadata") else self.action_permissions[str(action)]

    def throttle_scope(self) -> str | None:
        return self.action_scopes.get(str(self.action))

    def page(
        self,
        queryset: Any,
        represent: Callable[[Any], Any],
        *,
        filterset: type[filters.FilterSet] | None = None,
        orderings: Mapping[str, str | Ranked] | None = None,
        others: Sequence[str] = (),
        prepare: Callable[[list[Any]], None] | None = None,
    ) -> Response:
        """A page of the rows, filtered and ordered as the request asks.

        :param prepare: called with the page's rows, to read what all of them need at once.
        :param others: further parameters of the query, looked at by the caller.
        """
        rows = filters.apply(self.request, queryset, filterset, others)
        paginator = KeysetPagination(
            self.request, self.orderings if orderings is None else orderings
        )
        found = paginator.page_of(rows)
        if prepare is not None:
            prepare(found)
        return paginator.respond([represent(row) for row in found])
