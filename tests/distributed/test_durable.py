"""What the profile `durable` of docker-compose.yml starts, without containers: Jaeger on OpenSearch."""

import datetime
import json
import urllib.parse

import pytest

from lmspan.traces import Store
from support.cluster import OpenSearch, install_layout, post, retain
from support.processes import run_python
from support.stack import Jaeger, eventually, fetch

pytestmark = pytest.mark.distributed

LARGE = """
import contextlib
import lmspan
from lmspan import semconv as sc
session = lmspan.init("shop", capture_content="span", exporters=["otlp", "file"])
with lmspan.operation("agent", "sell", inputs={"text": "why?"}) as call:
    call.late_facts["session.id"] = "s-7"
    for number in range(40):
        with lmspan.operation("lm", "m", inputs=dict.fromkeys("abcde", "x" * 50_000)) as model:
            model.late_facts.update({sc.USAGE_INPUT_TOKENS: 280, sc.COST_AMOUNT: 0.3125, sc.COST_UNIT: "USD"})
            model.late_facts[sc.RESPONSE_FINISH_REASONS] = ["stop", "length"]
            model.late_facts[sc.REQUEST_MODEL] = "gpt-9"
    with contextlib.suppress(ValueError), lmspan.operation("tool", "pay"):
        raise ValueError
assert session.force_flush(120)
"""


SMALL = """
import lmspan
with lmspan.init("search", capture_content="none"), lmspan.operation("tool", "find") as call:
    print(f"{call.span.get_span_context().trace_id:032x}")
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    directory = tmp_path_factory.mktemp("durable")
    with OpenSearch(directory / "store") as store:
        install_layout(store)
        places = {"OPENSEARCH": f"[{store.url('{STORE_PORT}')}]"}
        with Jaeger(directory / "jaeger", "jaeger-durable.yaml", **places) as jaeger:
            environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.http, "LMSPAN_DIR": str(directory / "traces")}
            environ["OTEL_RESOURCE_ATTRIBUTES"] = "team=search"
            environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "60"  # the first span makes the index
            done = run_python(LARGE, environ=environ)
            assert (done.returncode, done.stderr) == (0, "")
            sent = Store(directory / "traces").last()
            eventually(lambda: store.count() == len(sent.spans))
            yield store, jaeger, sent


def facts(trace):
    """Every span's attributes by its id; Jaeger has a list as its JSON."""
    return {
        span.span_id: {
            name: json.dumps(value, separators=(",", ":")) if isinstance(value, list) else value
            for name, value in span.attributes.items()
        }
        for span in trace.spans
    }


def test_what_was_sent_is_stored_whole_and_survives_a_crash_of_the_store_and_a_restart_of_jaeger(stack):
    store, jaeger, sent = stack
    sizes = [len(value) for span in sent.spans for value in span.attributes.values() if isinstance(value, str)]
    assert (max(sizes) > 200_000, sum(sizes) > 8_000_000) == (True, True)
    assert facts(jaeger.trace(sent.trace_id)) == facts(sent)
    store.kill()
    store.start()
    jaeger.stop()
    jaeger.start()
    assert facts(jaeger.trace(sent.trace_id)) == facts(sent)


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ({}, True),
        ({"gen_ai.request.model": "gpt-9"}, True),
        ({"gen_ai.request.model": "gpt-8"}, False),
        ({"lmspan.total.cost.amount": "12.5"}, True),
        ({"error": "true"}, True),
        ({"session.id": "s-7"}, True),
        ({"session.id": "s-8"}, False),
        ({"team": "search"}, True),
        ({"team": "other"}, False),
    ],
)
def test_a_trace_is_found_by_what_it_is_asked_for(stack, tags, found):
    _, jaeger, sent = stack
    query = urllib.parse.urlencode({"service": "shop", "tags": json.dumps(tags), "lookback": "1h"})
    answer = json.loads(fetch(f"{jaeger.ui}/api/traces?{query}"))
    assert [trace["traceID"] for trace in answer["data"]] == ([sent.trace_id] if found else [])


def test_the_traces_of_one_prefix_are_not_those_of_another(stack, tmp_path):
    store, jaeger, sent = stack
    places = {"OPENSEARCH": f"[{store.url('{STORE_PORT}')}]", "INDEX_PREFIX": "search"}
    with Jaeger(tmp_path, "jaeger-durable.yaml", **places) as other:
        done = run_python(SMALL, environ={"OTEL_EXPORTER_OTLP_ENDPOINT": other.http})
        assert (done.returncode, done.stderr) == (0, "")
        trace_id = done.stdout.strip()
        assert eventually(lambda: other.trace(trace_id))
        assert (jaeger.trace(trace_id), other.trace(sent.trace_id)) == (None, None)


def test_retention_deletes_the_days_before_and_no_others(stack):
    store, _, sent = stack
    today = datetime.datetime.now(datetime.UTC).date()
    days = [today - datetime.timedelta(days=count) for count in (29, 31, 400)]
    for day in days:
        post(
            store.url("{STORE_PORT}") + f"/jaeger-span-{day}/_doc",
            b'{"traceID": "a", "spanID": "b"}',
            "application/json",
        )
    assert sorted(retain(store).split()) == sorted(
        word for day in days[1:] for word in ("deleted", f"jaeger-span-{day}")
    )
    assert store.count() == len(sent.spans) + 1
