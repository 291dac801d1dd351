"""The OpenAPI 3.1 document, made from the views: what they say (describe.py), and the protocol.

drf-spectacular finds the endpoints and puts the document together; what an operation takes and
answers is said here, since bodies and answers are not DRF's serializers but JSON Schemas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema as SpectacularSchema
from drf_spectacular.plumbing import ComponentIdentity, ResolvedComponent
from drf_spectacular.settings import patched_settings
from rest_framework.permissions import SAFE_METHODS

from . import idempotency, openapi_parts
from .describe import Named, Operation
from .problems import KINDS

Json = dict[str, Any]

JSON_TYPE = "application/json"


def document() -> Json:
    """The whole document, in the language of the moment. Made once per language.

    The project may add to it by SPECTACULAR_SETTINGS; its POSTPROCESSING_HOOKS see it last.
    """
    return _document(get_language() or settings.LANGUAGE_CODE)


@lru_cache(maxsize=16)
def _document(language: str) -> Json:
    defaults = {
        "OAS_VERSION": "3.1.1",
        "TITLE": _("CRM API"),
        "DESCRIPTION": _(
            "The CRM's records and its webhooks. What a webhook's “data” says is what the API "
            "answers. Errors are problem details (RFC 9457)."
        ),
        "VERSION": "1",
        "SERVERS": [{"url": "/"}],
        "POSTPROCESSING_HOOKS": [],
        "SORT_OPERATIONS": False,
    }
    with patched_settings({**defaults, **getattr(settings, "SPECTACULAR_SETTINGS", {})}):
        make: Any = SchemaGenerator
        found: Json = make().get_schema(request=None, public=True)
    return found


_Component: Any = ResolvedComponent


class AutoSchema(SpectacularSchema):
    """Of one view: its operations, from its `descriptions`."""

    view: Any

    def is_excluded(self) -> bool:
        return not self.view.tag

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: Any
    ) -> Any:
        self.registry, self.path, self.method = registry, path, method.upper()
        if self.is_excluded():
            return None
        action = getattr(self.view, "action", None) or method.lower()
        said: Operation | None = self.view.described(action)
        if said is None:
            raise LookupError(
                f"{type(self.view).__name__} does not say what {method.upper()} {path} is: give it "
                f"an Operation in `descriptions`, as “{action}”."
            )
        operation: Json = {
            "operationId": said.named or f"{self.view.basename}_{action}",
            "summary": str(said.summary),
            "tags": [str(self.view.tag)],
        }
        if text := self._text(said):
            operation["description"] = text
        if parameters := list(self._parameters(said)):
            operation["parameters"] = parameters
        if said.body is not None:
            content: Json = {"schema": self._resolved(said.body)}
            if said.example is not None:
                content["example"] = said.example
            operation["requestBody"] = {
                "required": said.body_needed,
                "content": {JSON_TYPE: content},
            }
        operation["responses"] = self._responses(said)
        operation["security"] = list(self._security())
        return operation

    # --- its parts --------------------------------------------------------------------------
    @property
    def _open(self) -> bool:
        return not self.view.authentication_classes

    def _text(self, said: Operation) -> str:
        parts = [str(said.description)] if said.description else []
        if not self._open:
            needed = self.view.required_permissions()
            if needed:
                parts.append(_("Needs: %(names)s.") % {"names": _in_code(needed)})
        return "\n\n".join(parts)

    def _parameters(self, said: Operation) -> Iterator[Json]:
        for name, schema in self.view.path_parameters().items():
            if f"{{{name}}}" in self.path:
                yield {"name": name, "in": "path", "required": True, "schema": schema}
        for name, filter in (said.filterset.base_filters if said.filterset else {}).items():
            yield openapi_parts.of_filter(name, filter)
        yield from self._resolved(list(said.parameters))
        if said.orderings is not None:
            yield self._component("parameters", "cursor")
            yield self._component("parameters", "pageSize")
            yield {
                "name": "ordering",
                "in": "query",
                "description": _("What to order by; with - before it, descending."),
                "schema": {
                    "enum": [sign + name for name in said.orderings for sign in ("-", "")],
                    "default": f"-{next(iter(said.orderings))}",
                },
            }
        if said.changes:
            yield self._component("parameters", "If-Match")
        if said.tagged and self.method in SAFE_METHODS:
            yield self._component("parameters", "If-None-Match")
        if self.method == "POST":
            yield self._component("parameters", idempotency.HEADER)

    def _responses(self, said: Operation) -> Json:
        well: Json = {"description": HTTPStatus(said.status).phrase}
        if said.answer is not None:
            well["content"] = {JSON_TYPE: {"schema": self._resolved(said.answer)}}
        names = [
            *(["ETag"] if said.tagged else []),
            *(["Location"] if said.located else []),
            *([idempotency.REPLAYED] if self.method == "POST" else []),
        ]
        if names:
            well["headers"] = {name: self._component("headers", name) for name in names}
        found = {str(said.status): well}
        for status, schema in said.answers.items():
            content = {JSON_TYPE: {"schema": self._resolved(schema)}}
            found[str(status)] = {**well, "description": HTTPStatus(status).phrase}
            found[str(status)]["content"] = content
        if said.tagged and self.method in SAFE_METHODS:
            found["304"] = {
                "description": HTTPStatus(304).phrase,
                "headers": {"ETag": self._component("headers", "ETag")},
            }
        for status in sorted(_statuses(said, self.path, self.method, self._open)):
            found[str(status)] = self._problem(status)
        return found

    def _problem(self, status: int) -> Json:
        name = f"Problem{status}"
        own: Named | None = self.view.problem_schema()
        if own is None:
            return self._component("responses", name)
        response = openapi_parts.problem_response(name)
        response["content"] = {JSON_TYPE: {"schema": own}}
        return self._registered("responses", f"{own.name}{status}", response)

    def _security(self) -> Iterator[Json]:
        if self._open:
            yield {}
            return
        for name in ("bearer", "session"):
            self._component("securitySchemes", name)
            yield {name: []}

    # --- components -------------------------------------------------------------------------
    def _component(self, kind: str, name: str) -> Json:
        makers: Mapping[str, Any] = {
            "parameters": openapi_parts.parameter,
            "headers": openapi_parts.header,
            "responses": openapi_parts.problem_response,
            "securitySchemes": openapi_parts.security_scheme,
        }
        return self._registered(kind, name, makers[kind](name))

    def _registered(self, kind: str, name: str, made: Json) -> Json:
        identity: Any = ComponentIdentity
        component: Any = _Component(name=name, type=kind, object=identity((kind, name)))
        if component not in self.registry:
            # Before what it holds, which may lead back to it.
            self.registry.register(component)
            component.schema = self._resolved(made)
        found: Json = component.ref
        return found

    def _resolved(self, schema: Any) -> Any:
        """The schema with references in place of what has a name, and with texts as texts."""
        match schema:
            case Named():
                return self._registered("schemas", schema.name, schema.schema)
            case dict():
                return {key: self._resolved(each) for key, each in schema.items()}
            case list() | tuple():
                return [self._resolved(each) for each in schema]
            case Promise():
                return str(schema)
        return schema


def _statuses(said: Operation, path: str, method: str, open: bool) -> set[int]:
    """What may go wrong with such a request, whatever the endpoint."""
    codes = {"malformed", "internal", "unavailable", *said.problems}
    if said.answer is not None:
        codes |= {"not-acceptable"}
    if not open:
        codes |= {"not-authenticated", "forbidden", "too-many-requests"}
    if "{" in path:
        codes |= {"not-found"}
    if method not in SAFE_METHODS:
        codes |= {"conflict", "length-required", "too-large", "unsupported-media-type"}
    if method == "POST":
        codes |= {"idempotency-key-reused"}
    if said.changes:
        codes |= {"changed-meanwhile"}
    return {KINDS[code].status for code in codes}


def _in_code(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)
