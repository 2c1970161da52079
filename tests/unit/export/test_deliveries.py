"""What is around the official exporters: whose log lines are kept, what is reported of a failure, and the session."""

import logging
import threading
from types import SimpleNamespace

import pytest
import requests
from opentelemetry import context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.sdk.trace.export import SpanExportResult

from lmspan.errors import ConfigurationError
from lmspan.export import http, otlp
from lmspan.export.failures import Failure
from lmspan.export.http import OtlpAdapter, session
from lmspan.export.otlp import BATCH_BYTES, Delivery, Hush, QuietExporter, official, otlp_queue

LOGGER = logging.getLogger("opentelemetry.exporter.otlp.proto.grpc.exporter")


# log lines -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", otlp._LOGGERS)
def test_a_line_of_an_exporter_is_kept_and_not_printed_while_the_thread_is_inside(name, caplog):
    heard = []
    hush = Hush(heard.append)
    logging.getLogger(name).warning("before %s", 1)
    with hush:
        logging.getLogger(name).warning("inside %s", 2)
        logging.getLogger(name).warning("inside %s", 3)
        logging.getLogger("of.the.program").warning("program")
    logging.getLogger(name).warning("after")
    assert (heard, hush.line) == (["inside 2", "inside 3"], "inside 3")
    assert caplog.messages == ["before 1", "program", "after"]


def test_a_line_of_another_thread_is_printed(caplog):
    with Hush() as hush:
        other = threading.Thread(target=LOGGER.warning, args=("of another thread",))
        other.start()
        other.join()
        LOGGER.warning("inside")
    assert caplog.messages == ["of another thread"]
    assert hush.line == "inside"


def test_the_filter_is_before_those_of_the_exporter_and_there_once():
    first = LOGGER.filters[:]
    try:
        LOGGER.filters[:] = [lambda record: False]
        Hush()
        Hush()
        assert LOGGER.filters[0] is otlp._keep
        assert LOGGER.filters.count(otlp._keep) == 1
    finally:
        LOGGER.filters[:] = first


def test_lines_are_printed_again_after_an_exception(caplog):
    with pytest.raises(KeyError), Hush():
        raise KeyError
    LOGGER.warning("after")
    assert caplog.messages == ["after"]
    assert otlp._inside == {}


# a delivery ----------------------------------------------------------------------------------------------------------


def delivery(adapter=None):
    return Delivery(SimpleNamespace(), adapter, lambda text: text.replace("hunter2", "[redacted]"))


def logged(line, result):
    def export():
        LOGGER.warning(line)
        return result

    return export


def test_the_last_line_of_a_failed_export_is_its_trouble_without_secrets():
    it = delivery()
    assert (it.failure, it.trouble) == (None, "")
    assert it.export(logged("StatusCode.INVALID_ARGUMENT of hunter2", "failed"), "failed") == "failed"
    assert (it.trouble, it.failure.batch_refused) == ("StatusCode.INVALID_ARGUMENT of [redacted]", True)


def test_a_line_of_an_export_that_succeeds_is_no_trouble():
    it = delivery()
    assert it.export(logged("a warning", "done"), "failed") == "done"
    assert (it.failure, it.trouble) == (None, "")


def test_each_export_begins_without_the_failure_of_the_one_before():
    adapter = OtlpAdapter()
    it = delivery(adapter)
    seen = []
    adapter.failure = Failure("of the last export")
    it.export(logged("a line", "failed"), "failed")
    it.export(lambda: seen.append((it.failure, adapter.failure)) or "failed", "failed")
    assert seen == [(None, None)]


def test_the_failure_that_the_adapter_knows_is_more_exact_than_the_line():
    adapter = OtlpAdapter()
    it = delivery(adapter)
    failure = Failure("400 Bad Request from hunter2", batch_refused=True)

    def export():
        adapter.failure = failure
        LOGGER.warning("a line")
        return "failed"

    it.export(export, "failed")
    assert (it.failure, it.trouble) == (failure, "400 Bad Request from [redacted]")
    adapter.failure = None
    assert it.trouble == "a line"


def test_an_exporter_that_raises_has_failed_and_leaves_the_context_and_the_log_as_they_were(caplog):
    before = context.get_current()
    it = delivery()
    assert it.export(lambda: {}["key"], "failed") == "failed"
    assert it.trouble == "Failed to encode or to send: KeyError('key')"
    assert it.failure.batch_refused is True
    assert context.get_current() is before
    with pytest.raises(KeyboardInterrupt):
        it.export(raise_interrupt, "failed")
    assert context.get_current() is before
    LOGGER.warning("after an exporter that raises")
    assert caplog.messages == ["after an exporter that raises"]


def raise_interrupt():
    raise KeyboardInterrupt


def test_a_shutdown_is_as_quiet_as_an_export_and_passes_its_arguments(caplog):
    calls = []

    def shutdown(*args, **options):
        LOGGER.warning("already shut down")
        calls.append((args, options))

    it = Delivery(SimpleNamespace(shutdown=shutdown), None, str)
    it.shutdown(1, timeout_millis=2)
    assert (calls, caplog.messages) == ([((1,), {"timeout_millis": 2})], [])


# the exporter of spans -----------------------------------------------------------------------------------------------


class Official:
    """An exporter of a release that logs one line and returns a result."""

    def __init__(self, line="", result=SpanExportResult.FAILURE):
        self.line, self.result, self.batches, self.closed = line, result, [], 0

    def export(self, spans):
        self.batches.append((spans, context.get_value(_SUPPRESS_INSTRUMENTATION_KEY)))
        if self.line:
            LOGGER.warning(self.line)
        return self.result

    def shutdown(self):
        self.closed += 1


@pytest.mark.parametrize(
    ("line", "failing"), [("Transient error StatusCode.UNAVAILABLE", True), ("Failed: no Transient error", False)]
)
def test_the_queue_learns_of_trouble_while_the_exporter_still_tries(line, failing):
    quiet = QuietExporter(Official(line), str)
    quiet.queue = SimpleNamespace(failing=False)
    assert quiet.export([1]) is SpanExportResult.FAILURE
    assert quiet.queue.failing is failing
    assert quiet.trouble == line


def test_an_exporter_without_a_queue_has_trouble_all_the_same():
    exporter = Official("Transient error")
    quiet = QuietExporter(exporter, str)
    assert quiet.export([1]) is SpanExportResult.FAILURE
    assert (quiet.trouble, quiet.batch_refused, quiet.retry_after_s) == ("Transient error", False, None)
    assert exporter.batches == [([1], True)]
    quiet.shutdown()
    assert (exporter.closed, quiet.force_flush()) == (1, True)


def test_what_the_endpoint_asks_for_is_passed_on():
    adapter = OtlpAdapter()
    quiet = QuietExporter(Official(), str, adapter)
    assert (quiet.trouble, quiet.batch_refused, quiet.retry_after_s) == ("", False, None)
    adapter.failure = Failure("why", batch_refused=True, retry_after_s=7.0)
    assert (quiet.trouble, quiet.batch_refused, quiet.retry_after_s) == ("why", True, 7.0)


# how they are made ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_the_queue_of_a_protocol_has_its_limit_and_its_exporter_reports_to_it(protocol):
    queue = otlp_queue(protocol, str)
    assert (queue.name, queue._batch_bytes) == ("otlp", BATCH_BYTES[protocol])
    assert queue.exporter.queue is queue
    assert f".proto.{protocol[:4]}." in f"{type(queue.exporter._exporter).__module__}."
    queue.shutdown(0)


@pytest.mark.parametrize("signal", otlp._EXPORTERS)
def test_the_exporter_of_a_signal_over_http_sends_with_an_adapter_of_its_own(signal):
    made, adapter = official("http/protobuf", signal)
    assert type(made).__name__ == otlp._EXPORTERS[signal][1]
    assert type(adapter) is OtlpAdapter
    made.shutdown()


@pytest.mark.parametrize("signal", otlp._EXPORTERS)
def test_the_exporter_of_a_signal_over_grpc_has_no_adapter(signal):
    made, adapter = official("grpc", signal)
    assert (type(made).__name__, adapter) == (otlp._EXPORTERS[signal][1], None)
    made.shutdown()


def retryable(made):
    return {code.name for code in made._retryable_error_codes}


def test_a_batch_that_grpc_refuses_for_its_size_is_not_sent_again_unless_the_user_says_so(monkeypatch):
    made, _ = official("grpc", "traces")
    assert retryable(made) == {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "UNAVAILABLE", "DATA_LOSS"}
    made.shutdown()
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES", "UNAVAILABLE")
    made, _ = official("grpc", "traces")
    assert retryable(made) == {"UNAVAILABLE"}
    made.shutdown()


def test_variables_that_an_exporter_refuses_are_an_error_of_the_configuration(monkeypatch):
    monkeypatch.setenv(GENERAL, "three")
    with pytest.raises(ConfigurationError) as raised:
        official("http/protobuf", "traces")
    assert str(raised.value) == (
        "the OTLP exporter refuses its OTEL_EXPORTER_OTLP_* variables: no credential provider 'three' is installed"
    )
    assert isinstance(raised.value.__cause__, LookupError)


# the session ---------------------------------------------------------------------------------------------------------

GENERAL = "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER"
OF_LOGS = "OTEL_PYTHON_EXPORTER_OTLP_HTTP_LOGS_CREDENTIAL_PROVIDER"


@pytest.fixture
def providers(monkeypatch):
    """Two installed providers of credentials, and the sessions that they make."""
    sessions = {"one": requests.Session(), "two": requests.Session()}

    def entries(group, name):
        assert group == "opentelemetry_otlp_credential_provider"
        return [SimpleNamespace(load=lambda: lambda: sessions[name])] if name in sessions else []

    monkeypatch.setattr(http, "entry_points", entries)
    return sessions


@pytest.mark.parametrize(
    ("environ", "signal", "name"),
    [
        ({GENERAL: "one"}, "logs", "one"),
        ({OF_LOGS: "two"}, "logs", "two"),
        ({GENERAL: "one", OF_LOGS: "two"}, "logs", "one"),
        ({GENERAL: "", OF_LOGS: "two"}, "logs", "two"),
        ({OF_LOGS: "two"}, "traces", None),
        ({}, "logs", None),
    ],
)
def test_the_session_is_that_of_the_provider_that_the_environment_names(environ, signal, name, providers):
    adapter = OtlpAdapter()
    made = session(adapter, signal, environ)
    assert [made is each for each in providers.values()] == [name == each for each in providers]
    assert made.get_adapter("http://x") is made.get_adapter("https://x") is adapter


def test_a_provider_that_is_not_installed_is_an_error(providers):
    with pytest.raises(LookupError, match="no credential provider 'three' is installed"):
        session(OtlpAdapter(), "traces", {GENERAL: "three"})


def test_a_kind_of_connection_is_bounded_once():
    adapter = OtlpAdapter()
    request = requests.Request("POST", "http://127.0.0.1:9/x").prepare()
    kinds = {adapter.get_connection_with_tls_context(request, verify=True).ConnectionCls for _ in range(3)}
    assert [kind.response_class for kind in kinds] == [http.BoundedResponse]
    assert http._bounded(requests.Session) is http._bounded(requests.Session)
