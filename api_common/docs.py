"""The API's description: the OpenAPI document, and two ways to read it in a browser."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from django.views.generic import TemplateView

from . import openapi
from .describe import Json
from .pages import DocumentView

# What the two programs need beyond their own files: styles that they write while they run, pictures
# within their styles, and a worker that searches. Scripts come from here alone.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


class SchemaView(DocumentView):
    """The OpenAPI document."""

    descriptions = DocumentView.describing(_("This document"), "schema_retrieve")

    def document(self) -> Json:
        return openapi.document()


class DocsView(TemplateView):
    """A page that shows the document; all that it loads comes from this server."""

    extra_context = {"csrf_cookie": settings.CSRF_COOKIE_NAME}

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> Any:
        response = super().render_to_response(context, **kwargs)
        response.headers["Content-Security-Policy"] = POLICY
        return response


class Swagger(DocsView):
    """Swagger UI: requests can be tried out, with a token or the browser's session."""

    template_name = "api_common/swagger.html"


class Redoc(DocsView):
    """Redoc: to read."""

    template_name = "api_common/redoc.html"
