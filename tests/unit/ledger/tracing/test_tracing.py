"""Which trace a correlation id stands for, what is recorded, and that nothing is imported or waited for needlessly."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, TraceFlags

from ledger.errors import ConfigurationError
from ledger.runtime.problems import is_correlation_id
from ledger.tracing.settings import TracedSettings
from ledger.tracing.tracing import Tracing, context_of, correlation_id_of

IDS = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def traced(ratio: float = 1.0, exporter: InMemorySpanExporter | None = None) -> Tracing:
    return Tracing(exporter or InMemorySpanExporter(), "test", "local", ratio)


@pytest.fixture
def all_traced(exporter: InMemorySpanExporter) -> Iterator[Tracing]:
    tracing = traced(exporter=exporter)
    yield tracing
    tracing.close()


def test_the_correlation_id_of_a_span_is_its_traceparent_and_leads_back_to_it(all_traced: Tracing) -> None:
    span = all_traced.tracer.start_span("request")
    named = correlation_id_of(span)
    assert is_correlation_id(named)
    found, context = all_traced.named_by(named), span.get_span_context()
    assert (found.trace_id, found.span_id) == (context.trace_id, context.span_id)
    assert found.trace_flags.sampled
    assert found.is_remote


@given(IDS)
def test_any_other_id_stands_for_one_trace_in_every_process_whatever_share_it_records(named: str) -> None:
    everything, nothing, half, half_again = _SHARES
    context = everything.named_by(named)
    assert context.is_valid
    assert context.trace_flags.sampled
    assert not nothing.named_by(named).trace_flags.sampled
    assert half.named_by(named) == half_again.named_by(named)


_SHARES = [traced(1.0), traced(0.0), traced(0.5), traced(0.5)]


def test_a_request_belongs_to_its_clients_trace_else_to_that_of_its_id_else_to_a_new_one(all_traced: Tracing) -> None:
    parent = f"00-{'a' * 32}-{'b' * 16}-01"

    def trace_of(*given: str | None) -> int:
        return all_traced.tracer.start_span("request", all_traced.parent(*given)).get_span_context().trace_id

    assert trace_of(parent, None, "order-1") == int("a" * 32, 16)
    assert trace_of(None, None, "order-1") == all_traced.named_by("order-1").trace_id
    for broken in ("", "nonsense", f"00-{'0' * 32}-{'b' * 16}-01", f"ff-{'a' * 32}-{'b' * 16}-01"):
        assert trace_of(broken, None, "order-1") == all_traced.named_by("order-1").trace_id
    assert len({trace_of(None, None, None) for _ in range(10)}) == 10


def test_what_has_no_parent_is_recorded_where_something_it_is_linked_with_is(exporter: InMemorySpanExporter) -> None:
    tracing = traced(0.0, exporter)

    def linked(*flags: int) -> bool:
        links = [Link(SpanContext(1, 1, is_remote=True, trace_flags=TraceFlags(each))) for each in flags]
        return tracing.tracer.start_span("batch", links=links).is_recording()

    assert [linked(), linked(0), linked(0, 1)] == [False, False, True]
    sampled = SpanContext(1, 1, is_remote=True, trace_flags=TraceFlags(1))
    assert tracing.tracer.start_span("child", context_of(sampled)).is_recording(), "its client has decided it"
    tracing.close()


def test_closing_sends_what_waits(exporter: InMemorySpanExporter) -> None:
    tracing = traced(exporter=exporter)
    tracing.tracer.start_span("last").end()
    tracing.close()
    assert [span.name for span in exporter.get_finished_spans()] == ["last"]


def test_nothing_is_made_where_no_collector_is_set() -> None:
    with TracedSettings(endpoint_url="http://127.0.0.1:1").tracing("writer") as tracing:
        assert tracing is None


def test_a_missing_sdk_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ledger.tracing.tracing", None)
    settings = TracedSettings(endpoint_url="http://127.0.0.1:1", traces_url="http://127.0.0.1:4318/v1/traces")
    with pytest.raises(ConfigurationError, match=r"install kinfold\[otel\]"), settings.tracing("writer"):
        pass


def test_services_that_do_not_trace_import_nothing_for_it() -> None:
    # FastAPI imports the API by itself.
    for_it = ("opentelemetry.sdk", "opentelemetry.exporter", "google.protobuf", "requests", "ledger.tracing.tracing")
    program = (
        "import sys, writer.http.app, writer.cli, projector.app, projector.cli, projector.worker\n"
        f"print([name for name in sys.modules if name.startswith({for_it!r})])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
