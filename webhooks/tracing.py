"""Traces from a save to each attempt, where OpenTelemetry is installed and set up.

Recording events is a span of whatever trace the save is part of; its context is stored with the
events as W3C `traceparent`, each attempt is a span under it, in whatever process and however much
later, and the request carries the attempt's own `traceparent` on to the receiver. Where the library
is absent, or no provider is set up, none of it happens.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import __version__

logger = logging.getLogger("webhooks.tracing")

try:
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:
    INSTALLED = False
else:
    INSTALLED = True

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from .queue import Job, Result


def _tracer() -> Tracer | None:
    """None where nobody traces."""
    if not INSTALLED:
        return None
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        return None
    return provider.get_tracer("webhooks", __version__)


def recording(types: Sequence[str]) -> AbstractContextManager[str | None]:
    """The span of recording events of these types; gives the `traceparent` to store with them."""
    tracer = _tracer()
    return _NOTHING if tracer is None else _recording(tracer, types)


_NOTHING: AbstractContextManager[None] = contextlib.nullcontext()


@contextlib.contextmanager
def _recording(tracer: Tracer, types: Sequence[str]) -> Iterator[str | None]:
    name = f"record {types[0]}" if len(set(types)) == 1 else "record events"
    with tracer.start_as_current_span(
        name,
        kind=trace.SpanKind.PRODUCER,
        attributes={"webhooks.events": len(types)},
        # An exception's message may hold what the event would have told.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield _traceparent(span)


class Attempting:
    """The span of an attempt; this one where nobody traces."""

    traceparent: str | None = None
    """To be sent along."""

    def __enter__(self) -> Attempting:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def tell(self, result: Result) -> None:
        """What came of it."""


class _Span(Attempting):
    def __init__(self, tracer: Tracer, job: Job, url: str) -> None:
        # Of the address its host alone: paths and queries hold secrets.
        parts = urlsplit(url)
        self._span = tracer.start_span(
            f"deliver {job.event_type}",
            context=TraceContextTextMapPropagator().extract({"traceparent": job.traceparent or ""}),
            kind=trace.SpanKind.CLIENT,
            attributes={
                "http.request.method": "POST",
                "server.address": parts.hostname or "",
                "webhooks.delivery_id": job.delivery_id,
                "webhooks.event_id": f"evt_{job.event_id.hex}",
                "webhooks.event_type": job.event_type,
                "webhooks.webhook_id": str(job.webhook_id),
                "webhooks.attempt": job.attempt_count + 1,
            },
        )
        self.traceparent = _traceparent(self._span)

    def __exit__(self, *exc_info: object) -> None:
        with _whatever_happens():
            self._span.end()

    def tell(self, result: Result) -> None:
        with _whatever_happens():
            self._tell(result)

    def _tell(self, result: Result) -> None:
        attempt: dict[str, Any] = result.attempt or {}
        if attempt.get("status_code"):
            self._span.set_attribute("http.response.status_code", attempt["status_code"])
        if error := attempt.get("error"):
            self._span.set_attribute("error.type", error)
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.set_attribute("webhooks.status", str(result.status))


_OFF = Attempting()


def attempting(job: Job, url: str) -> Attempting:
    """The span of an attempt, under that of the event's recording. Nothing here fails it."""
    try:
        tracer = _tracer()
        return _OFF if tracer is None else _Span(tracer, job, url)
    except Exception as problem:
        _give_up(problem)
        return _OFF


@contextlib.contextmanager
def _whatever_happens() -> Iterator[None]:
    try:
        yield
    except Exception as problem:
        _give_up(problem)


def _give_up(problem: Exception) -> None:
    # Its kind alone: its words may hold an address, with the secrets in it.
    logger.warning("An attempt could not be traced (%s).", type(problem).__name__)


def _traceparent(span: Span) -> str | None:
    """W3C Trace Context, 3.2; None where the span is of no trace."""
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
