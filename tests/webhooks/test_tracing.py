"""One trace from a save to what the receiver got, and none where nobody traces."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tests.crm import make_cliente
from tests.webhooks.makers import a_webhook, an_event, receiver
from webhooks import events, tracing
from webhooks.models import Attempt, Event
from webhooks.testing import deliver_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What a provider that is set up collects."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent and span.parent.span_id


def sent_as(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    flags = context.trace_flags
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"


def test_a_request_and_each_attempt_at_its_webhook_are_one_trace(
    spans: InMemorySpanExporter,
) -> None:
    with receiver(500) as (url, got):
        a_webhook(url=f"{url}?token=secret", retry_schedule=[0, 0])
        with trace.get_tracer("web").start_as_current_span("POST /clientes"):
            make_cliente(nome="Nome Que Ninguém Lê")
        deliver_all()

    request, record, first, second = sorted(
        spans.get_finished_spans(), key=lambda span: span.start_time or 0
    )
    assert [record.name, first.name] == ["record cliente.criado", "deliver cliente.criado"]
    assert parent_of(record) == request.get_span_context().span_id
    assert parent_of(first) == parent_of(second) == record.get_span_context().span_id
    assert [headers["traceparent"] for headers, _ in got] == [sent_as(first), sent_as(second)]
    event = Event.objects.get()
    assert event.traceparent == sent_as(record)
    assert len(event.traceparent) == Event._meta.get_field("traceparent").max_length
    attributes = dict(second.attributes or {})
    assert attributes["webhooks.event_id"] == event.public_id
    assert attributes["webhooks.attempt"] == 2
    assert attributes["http.response.status_code"] == 500
    assert attributes["error.type"] == "status"
    assert not second.status.is_ok
    kept = Attempt.objects.latest("id").request_headers
    assert kept["traceparent"] == sent_as(second)
    told = "".join(span.to_json() for span in (record, first, second))
    for kept_quiet in ("secret", "Ninguém", "/webhook"):
        assert kept_quiet not in told


@pytest.mark.parametrize("stored", [None, "", "00-garbage", "ff-" + "0" * 52])
def test_what_was_recorded_untraced_begins_a_trace_of_its_own(
    spans: InMemorySpanExporter, stored: str | None
) -> None:
    with receiver() as (url, got):
        a_webhook(url=url, headers={"Traceparent": "mine"})
        an_event(fanned_out=False, traceparent=stored)
        deliver_all()
    [attempt] = spans.get_finished_spans()
    assert parent_of(attempt) is None
    assert got[0][0]["traceparent"] == sent_as(attempt)


def test_what_the_sampler_leaves_out_stays_out_in_the_worker(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = trace.get_tracer_provider()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(sampler=ALWAYS_OFF))
    with receiver() as (url, got):
        a_webhook(url=url)
        make_cliente()
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
        deliver_all()
    assert spans.get_finished_spans() == ()
    assert int(got[0][0]["traceparent"][-2:], 16) & trace.TraceFlags.SAMPLED == 0


class Broken(SpanProcessor):
    """One that fails as a span begins, or as it ends."""

    def __init__(self, when: str) -> None:
        setattr(self, when, self._fail)

    def _fail(self, *args: object) -> None:
        raise RuntimeError("out of order")


@pytest.mark.parametrize("when", ["on_start", "on_end"])
def test_what_fails_in_tracing_fails_no_delivery(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    make_cliente()
    provider = TracerProvider()
    provider.add_span_processor(Broken(when))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    with receiver() as (url, got):
        a_webhook(url=url)
        deliver_all()
    assert len(got) == 1
    assert Attempt.objects.get().succeeded


def test_an_address_that_nobody_can_read_is_an_attempt_that_fails(
    spans: InMemorySpanExporter,
) -> None:
    """As it may stand in an old row."""
    a_webhook(url="https://[exemplo.com/")
    make_cliente()
    deliver_all()
    assert Attempt.objects.get().error == Attempt.Error.BLOCKED


def test_an_error_at_the_save_leaves_nothing_of_it_in_the_trace(
    spans: InMemorySpanExporter,
) -> None:
    with pytest.raises(events.NotExact):
        events.emit("webhook.teste", data={"segredo": float("nan")})
    assert "segredo" not in "".join(span.to_json() for span in spans.get_finished_spans())


@pytest.fixture(params=["installed", "absent"])
def _library(request: pytest.FixtureRequest) -> Iterator[None]:
    """The library is there, but nobody set it up; or it is not there."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "absent":
            patch.setitem(sys.modules, "opentelemetry", None)
        importlib.reload(tracing)
        assert tracing.INSTALLED is (request.param == "installed")
        yield
    importlib.reload(tracing)


@pytest.mark.usefixtures("_library")
def test_where_nobody_traces_nothing_is_stored_or_sent() -> None:
    with receiver() as (url, got):
        a_webhook(url=url)
        make_cliente()
        deliver_all()
    assert Event.objects.get().traceparent is None
    assert "traceparent" not in got[0][0]
