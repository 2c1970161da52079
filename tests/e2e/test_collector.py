"""The Collector's configurations, each run by the real program: valid, and doing what its first lines say."""

import contextlib
import json
import os
import re
import subprocess
import time

import pytest

from lmspan import semconv as sc
from lmspan.semconv.spans import EVENT_NAMES
from support import pages
from support.otlp import http_receiver
from support.processes import run_python
from support.programs import KEY
from support.stack import CONFIGS, Collector, Jaeger, binary, collector_and_prometheus, eventually

pytestmark = pytest.mark.e2e

COLLECTORS = (
    "collector.yaml", "forward.yaml", "privacy.yaml",
    "scale-out/gateway.yaml", "scale-out/sampler.yaml", "scale-out/kafka-gateway.yaml",
)  # fmt: skip
JAEGERS = ("jaeger.yaml", "jaeger-durable.yaml", "scale-out/kafka-sampler.yaml")

SECRETS = """
import lmspan
lmspan.init("desk", capture_content="span")
with lmspan.operation("lm", "m") as call:
    call.late_facts.update({"gen_ai.usage.input_tokens": 11, "gen_ai.usage.output_tokens": 7})
    call.inputs = {"question": "I am ada@example.com, my card is 4111 1111 1111 1111"}
with lmspan.operation("tool", "pay", inputs={"to": "ada@example.com", "card": "4111-1111-1111-1111"}):
    lmspan.add_event("note", {"said": "mail ada@example.com"})
"""

FAILING = """
import lmspan
lmspan.init("desk", capture_content="span")
try:
    with lmspan.operation("tool", "pay", inputs={"to": "ada@example.com"}):
        raise ValueError("no account ada@example.com")
except ValueError:
    pass
"""

RUNS = """
import contextlib
import sys
import lmspan
from lmspan import semconv as sc
session = lmspan.init("runs", exporters=["otlp"], capture_content="none")
count, kind = int(sys.argv[1]), sys.argv[2]
ids = []
for number in range(count):
    with contextlib.suppress(ValueError):
        with lmspan.operation("evaluate" if kind == "evaluate" else "workflow", "run") as call:
            ids.append(f"{call.span.get_span_context().trace_id:032x}")
            for _ in range(4):
                with lmspan.operation("lm", "m") as model:
                    if kind == "dear":
                        model.late_facts.update({sc.COST_AMOUNT: 1.0, sc.COST_UNIT: "USD"})
            if kind == "failed":
                raise ValueError
print(*ids)
assert session.force_flush(30)
"""


@pytest.mark.parametrize("config", [*COLLECTORS, *JAEGERS])
def test_a_configuration_is_valid(config, tmp_path):
    program = binary("jaeger" if config in JAEGERS else "otelcol")
    environ = {**os.environ, "BACKEND_ENDPOINT": "http://127.0.0.1:1", "STORAGE": str(tmp_path), "START": "1"}
    done = subprocess.run(
        [program, "validate", "--config", str(CONFIGS / config)],
        env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_collector_of_the_tests_has_the_components_of_the_files_and_no_others():
    built = subprocess.run([binary("otelcol"), "components"], capture_output=True, text=True, check=True).stdout
    has = set(re.findall(r"^    - name: (\S+)", built, re.MULTILINE))
    text = "".join((CONFIGS / config).read_text() for config in COLLECTORS)
    named = {
        name.partition("/")[0] for name in re.findall(r"^  ([a-z_]+(?:/\w+)?):", text, re.MULTILINE)
    } - {"telemetry", "pipelines", "extensions"}  # fmt: skip
    assert named <= has
    assert has - named <= {"otlp", "env", "file"}


MEASURED = """
import lmspan
with lmspan.init("measured", capture_content="none"):
    with lmspan.operation("evaluate", "exact") as call:
        with lmspan.operation("lm", "m") as model:
            model.late_facts["gen_ai.usage.input_tokens"] = 3
        call.late_facts["lmspan.evaluation.score"] = 75.0
print(f"{call.span.get_span_context().trace_id:032x}")
"""


def test_spans_are_measured_and_the_programs_metrics_are_beside_them_and_lead_to_the_trace(tmp_path):
    wanted = {
        'sum(traces_span_metrics_calls_total{span_name="evaluate exact"})': 1,
        'sum(traces_span_metrics_duration_seconds_bucket{le="600"})': 2,
        'sum(gen_ai_client_token_usage_sum{job="measured"})': 3,
        'sum(lmspan_evaluation_score{lmspan_evaluation_metric="exact"})': 75,
    }
    with collector_and_prometheus(tmp_path) as (sender, prometheus):
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": sender.http, "OTEL_METRICS_EXPORTER": "otlp"}
        done = run_python(MEASURED, environ=environ)
        assert done.stderr == ""
        found = eventually(
            lambda: {question: prometheus.values(question).get(()) for question in wanted},
            lambda found: found == wanted,
        )
        assert found == wanted
        for metric in (
            "gen_ai_client_operation_duration_seconds_bucket",
            "traces_span_metrics_duration_seconds_bucket",
        ):
            told = prometheus.ask("query_exemplars", query=metric, start=time.time() - 600, end=time.time() + 60)
            ids = {each["labels"]["trace_id"] for series in told for each in series["exemplars"]}
            assert ids == {done.stdout.strip()}, metric


def everything(received):
    return "".join(str(request) for request in received.requests)


@pytest.mark.parametrize("program", [SECRETS, FAILING], ids=["content", "errors"])
def test_content_is_dropped_and_facts_stay(program, tmp_path):
    with http_receiver() as (backend, received):
        with Collector("privacy.yaml", tmp_path, BACKEND_ENDPOINT=backend) as made:
            assert run_python(program, environ={"OTEL_EXPORTER_OTLP_ENDPOINT": made.http}).stderr == ""
            eventually(lambda: len(received.spans) == (2 if program is SECRETS else 1))
    text = everything(received)
    assert "ada@" not in text
    assert "4111" not in text
    if program is SECRETS:
        chat = next(span for span in received.spans if span.name == "chat m")
        facts = {each.key: each.value.int_value for each in chat.attributes}
        assert (facts[sc.USAGE_INPUT_TOKENS], facts[sc.USAGE_OUTPUT_TOKENS]) == (11, 7)
    else:
        assert "ValueError" in text


def test_content_is_redacted_and_facts_stay(tmp_path):
    with http_receiver() as (backend, received):
        with Collector("privacy.yaml", tmp_path, BACKEND_ENDPOINT=backend, CONTENT="redact") as made:
            assert run_python(SECRETS, environ={"OTEL_EXPORTER_OTLP_ENDPOINT": made.http}).stderr == ""
            eventually(lambda: len(received.spans) == 2)
    text = everything(received)
    assert "ada@" not in text
    assert "4111" not in text
    assert "[e-mail]" in text
    assert "[card]" in text
    chat = next(span for span in received.spans if span.name == "chat m")
    assert {each.key: each.value.int_value for each in chat.attributes}[sc.USAGE_INPUT_TOKENS] == 11


def test_every_name_of_content_is_dropped_and_every_other_stays():
    text = (CONFIGS / "privacy.yaml").read_text()
    written = re.findall(r'delete_matching_keys\(\w+\.attributes, "(.*?)"\)', text)
    patterns = [json.loads(f'"{each}"') for each in written if each != "."]
    content = [name for name, meaning in sc.ATTRIBUTES.items() if meaning.content]
    assert len(content) > 20
    assert [name for name in content if not any(re.search(pattern, name) for pattern in patterns)] == []
    facts = [name for name in sc.ATTRIBUTES if name not in content and not name.startswith("exception.")]
    assert [name for name in facts if any(re.search(pattern, name) for pattern in patterns)] == []


def test_the_events_that_stay_are_ours():
    text = (CONFIGS / "privacy.yaml").read_text()
    for pattern in re.findall(r'not IsMatch\(\w+\.(?:event_)?name, "(.*?)"\)', text):
        assert [name for name in EVENT_NAMES.values() if not re.search(json.loads(f'"{pattern}"'), name)] == []
        assert not re.search(json.loads(f'"{pattern}"'), "lmspan.note")


def test_what_comes_is_forwarded_with_authorization(tmp_path):
    with http_receiver() as (backend, received):
        path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
        made = Collector("forward.yaml", tmp_path, KEY=KEY, PATH=path)
        (tmp_path / "otelcol-contrib").symlink_to(made.command[0])
        (command,) = pages.commands("collector.md", "otelcol-contrib")
        made.as_told(pages.sent_to(backend, command))
        with made:
            done = run_python(RUNS, "3", "", environ={"OTEL_EXPORTER_OTLP_ENDPOINT": made.http})
            eventually(lambda: len(received.spans) == 15)
    assert {span.trace_id.hex() for span in received.spans} == set(done.stdout.split())
    assert received.authorizations == {f"Bearer {KEY}"}


# Two tiers ----------------------------------------------------------------------------------------------------------


class Tiers:
    """Two gateways, two samplers and a Jaeger."""

    def __init__(self, directory, **sampling):
        self.directory, self.sampling = directory, sampling
        self.running = contextlib.ExitStack()

    def started(self, config, name, **environ):
        return self.running.enter_context(Collector(f"scale-out/{config}.yaml", self.directory / name, **environ))

    def __enter__(self):
        """Start from the back: the addresses of a program are certain when it runs."""
        self.jaeger = self.running.enter_context(Jaeger(self.directory / "jaeger"))
        environ = {"BACKEND_ENDPOINT": self.jaeger.address, "DECISION_WAIT": "2s", **self.sampling}
        self.samplers = [self.started("sampler", f"sampler-{number}", **environ) for number in (1, 2)]
        addresses = {f"SAMPLER_{number}": sampler.address for number, sampler in enumerate(self.samplers, 1)}
        self.gateways = [self.started("gateway", f"gateway-{number}", **addresses) for number in (1, 2)]
        return self

    def __exit__(self, *_):
        self.running.close()

    def send(self, gateway, count, kind=""):
        done = run_python(RUNS, str(count), kind, environ={"OTEL_EXPORTER_OTLP_ENDPOINT": gateway.http})
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()

    def stored(self, ids):
        return {each: len(trace.spans) for each in ids if (trace := self.jaeger.trace(each)) is not None}


def test_every_trace_is_whole_and_none_is_lost_while_a_gateway_restarts(tmp_path):
    with Tiers(tmp_path, OTHERS_PERCENT="100") as tiers:
        first, second = tiers.gateways
        ids = tiers.send(first, 20) + tiers.send(second, 20)
        for sampler in tiers.samplers:
            sampler.stop()  # so that the gateways have something to keep
        ids += tiers.send(first, 20)
        first.stop()
        ids += tiers.send(second, 20)
        for sampler in tiers.samplers:
            sampler.start()
        first.start()
        ids += tiers.send(first, 20)
        found = eventually(lambda: tiers.stored(ids), lambda stored: stored == dict.fromkeys(ids, 5))
    assert found == dict.fromkeys(ids, 5)


@pytest.mark.parametrize(("kind", "kept"), [("failed", True), ("dear", True), ("evaluate", True), ("plain", False)])
def test_what_somebody_will_want_to_look_at_is_kept(kind, kept, tmp_path):
    with Tiers(tmp_path, OTHERS_PERCENT="0") as tiers:
        ids = tiers.send(tiers.gateways[0], 5, kind)
        marker = tiers.send(tiers.gateways[1], 1, "failed")
        eventually(lambda: tiers.stored(marker))
        found = eventually(lambda: tiers.stored(ids), lambda stored: len(stored) == 5 * kept)
    assert found == (dict.fromkeys(ids, 5) if kept else {})
