"""The documented way to Jaeger, with the real programs: what was recorded is there, span by span and fact by fact."""

import dataclasses
import json
import shlex
import subprocess
import sys

import pytest

from lmspan.traces import Store
from support import pages
from support.processes import run_python
from support.stack import Jaeger, collector_and_jaeger, eventually, fetch

pytestmark = pytest.mark.e2e

MANY = """
import sys
import lmspan

session = lmspan.init("many", exporters=["otlp"], capture_content=sys.argv[3])
text = "x" * int(sys.argv[2])
with lmspan.operation("workflow", "all") as call:
    for number in range(int(sys.argv[1]) - 1):
        with lmspan.operation("tool", "step", inputs={"text": text}):
            pass
print(f"{call.span.get_span_context().trace_id:032x}")
"""


def facts(span):
    """All of a span. Jaeger has a list as its JSON, and may add a warning of its own when it is asked early."""
    found = dataclasses.asdict(span)
    found["attributes"].pop("@jaeger@warnings", None)
    for attributes in (found["attributes"], *(event["attributes"] for event in found["events"])):
        lists = {name: value for name, value in attributes.items() if type(value) is list}
        attributes.update({name: json.dumps(value, separators=(",", ":")) for name, value in lists.items()})
    return found


def spans(trace):
    """A trace span by span, by id."""
    return {span.span_id: facts(span) for span in trace.spans}


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with collector_and_jaeger(tmp_path_factory.mktemp("stack")) as found:
        yield found


THROUGH_COLLECTOR, ALONE = pages.commands("jaeger.md", "lmspan demo")


def demo(command, endpoint, directory, **environ):
    """Run the page's command for the demo, to an endpoint; give what it said and the trace that it recorded."""
    directory.mkdir(exist_ok=True)
    done = pages.run(pages.sent_to(endpoint, command), directory, {"LMSPAN_DIR": str(directory), **environ})
    assert done.returncode == 0, done.stderr
    store = Store(directory)
    trace, troubles = store.last(), store.troubles
    assert troubles == []
    return done.stdout, trace


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_the_demo_by_the_collector_is_in_jaeger_as_it_was_recorded(stack, protocol, tmp_path):
    sender, jaeger = stack
    endpoint = sender.grpc if protocol == "grpc" else sender.http
    said, sent = demo(THROUGH_COLLECTOR, endpoint, tmp_path, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    assert "sent to your OpenTelemetry endpoint" in said
    found = eventually(lambda: jaeger.trace(sent.trace_id), lambda trace: trace and len(trace.spans) == len(sent.spans))
    assert spans(found) == spans(sent)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_the_demo_straight_to_jaeger(protocol, tmp_path):
    with Jaeger(tmp_path / "jaeger") as jaeger:
        endpoint = jaeger.grpc if protocol == "grpc" else jaeger.http
        _, sent = demo(ALONE, endpoint, tmp_path / "traces", OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
        found = eventually(lambda: jaeger.trace(sent.trace_id))
        assert spans(found) == spans(sent)


def test_the_demo_prints_where_its_trace_is(stack, tmp_path):
    sender, jaeger = stack
    said, sent = demo(THROUGH_COLLECTOR, sender.http, tmp_path, LMSPAN_JAEGER=jaeger.ui)
    assert f"{jaeger.ui}/trace/{sent.trace_id}" in said
    assert eventually(lambda: fetch(f"{jaeger.ui}/api/v3/traces/{sent.trace_id}"))


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize(
    ("spans", "characters"), [(10_000, 0), (200, 30_000), (2, 8_000_000)], ids=["many", "heavy", "one prompt of 8 MB"]
)
def test_all_that_was_sent_is_stored(stack, spans, characters, protocol):
    sender, jaeger = stack
    endpoint = sender.grpc if protocol == "grpc" else sender.http
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    done = run_python(MANY, str(spans), str(characters), "span" if characters else "none", environ=environ)
    assert (done.returncode, done.stderr) == (0, "")
    trace_id = done.stdout.strip()
    found = eventually(lambda: jaeger.trace(trace_id), lambda trace: trace and len(trace.spans) == spans)
    assert len({span.span_id for span in found.spans}) == spans
    if characters:
        texts = [len(span.attributes["gen_ai.tool.call.arguments"]) for span in found.spans if span.parent_id]
        assert min(texts) > min(characters, 30_000)


@pytest.mark.parametrize(
    "command",
    [*pages.commands("jaeger.md", "--from http"),
     *(f"lmspan {arguments} --from http://localhost:16686" for arguments in
       ("list --json", "show", "show 1 --full", "show {trace}", "show {short} --errors", "show last 7", "stats",
        "stats last --by tool", "list --since today --service lmspan-demo --text Lisbon", "list --where operation:lm",
        "spans 'Lisbon under:advise' --sort duration"))],
)  # fmt: skip
def test_a_command_prints_of_jaeger_what_it_prints_of_the_local_file(read_from, command):
    jaeger, directory, trace_id = read_from
    command = command.replace("shop", "lmspan-demo").format(trace=trace_id, short=trace_id[:8])
    local, remote = (lmspan(command.replace("http://localhost:16686", place)) for place in (str(directory), jaeger))
    assert local == remote
    assert local.stdout


def test_programs_read_from_jaeger_as_from_the_local_file(read_from):
    jaeger, directory, trace_id = read_from
    remote, local = Store(jaeger), Store(directory)
    assert spans(remote.find(trace_id)) == spans(local.find(trace_id))
    assert list(remote.list()) == list(local.list())
    assert list(remote.statistics("module")) == list(local.statistics("module"))
    assert remote.troubles == []


@pytest.fixture(scope="module")
def read_from(tmp_path_factory):
    """The address of a Jaeger that has a demo with its content, the directory that has it too, and its id."""
    directory = tmp_path_factory.mktemp("read")
    with Jaeger(directory / "jaeger") as jaeger:
        content = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY"}
        _, sent = demo(ALONE, jaeger.http, directory / "traces", **content)
        eventually(lambda: jaeger.trace(sent.trace_id), lambda trace: trace and len(trace.spans) == len(sent.spans))
        yield jaeger.ui, directory / "traces", sent.trace_id


@dataclasses.dataclass
class Ended:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


def lmspan(command):
    """Run a command line in a process of its own."""
    arguments = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=60)
    return Ended(done.returncode, done.stdout, done.stderr)
