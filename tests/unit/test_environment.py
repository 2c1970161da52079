"""A variable that OpenTelemetry cannot use is a warning, and has its value again after the providers are created."""

import contextlib
import os

import pytest

from lmspan import environment
from lmspan.environment import CHECKS, Fault, unusable, without_wrong_variables
from support.processes import run_python

GRPC = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
LIMITS = [name for name in CHECKS if name.endswith("_LIMIT")]
SIGNALS = ("", "TRACES_", "METRICS_", "LOGS_")


def otlp(name):
    return [f"OTEL_EXPORTER_OTLP_{signal}{name}" for signal in SIGNALS]


def fault(name, value, **around):
    return unusable({name: value, **around}).get(name)


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_a_whole_number_or_empty(name):
    assert [fault(name, value) for value in ("0", " 128 ", "1_000", "")] == [None] * 4
    for value in ("many", "-3", "1.5", "inf", "9" * 400):
        shown = repr(value) if len(value) < 60 else repr("9" * 60 + "...")
        assert fault(name, value) == Fault(f"{shown} is not a whole number from 0 to 1000000000000")


@pytest.mark.parametrize("name", [*otlp("TIMEOUT"), "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_TIMEOUT"])
def test_a_time_is_a_number_above_zero(name):
    assert [fault(name, value) for value in ("10", "0.5", " 3 ")] == [None] * 3
    assert fault(name, "") == Fault("")  # as if it were not set
    most = "1e+09" if "OTLP" in name else "1e+12"
    for value in ("soon", "0", "-1", "nan", "inf", "1e30"):
        assert fault(name, value) == Fault(f"{value!r} is not a number above 0, up to {most}")


@pytest.mark.parametrize(
    ("names", "good", "wrong"),
    [
        (["OTEL_TRACES_SAMPLER"], ["always_on", "PARENTBASED_ALWAYS_OFF"], ["alway_on", " always_on"]),
        (["OTEL_METRICS_EXEMPLAR_FILTER"], ["trace_based", "always_off"], ["never", "ALWAYS_ON"]),
        (["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"], ["delta", "LOWMEMORY"], ["gamma"]),
        (
            ["OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"],
            ["base2_exponential_bucket_histogram", "EXPLICIT_BUCKET_HISTOGRAM"],
            ["buckets"],
        ),
        (["OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", *otlp("INSECURE")], ["true", "FALSE"], ["1", "yes"]),
        (otlp("COMPRESSION"), ["gzip", "Deflate", " none "], ["zip", "br"]),
        (
            ["OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES"],
            ["UNAVAILABLE", "unavailable, DATA_LOSS,"],
            ["UNAVAILABL"],
        ),
    ],
)
def test_a_word_is_one_of_the_known_words(names, good, wrong):
    for name in names:
        assert [fault(name, value) for value in good] == [None] * len(good)
        for value in wrong:
            assert fault(name, value).reason.startswith(f"{value!r} is not one of ")
        assert fault(name, "") in (None, Fault(""))


@pytest.mark.parametrize("name", otlp("COMPRESSION"))
def test_grpc_knows_gzip_alone_and_no_word_for_none(name):
    values = ("gzip", "none", "deflate")
    assert [fault(name, value, **GRPC) for value in values] == [
        None, Fault(""), Fault("'deflate' is not one of gzip, none"),
    ]  # fmt: skip


def test_the_argument_of_a_sampler_is_a_ratio_where_the_sampler_reads_one():
    name, ratio = "OTEL_TRACES_SAMPLER_ARG", {"OTEL_TRACES_SAMPLER": "parentbased_TraceIdRatio"}
    assert [fault(name, value, **ratio) for value in ("0", "0.25", "1")] == [None] * 3
    for value in ("half", "2", "-0.1", "nan", ""):
        assert fault(name, value, **ratio) == Fault(f"{value!r} is not a number from 0 to 1", "1.0")
    assert fault(name, "half") is None


@pytest.mark.parametrize("name", [name for name in CHECKS if name.startswith("OTEL_BLRP")])
def test_a_batch_of_log_records_is_described_by_whole_numbers(name):
    for value in ("0", "-1", "many", "1.5"):
        assert fault(name, value).reason.startswith(f"{value!r} is not a whole number from 1 to ")
    assert (fault(name, "600"), fault(name, "")) == (None, Fault(""))


def test_a_batch_of_log_records_fits_into_its_queue():
    queue, batch = "OTEL_BLRP_MAX_QUEUE_SIZE", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"
    assert unusable({queue: "100"}) == {queue: Fault("a batch of 512 is larger than the queue of 100")}
    assert unusable({batch: "4000"}) == {batch: Fault("a batch of 4000 is larger than the queue of 2048")}
    larger = Fault("a batch of 20 is larger than the queue of 10")
    assert unusable({queue: "10", batch: "20"}) == {queue: larger, batch: larger}
    assert unusable({queue: "10", batch: "10"}) == {}


OTHERS = "the others are used"
FORM = "is not of the form name=value, with other characters as %XX"


@pytest.mark.parametrize("name", otlp("HEADERS"))
def test_headers_that_can_be_sent_are_kept_and_none_is_shown(name):
    good = ("authorization=Bearer x", "a=b,c=d", "a=", "x-key=%20%2C,b=c=d", "a=caf%C3%A9")
    assert [fault(name, value) for value in good] == [None] * 5
    assert fault(name, "a=b,,c=d, ") == Fault("", "a=b,c=d")
    assert fault(name, "secret") == Fault(f"header 1 {FORM}")
    assert fault(name, 'a=b,secret,c="d",d=%0Ax,e=%E2%82%AC,f=g') == Fault(
        f"header 2, 3, 4, 5 {FORM}", "a=b,f=g", OTHERS
    )
    assert fault(name, "a=caf%C3%A9,b=c", **GRPC) == Fault(f"header 1 {FORM}", "b=c", OTHERS)


def test_resource_attributes_that_can_be_read_are_kept_and_none_is_shown():
    name = "OTEL_RESOURCE_ATTRIBUTES"
    assert [fault(name, value) for value in ("a=b", "a=b, c=d=e", "a=")] == [None] * 3
    assert fault(name, "a=b,secret,=c") == Fault(f"resource attribute 2, 3 {FORM}", "a=b", OTHERS)
    assert fault(name, "a=b,") == Fault("", "a=b")


@pytest.mark.parametrize("name", [*otlp("CERTIFICATE"), *otlp("CLIENT_CERTIFICATE"), *otlp("CLIENT_KEY")])
def test_a_file_of_certificates_can_be_read(name, tmp_path):
    there, missing = tmp_path / "ca.pem", tmp_path / "none.pem"
    there.write_text("")
    assert [fault(name, str(path)) for path in (there, tmp_path, "")] == [None] * 3
    assert [fault(name, str(there), **GRPC), fault(name, str(tmp_path), **GRPC).reason] == [
        None, environment._short(str(tmp_path)) + " cannot be read",
    ]  # fmt: skip
    assert fault(name, str(missing)) == Fault(environment._short(str(missing)) + " cannot be read")


PLUG_INS = {name: "mine" for name in CHECKS if name.endswith(("_PROVIDER", "_DETECTORS"))}


@pytest.mark.parametrize("name", PLUG_INS)
def test_a_plug_in_is_installed(name):
    installed = {"_TRACER_": "sdk_tracer_provider", "_METER_": "sdk_meter_provider", "_DETECTORS": "process,*"}
    good = next((value for part, value in installed.items() if part in name), "")
    assert fault(name, good) in (None, Fault(""))
    assert fault(name, "nonsense") == Fault("'nonsense' is not installed")


def test_detectors_that_are_installed_are_kept():
    assert fault("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "process, x,otel") == Fault(
        "'x' is not installed", "process,otel", OTHERS
    )


def test_wrong_variables_are_hidden_inside_the_with_and_are_one_warning_each(caplog):
    environ = {
        "OTEL_SPAN_LINK_COUNT_LIMIT": "many",
        "OTEL_SPAN_EVENT_COUNT_LIMIT": "5",
        "OTEL_EXPORTER_OTLP_HEADERS": "a=b,secret",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "",
        "OTHER": "many",
    }
    before = dict(environ)
    inside = {}
    with contextlib.suppress(ZeroDivisionError), without_wrong_variables(environ):
        inside.update(environ)
        raise ZeroDivisionError
    assert inside == {"OTEL_SPAN_EVENT_COUNT_LIMIT": "5", "OTEL_EXPORTER_OTLP_HEADERS": "a=b", "OTHER": "many"}
    assert environ == before
    assert caplog.messages == [
        "lmspan: OTEL_SPAN_LINK_COUNT_LIMIT: 'many' is not a whole number from 0 to 1000000000000; the default is used",
        f"lmspan: OTEL_EXPORTER_OTLP_HEADERS: header 2 {FORM}; the others are used",
    ]


EVERYTHING = """
import os, sys
from lmspan.environment import without_wrong_variables
before = dict(os.environ)
with without_wrong_variables():
    from opentelemetry import _logs, metrics, trace
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from lmspan.export.otlp import official
    assert [type(api()).__name__ for api in (trace.get_tracer_provider, metrics.get_meter_provider)] == [
        "ProxyTracerProvider", "_ProxyMeterProvider"]
    (spans, _), (points, _), (records, _) = (official(sys.argv[1], each) for each in ("traces", "metrics", "logs"))
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    MeterProvider([PeriodicExportingMetricReader(points)])
    LoggerProvider().add_log_record_processor(BatchLogRecordProcessor(records))
assert dict(os.environ) == before
print(provider.sampler.get_description(), provider.resource.attributes["service.name"])
os._exit(0)  # nothing is to be exported
"""


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_program_runs_with_every_variable_wrong(protocol):
    wrong = dict.fromkeys(CHECKS, "no such thing") | {"OTEL_TRACES_SAMPLER": "traceidratio"}
    done = run_python(EVERYTHING, protocol, environ={**wrong, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    assert done.returncode == 0, done.stderr
    assert done.stdout == "TraceIdRatioBased{1.0} shop\n"
    lines = done.stderr.splitlines()
    assert sorted(line.split(":")[1].strip() for line in lines) == sorted(set(CHECKS) - {"OTEL_TRACES_SAMPLER"})
    assert all(line.startswith("lmspan: OTEL_") and line.endswith("; the default is used") for line in lines)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_program_runs_with_every_variable_empty(protocol):
    done = run_python(
        EVERYTHING, protocol, environ={**dict.fromkeys(CHECKS, ""), "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_default_is_the_environment_of_this_process(monkeypatch):
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "soon")
    with without_wrong_variables(warn=False):
        assert "OTEL_METRIC_EXPORT_INTERVAL" not in os.environ
    assert os.environ["OTEL_METRIC_EXPORT_INTERVAL"] == "soon"


def test_a_decorated_function_runs_where_the_name_of_a_provider_is_wrong():
    code = "import lmspan\nrun = lmspan.tool(lambda: 7)\nprint(run(), run())"
    done = run_python(code, environ={"OTEL_PYTHON_TRACER_PROVIDER": "nonsense"})
    assert done.stdout == "7 7\n"
    assert done.stderr.count("Failed to load configured provider") == 1  # by OpenTelemetry, and once
