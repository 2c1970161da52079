"""The public names and the signature of init() are a contract; the table of names is complete and consistent."""

import dataclasses
import inspect
from typing import get_args

import lmspan
from lmspan import config, instrumentation, semconv
from lmspan.instrumentation.python import decorators
from lmspan.session import arguments
from lmspan.subscribers import dialects, subscriptions
from lmspan.traces import filters as traces_filters


def test_the_public_names():
    assert lmspan.__all__ == [
        "Budget", "Call", "CallbackError", "ConfigurationError", "Event", "InstrumentationError", "LmspanError",
        "Operation", "Priority", "RunResult", "Session", "StopRun", "Subscription", "TraceFileError",
        "__version__", "add_event", "add_response", "agent", "attributes", "disable", "enable", "environ", "evaluate",
        "init", "is_enabled", "lm", "module", "operation", "optimize", "run", "subscribe", "subscribed", "tool",
        "traces", "turn",
        "unsubscribe_all",
    ]  # fmt: skip
    assert all(hasattr(lmspan, name) for name in lmspan.__all__)


def test_the_public_names_of_traces():
    assert lmspan.traces.__all__ == [
        "Candidate", "Evaluation", "Example", "Failure", "Figures", "Filter", "OptimizerRun", "SpanSummary",
        "State", "Statistic", "Store", "StoredEvent", "StoredLink", "StoredSpan", "Summary", "Table", "Trace", "find",
        "last", "list", "spans", "statistics",
    ]  # fmt: skip
    for name in lmspan.traces.__all__:
        assert (getattr(lmspan.traces, name).__doc__ or "").strip(), name
    filters = inspect.get_annotations(lmspan.traces.Filter)
    assert list(inspect.get_annotations(traces_filters.Wanted)) == list(filters)


def test_the_signature_of_init():
    parameters = inspect.signature(lmspan.init).parameters.values()
    assert [(each.name, each.default) for each in parameters] == [
        ("service_name", None), ("exporters", None), ("instrument", None), ("callbacks", ()),
        ("capture_content", None), ("redact", None), ("events", "span"), ("openinference", False), ("sampler", None),
        ("resource_attributes", None), ("tracer_provider", None), ("meter_provider", None), ("logger_provider", None),
    ]  # fmt: skip


def test_the_arguments_of_init_have_its_names_and_defaults():
    parameters = inspect.signature(lmspan.init).parameters.values()
    assert [(each.name, each.default) for each in parameters] == [
        (each.name, each.default) for each in dataclasses.fields(arguments.Arguments)
    ]


def test_the_types_of_options_are_the_values_that_are_accepted():
    assert get_args(arguments.ExporterName) == config.EXPORTERS
    assert get_args(arguments.CaptureContent) == config.CAPTURES
    assert get_args(arguments.EventTarget) == config.EVENTS
    assert get_args(arguments.LibraryName) == (*instrumentation.LIBRARIES, "all")
    assert get_args(decorators.OperationName) == tuple(lmspan.Operation)
    assert {*get_args(subscriptions.DialectName), "lmspan"} == {each.name for each in dialects.ALL}


def test_subscribed_takes_what_subscribe_takes():
    assert inspect.signature(lmspan.subscribed).parameters == inspect.signature(lmspan.subscribe).parameters


def test_everything_public_is_documented():
    for name in lmspan.__all__:
        if name != "__version__":
            assert (getattr(lmspan, name).__doc__ or "").strip(), name


def test_every_name_of_the_table_is_used_once_and_says_what_it_is():
    assert len(semconv.ATTRIBUTES) > 100
    for name, meaning in semconv.ATTRIBUTES.items():
        assert meaning.brief
        assert name.split(".")[0] in (
            "gen_ai",
            "mcp",
            "code",
            "lmspan",
            "server",
            "error",
            "exception",
            "openinference",
            "llm",
            "input",
            "output",
            "session",
            "user",
            "openai",
            "aws",
        )
        assert (meaning.source == semconv.OWN) == name.startswith("lmspan.")
