"""The bytes of a request's body, all of them or none."""

from __future__ import annotations

from io import BytesIO

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, UnreadablePostError
from django.utils.translation import gettext as _

from .problems import Problem


def read(request: HttpRequest) -> None:
    """Read the body, whether its length was announced or not.

    :raises Problem: 411, its end cannot be known; 415, it is compressed.
    :raises RequestDataTooBig: it is longer than DATA_UPLOAD_MAX_MEMORY_SIZE.
    """
    if isinstance(request, WSGIRequest) and _length_unknown(request):
        _read_to_its_end(request)
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if request.body and encoding not in ("", "identity"):
        raise Problem(
            "unsupported-media-type",
            _("Send the body as it is, without Content-Encoding."),
            headers={"Accept-Encoding": "identity"},
        )


def _length_unknown(request: WSGIRequest) -> bool:
    return "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH")


def _read_to_its_end(request: WSGIRequest) -> None:
    """Django takes a body without a length for an empty one, which could mean something else."""
    if not request.META.get("wsgi.input_terminated"):
        raise Problem("length-required")
    most: int | None = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    try:
        body = request.META["wsgi.input"].read(-1 if most is None else most + 1)
    except OSError as error:
        raise UnreadablePostError(*error.args) from error
    request._stream = BytesIO(body)
    request.META["CONTENT_LENGTH"] = str(len(body))
