"""Arguments, then the environment, then defaults; a wrong argument is an error, a wrong variable is a warning."""

import logging

import pytest
from opentelemetry.sdk.trace import TracerProvider

import lmspan
from lmspan import config, environment, instrumentation
from lmspan.errors import ConfigurationError, InstrumentationError
from support.processes import run_python


def resolved(environ=None, *, provider_exists=False, **options):
    given = {
        "service_name": None,
        "exporters": None,
        "instrument": None,
        "capture_content": None,
        "events": "span",
        "openinference": False,
    }
    return config.resolve(**{**given, **options}, provider_exists=provider_exists, environ=environ or {})


CAPTURE = config.CAPTURE_VARIABLE
OTLP = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize(
    ("environ", "options", "exporters", "capture"),
    [
        ({}, {}, ("file",), "local"),
        ({OTLP: "http://x"}, {}, ("otlp",), "none"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, {}, ("otlp",), "none"),
        ({"OTEL_TRACES_EXPORTER": "otlp,console"}, {}, ("otlp", "console"), "none"),
        ({"OTEL_TRACES_EXPORTER": "none"}, {}, (), "local"),
        ({OTLP: "http://x"}, {"exporters": "file"}, ("file",), "local"),
        ({}, {"exporters": ["file", "otlp"]}, ("file", "otlp"), "none"),
        ({OTLP: "http://x"}, {"provider_exists": True}, (), "none"),
        ({}, {"provider_exists": True, "exporters": ["file"]}, ("file",), "none"),
        ({CAPTURE: "SPAN_ONLY", OTLP: "x"}, {}, ("otlp",), "span"),
        ({CAPTURE: "event_only"}, {}, ("file",), "event"),
        ({CAPTURE: "SPAN_AND_EVENT"}, {}, ("file",), "both"),
        ({CAPTURE: "NO_CONTENT"}, {}, ("file",), "none"),
        ({CAPTURE: "NO_CONTENT"}, {"capture_content": "both"}, ("file",), "both"),
        *(({CAPTURE: word}, {}, ("file",), word.lower()) for word in ("none", "Span", "EVENT", "both")),
        ({CAPTURE: "True"}, {}, ("file",), "span"),
        ({CAPTURE: "FALSE"}, {}, ("file",), "none"),
    ],
)
def test_the_exporters_and_the_capture_of_content(environ, options, exporters, capture):
    found = resolved(environ, **options)
    assert (found.exporters, found.capture_content) == (exporters, capture)


def test_the_service_name():
    assert resolved({"OTEL_SERVICE_NAME": "env"}, service_name="said").service_name == "said"
    assert resolved({"OTEL_SERVICE_NAME": "env"}).service_name == "env"
    assert resolved().service_name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exporters": "jaeger"}, 'exporters: \'jaeger\' is not known; use one of "file", "otlp"'),
        ({"exporters": [object()]}, "neither a SpanExporter nor a SpanProcessor"),
        ({"capture_content": "yes"}, "capture_content: 'yes' is not known"),
        ({"events": "spans"}, "events: 'spans' is not known"),
    ],
)
def test_the_error_of_a_wrong_argument_names_the_valid_values(options, message):
    with pytest.raises(ConfigurationError, match=message.replace("(", r"\(")):
        lmspan.init(**options)


def test_an_unknown_and_a_missing_library(monkeypatch):
    known = ", ".join(instrumentation.LIBRARIES)
    with pytest.raises(InstrumentationError, match=f"instrument: 'haystack' is not known; use {known} or \"all\""):
        lmspan.init(instrument="haystack")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        InstrumentationError, match=r"'dspy' is not installed \(dspy>=3.1 is wanted\).*pip install 'lmspan\[dspy\]'"
    ):
        lmspan.init(instrument=["dspy"])


@pytest.mark.parametrize(
    "environ",
    [
        {CAPTURE: "maybe"},
        {"OTEL_TRACES_EXPORTER": "jaegr"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/jsn"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"},
        {"LMSPAN_OPENINFERENCE": "maybe"},
    ],
)
def test_a_mistyped_variable_is_one_warning_and_no_error(environ, caplog):
    config.refuse_capture.cache_clear()
    found = resolved({CAPTURE: "NO_CONTENT"} | environ)
    assert found.protocol == "http/protobuf"
    assert found.capture_content in ("none", "local")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert next(iter(environ)) in caplog.text


ALL, TRACES, METRICS, LOGS = (f"OTEL_EXPORTER_OTLP_{signal}PROTOCOL" for signal in ("", "TRACES_", "METRICS_", "LOGS_"))


@pytest.mark.parametrize(
    ("environ", "protocols"),
    [
        ({}, ("http/protobuf", "http/protobuf", "http/protobuf")),
        ({ALL: "grpc"}, ("grpc", "grpc", "grpc")),
        ({TRACES: "grpc"}, ("grpc", "http/protobuf", "http/protobuf")),
        ({METRICS: "grpc"}, ("http/protobuf", "grpc", "http/protobuf")),
        ({ALL: "grpc", LOGS: " http/protobuf "}, ("grpc", "grpc", "http/protobuf")),
    ],
)
def test_each_signal_has_the_protocol_of_its_own_variable_else_that_of_all(environ, protocols, caplog):
    found = resolved(environ)
    assert (found.protocol, found.metrics_protocol, found.logs_protocol) == protocols
    assert caplog.messages == []


@pytest.mark.parametrize("name", [ALL, TRACES, METRICS, LOGS])
def test_an_unknown_protocol_is_ignored_with_one_warning(name, caplog):
    found = resolved({**({ALL: "grpc"} if name != ALL else {}), name: "http/json"})
    assert {found.protocol, found.metrics_protocol, found.logs_protocol} == {"grpc" if name != ALL else "http/protobuf"}
    assert caplog.messages == [
        f'lmspan: {name}=\'http/json\' is not known (use "http/protobuf", "grpc"); it is ignored'
    ]


NOT_RECORDED = (
    "lmspan: prompts and answers are not recorded because spans leave this machine; capture_content='span' or "
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=SPAN_ONLY records them, NO_CONTENT confirms and silences "
    "this line"
)


@pytest.mark.parametrize(
    ("environ", "options", "messages"),
    [
        ({OTLP: "http://x"}, {}, [NOT_RECORDED]),
        ({}, {"exporters": ["file", "otlp"]}, [NOT_RECORDED]),
        ({OTLP: "http://x", CAPTURE: "NO_CONTENT"}, {}, []),
        ({OTLP: "http://x", CAPTURE: "false"}, {}, []),
        ({OTLP: "http://x", CAPTURE: "SPAN_ONLY"}, {}, []),
        ({OTLP: "http://x"}, {"capture_content": "none"}, []),
        ({OTLP: "http://x"}, {"exporters": "file"}, []),
        ({}, {}, []),
    ],
)
def test_a_default_without_content_is_one_warning(environ, options, messages, caplog):
    resolved(environ, **options)
    assert caplog.messages == messages


TRACES = "/v1/traces"
HTTP, GRPC = {}, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
USE_4318 = "4317 is usually gRPC: use port 4318, or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc"
USE_4317 = "4318 is usually HTTP: use port 4317, or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"


@pytest.mark.parametrize(
    ("endpoint", "protocol", "message"),
    [
        ("http://h:4317", HTTP, f"lmspan: {OTLP}='http://h:4317' and the protocol http/protobuf: {USE_4318}"),
        ("https://u:pw@h:4317/?k=1", HTTP, f"lmspan: {OTLP}='h:4317/' and the protocol http/protobuf: {USE_4318}"),
        ("http://h:4318", GRPC, f"lmspan: {OTLP}='http://h:4318' and the protocol grpc: {USE_4317}"),
        ("h:4318", GRPC, f"lmspan: {OTLP}='h:4318' and the protocol grpc: {USE_4317}"),
        ("http://h:4318", HTTP, None),
        ("http://h:4317", GRPC, None),
        ("http://h/4317", HTTP, None),
        ("http://h:43170", HTTP, None),
        ("http://h", HTTP, None),
        ("", HTTP, None),
        (
            "http://h:4318/v1/traces/",
            HTTP,
            f"lmspan: {OTLP}='http://h:4318/v1/traces/' is the base address: leave out {TRACES}, which is added to it",
        ),
    ],
)
def test_an_address_that_is_probably_wrong_is_a_warning_and_used(endpoint, protocol, message, caplog):
    found = resolved({OTLP: endpoint, CAPTURE: "NO_CONTENT", **protocol}, exporters="otlp")
    assert (found.exporters, caplog.messages) == (("otlp",), [message] if message else [])


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
@pytest.mark.parametrize("endpoint", ["http://[::1", "http://h:port", "http://h:99999", "https://", "http://[u:pw@h"])
def test_an_address_that_is_no_url_is_a_warning_and_not_used(endpoint, protocol, caplog):
    found = resolved({OTLP: endpoint, **protocol})
    told = f"lmspan: {OTLP}={endpoint.rpartition('@')[2]!r} is no URL; no span is exported by OTLP"
    assert (found.exporters, caplog.messages) == ((), [told])


def test_a_value_that_import_and_init_refuse_is_one_warning():
    done = run_python("import lmspan\nlmspan.init(exporters='none')", environ={CAPTURE: "perhaps"})
    assert done.stderr == (
        f"lmspan: {CAPTURE}='perhaps' is not known (use NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT); "
        "no content is recorded\n"
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("LMSPAN_CAPTURE_CONTENT", f"did you mean {CAPTURE}?"),
        ("LMSPAN_SERVICE_NAME", "did you mean OTEL_SERVICE_NAME?"),
        ("LMSPAN_ENDPOINT", "did you mean OTEL_EXPORTER_OTLP_ENDPOINT?"),
        ("LMSPAN_EXPORTER", "did you mean OTEL_TRACES_EXPORTER?"),
        ("LMSPAN_ENABLE", "did you mean LMSPAN_ENABLED?"),
        ("LMSPAN_DISABLED", "did you mean OTEL_SDK_DISABLED?"),
        ("LMSPAN_DIRECTORY", "did you mean LMSPAN_DIR?"),
        ("LMSPAN_OPEN_INFERENCE", "did you mean LMSPAN_OPENINFERENCE?"),
        (
            "LMSPAN_ZZZ",
            f"the names are {', '.join(environment.OWN)}",
        ),
    ],
)
def test_an_unknown_lmspan_variable_is_a_warning_with_the_nearest_name(name, hint, caplog):
    resolved({name: "1", "LMSPAN_DIR": "x", "LMSPANNER": "not ours"})
    assert caplog.messages == [f"lmspan: {name} is not known and has no effect; {hint}"]


@pytest.mark.parametrize(
    "environ", [{"LMSPAN_ENABLED": "0"}, {"LMSPAN_ENABLED": "false"}, {"OTEL_SDK_DISABLED": "true"}]
)
def test_the_environment_can_disable_lmspan(environ, monkeypatch):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    session = lmspan.init()
    assert (session.instrumented, lmspan.is_enabled(), session.force_flush()) == ((), False, True)
    session.shutdown()


@pytest.mark.parametrize(("said", "asked"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_openinference_by_a_variable(said, asked):
    assert resolved({"LMSPAN_OPENINFERENCE": said}).openinference is asked
    assert resolved({"LMSPAN_OPENINFERENCE": said}, openinference=True).openinference is True


class Unequal:
    """An object that must not be compared."""

    def __eq__(self, other):
        raise AssertionError

    __hash__ = None


def test_a_later_init_logs_once_the_options_that_it_ignores(caplog):
    callback = Unequal()
    first = {"exporters": ["none"], "tracer_provider": TracerProvider(), "instrument": ()}
    with lmspan.init("desk", **first) as session:
        assert lmspan.init() is session
        assert lmspan.init("desk", **first, events="span") is session
        assert caplog.text == ""
        for _ in range(2):
            assert lmspan.init("other", openinference=True, redact=callback, **first) is session
        assert lmspan.init("desk", exporters="none", capture_content="none", redact=Unequal()) is session
    (told,) = caplog.messages
    assert told.endswith("this call does not change service_name, redact, openinference")


def test_content_is_not_longer_than_the_limit_of_the_sdk():
    assert resolved({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "1000"}).content_max_bytes == 1000
    assert resolved({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "lots"}).content_max_bytes == 262_144


def test_all_enables_other_instrumentors_too_without_those_that_fail(monkeypatch, caplog):
    class Other:
        is_instrumented_by_opentelemetry = False

        def instrument(self):
            type(self).is_instrumented_by_opentelemetry = True

    class Broken(Other):
        def instrument(self):
            raise RuntimeError

    class EntryPoint:
        def __init__(self, name, kind, module="others"):
            self.name, self.load, self.module = name, lambda: kind, module

    found = [EntryPoint("broken", Broken), EntryPoint("other", Other), EntryPoint("lmspan-dspy", Broken)]
    found.append(EntryPoint("google-genai", Broken, "opentelemetry.instrumentation.google_genai"))  # init() turns it on
    found.append(EntryPoint("dspy", Broken, "openinference.instrumentation.dspy"))  # lmspan records DSPy
    monkeypatch.setattr(instrumentation, "entry_points", lambda group: found)
    lmspan.init(exporters="none", instrument="all").shutdown()
    assert Other.is_instrumented_by_opentelemetry
    reports = [record.getMessage() for record in caplog.records if "instrumentation._instrument" in record.getMessage()]
    assert len(reports) == 1 and "RuntimeError" in reports[0]


def test_a_variable_that_an_exporter_refuses_is_one_line_and_has_its_default():
    code = """
        import lmspan
        print(lmspan.init(exporters="otlp", capture_content="none").instrumented)
    """
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}
    done = run_python(code, environ=environ)
    assert done.stdout == f"{instrumentation.choose(None)}\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("lmspan: OTEL_EXPORTER_OTLP_TIMEOUT: 'soon' is not a number")
