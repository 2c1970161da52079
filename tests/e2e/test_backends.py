"""Arize Phoenix and MLflow, their real servers: what was recorded is there, of the right kind, and counted once.

Each server has an environment of its own, made by hand: `LMSPAN_PHOENIX` and `LMSPAN_MLFLOW` are the paths of the
programs `phoenix` and `mlflow`. `docs/how-to/phoenix.md` and `mlflow.md` are what these tests do.
"""

import base64
import json
import os
import shutil
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from lmspan.traces import Store
from support import pages
from support.processes import lines_of_ours
from support.stack import Program, eventually, fetch

pytestmark = pytest.mark.backends

DESK = """
import contextlib
import dspy
import lmspan
from lmspan.demo import program, script, server

session = lmspan.init()

@lmspan.tool
def book(trip):
    raise LookupError("no seat is left")

def ask(answer, task):
    with server.ScriptedServer(answer) as scripted:
        return task(dspy.LM("openai/gpt-4o-mini", api_base=scripted.url, api_key="none", cache=False, num_retries=0))

def refused(lm):
    with dspy.context(lm=lm):
        return dspy.Predict("trip -> advice")(trip="From Lisbon to Porto")

with lmspan.operation("workflow", "desk"):
    ask(script.answer, program.run)
    with contextlib.suppress(LookupError):
        book("Porto")
    with contextlib.suppress(Exception):
        ask(lambda request: server.Reply("no such model", status=400), refused)
session.shutdown(timeout_s=30)
"""


class Server(Program):
    """The server of another stack. It is not told of what the tests send, nor where."""

    def __init__(self, name, command, directory, **environ):
        path = shutil.which(os.environ.get(f"TEST_LMSPAN_{name.upper()}", ""))
        if path is None:
            pytest.skip(f"LMSPAN_{name.upper()} names no program; docs/how-to/{name}.md says how to install it")
        self.page = name
        (directory / name).symlink_to(Path(path).parent.parent)  # the environment that the page makes
        super().__init__([], directory, **environ)
        self.as_told(command, directory)
        ours = ("OTEL_", "LMSPAN_", "PYTHON")
        self.environ = {name: value for name, value in self.environ.items() if not name.startswith(ours)}

    @property
    def home(self):
        return self.url(f"{{{self.ports[0]}}}")

    def send(self, directory, program="run program.py", **environ):
        """Run a program by the page's first command; its spans are also in the directory's file."""
        command, *_ = pages.commands(f"{self.page}.md", "lmspan run program.py")
        command = pages.sent_to(self.home, command).replace("run program.py", program)
        return pages.run(
            command, directory, {"OTEL_TRACES_EXPORTER": "file,otlp", "LMSPAN_DIR": str(directory), **environ}
        )

    def kind(self, span):
        """Return what a span has to be here: of OpenInference's kind, else of one that its operation is known to be."""
        known = {"chat": self.model, "execute_tool": "TOOL", "invoke_agent": "AGENT"}
        operation = span.attributes.get("gen_ai.operation.name")
        return span.attributes.get("openinference.span.kind") or known.get(operation, "UNKNOWN")


class Phoenix(Server):
    """Arize Phoenix; a trace is read by the GraphQL that its page uses, and by REST."""

    model = "LLM"
    ports = ("PHOENIX_PORT", "PHOENIX_GRPC_PORT")
    answers = "{PHOENIX_PORT}/healthz"

    def __init__(self, directory):
        super().__init__(
            "phoenix",
            *pages.commands("phoenix.md", "phoenix serve"),
            directory,
            PHOENIX_WORKING_DIR=str(directory),
            PHOENIX_TELEMETRY_ENABLED="false",
            PHOENIX_ALLOW_EXTERNAL_RESOURCES="false",
        )

    def spans(self, trace_id):
        found = fetch(f"{self.home}/v1/projects/default/spans?limit=1000&trace_id={trace_id}")
        return {span["context"]["span_id"]: span for span in json.loads(found)["data"]} if found else {}

    def facts(self, trace_id):
        """Return what it shows of each span, by span id."""
        return {
            span_id: {
                "name": span["name"],
                "parent": span["parent_id"] or "",
                "kind": span["span_kind"],
                "failed": span["status_code"] == "ERROR",
                "model": span["attributes"].get("llm.model_name"),
                "tokens": tokens(span["attributes"], "llm.token_count.prompt", "llm.token_count.completion"),
            }
            for span_id, span in self.spans(trace_id).items()
        }

    def totals(self, trace_id):
        """Return what it says of the whole trace; the cost is counted a moment later than the spans."""
        query = """query($id: String!) { trace: getTraceByOtelId(traceId: $id) {
            costSummary { total { cost } }
            rootSpan { cumulativeTokenCountPrompt cumulativeTokenCountCompletion } } }"""
        body = json.dumps({"query": query, "variables": {"id": trace_id}}).encode()
        asked = urllib.request.Request(f"{self.home}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - our own address
            trace = json.load(answer)["data"]["trace"]
        root = trace["rootSpan"]
        cost = trace["costSummary"]["total"]["cost"]
        return root["cumulativeTokenCountPrompt"], root["cumulativeTokenCountCompletion"], cost

    def payload(self, trace_id, span_id):
        """Return a span's input and output as its page shows them."""
        shown = self.spans(trace_id)[span_id]["attributes"]
        return shown.get("input.value"), shown.get("output.value")

    def messages(self, trace_id, span_id):
        """Return an LM span's messages, input and output, as (role, text)."""
        shown = self.spans(trace_id)[span_id]["attributes"]
        return tuple(conversation(shown, f"llm.{side}_messages") for side in ("input", "output"))


class MLflow(Server):
    """MLflow; a trace is read by its REST API."""

    model = "CHAT_MODEL"
    ports = ("WEB_PORT",)
    answers = "{WEB_PORT}/health"

    def __init__(self, directory):
        (command,) = pages.commands("mlflow.md", "mlflow server")
        super().__init__(
            "mlflow",
            command.replace("--port 5000", "--port $WEB_PORT"),
            directory,
            MLFLOW_MODEL_CATALOG_URI="",  # prices from its package: else the first request waits for the network
            MLFLOW_DISABLE_TELEMETRY="true",
        )

    def trace(self, trace_id):
        found = fetch(f"{self.home}/api/3.0/mlflow/traces/get?trace_id=tr-{trace_id}")
        return json.loads(found)["trace"] if found else {}

    def spans(self, trace_id):
        found = {}
        for span in self.trace(trace_id).get("spans", ()):
            attributes = {each["key"]: plain(each["value"]) for each in span["attributes"]}
            found[hexadecimal(span["span_id"])] = {**span, "attributes": attributes}
        return found

    def facts(self, trace_id):
        """Return what it shows of each span, by span id."""
        return {
            span_id: {
                "name": span["name"],
                "parent": hexadecimal(span.get("parent_span_id", "")),
                "kind": span["attributes"].get("mlflow.spanType", "UNKNOWN"),
                "failed": span["status"].get("code") == "STATUS_CODE_ERROR",
                "model": span["attributes"].get("mlflow.llm.model"),
                "tokens": tokens(span["attributes"].get("mlflow.chat.tokenUsage", {}), "input_tokens", "output_tokens"),
            }
            for span_id, span in self.spans(trace_id).items()
        }

    def totals(self, trace_id):
        """Return what it says of the whole trace."""
        told = self.trace(trace_id)["trace_info"]["trace_metadata"]
        usage, cost = json.loads(told["mlflow.trace.tokenUsage"]), json.loads(told["mlflow.trace.cost"])
        return usage["input_tokens"], usage["output_tokens"], cost["total_cost"]

    def payload(self, trace_id, span_id):
        """Return a span's input and output as its page shows them."""
        shown = self.spans(trace_id)[span_id]["attributes"]
        return shown.get("mlflow.spanInputs"), shown.get("mlflow.spanOutputs")

    def messages(self, trace_id, span_id):
        """Return an LM span's messages, input and output, as (role, text)."""
        return tuple(said(messages) for messages in self.payload(trace_id, span_id))


def plain(value):
    """Return a value of OTLP as JSON has it, or as the protocol's `kvlist` has it, as Python's."""
    ((kind, content),) = value.items()
    if kind == "kvlist_value":
        return {each["key"]: plain(each["value"]) for each in content.get("values", ())}
    if kind == "array_value":
        return [plain(each) for each in content.get("values", ())]
    return content


def hexadecimal(identity):
    return base64.b64decode(identity).hex()


def tokens(attributes, *names):
    return tuple(int(attributes[name]) for name in names if name in attributes)


def conversation(shown, prefix):
    """Return the messages that are flattened under a prefix, as OpenInference has them."""
    count = len({name.split(".")[2] for name in shown if name.startswith(f"{prefix}.")})
    heads = [f"{prefix}.{index}.message" for index in range(count)]
    return [(shown[f"{head}.role"], shown[f"{head}.content"]) for head in heads]


def said(messages):
    """Return messages of the GenAI conventions as (role, text)."""
    found = json.loads(messages) if isinstance(messages, str) else messages
    return [(each["role"], "".join(part["content"] for part in each["parts"])) for each in found or ()]


def recorded(backend, span):
    """Return what a backend has to show of a span."""
    return {
        "name": span.name,
        "parent": span.parent_id,
        "kind": backend.kind(span),
        "failed": span.failed,
        "model": span.attributes.get("gen_ai.request.model"),
        "tokens": tokens(span.attributes, "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
    }


def one(trace, operation, *, failed=False):
    """Return the first span of an operation that has or has not failed."""
    return next(
        span
        for span in sorted(trace.spans, key=lambda each: each.start_unix_nano)
        if span.name.startswith(operation) and span.failed is failed
    )


@pytest.fixture(scope="module", params=[Phoenix, MLflow], ids=["phoenix", "mlflow"])
def backend(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("backend")) as found:
        yield found


@pytest.fixture(scope="module", params=["genai", "openinference"])
def sent(request, backend, tmp_path_factory):
    """The trace of a program that asks, uses tools, evaluates and fails, as it was recorded; it has arrived."""
    directory = tmp_path_factory.mktemp(request.param)
    (directory / "program.py").write_text(DESK)
    done = backend.send(directory, LMSPAN_OPENINFERENCE="1" if request.param == "openinference" else "0")
    assert (done.returncode, lines_of_ours(done.stderr)) == (0, []), done.stderr
    store = Store(directory)
    trace, troubles = store.last(), store.troubles
    assert troubles == []
    eventually(lambda: len(backend.spans(trace.trace_id)), lambda count: count >= len(trace.spans))
    return trace


@pytest.fixture
def openinference(sent):
    return "openinference.span.kind" in sent.spans[0].attributes


def test_every_span_is_there_once_with_its_kind_model_tokens_and_status(backend, sent):
    expected = {span.span_id: recorded(backend, span) for span in sent.spans}
    assert backend.facts(sent.trace_id) == expected


def test_models_tools_and_agents_are_known_as_such(backend, sent, openinference):
    shown = Counter(facts["kind"] for facts in backend.facts(sent.trace_id).values())
    assert (shown["LLM" if openinference else backend.model], shown["TOOL"], shown["AGENT"]) == (21, 13, 4)
    assert shown["CHAIN" if openinference else "UNKNOWN"] == len(sent.spans) - 21 - 13 - 4 - openinference
    assert shown["EVALUATOR"] == openinference


def test_the_traces_tokens_and_cost_are_the_sum_of_its_lm_calls(backend, sent):
    root = next(span for span in sent.spans if not span.parent_id).attributes
    names = ("lmspan.total.input_tokens", "lmspan.total.output_tokens", "lmspan.total.cost.amount")
    expected = pytest.approx(tuple(root[name] for name in names))
    assert eventually(lambda: backend.totals(sent.trace_id), lambda found: found == expected) == expected
    shown = [facts["tokens"] for facts in backend.facts(sent.trace_id).values() if facts["tokens"]]
    assert tuple(map(sum, zip(*shown, strict=True))) == tuple(root[name] for name in names[:2])  # no span has a sum


def test_the_messages_of_a_model_are_shown(backend, sent):
    span = one(sent, "chat")
    names = ("gen_ai.input.messages", "gen_ai.output.messages")
    expected = tuple(said(span.attributes[name]) for name in names)
    assert [role for role, _ in expected[0]] == ["system", "user"] and expected[1][0][0] == "assistant"
    assert backend.messages(sent.trace_id, span.span_id) == expected


def test_what_a_tool_was_called_with_and_gave_is_shown(backend, sent, openinference):
    span = one(sent, "execute_tool distance")
    given, gave = backend.payload(sent.trace_id, span.span_id)
    if isinstance(backend, Phoenix) and not openinference:
        assert given is None
        shown = backend.spans(sent.trace_id)[span.span_id]["attributes"]
        given = {name: shown[f"tool.parameters.{name}"] for name in ("start", "destination")}
    assert as_object(given) == {"start": "Lisbon", "destination": "Porto"}
    assert as_object(gave) == {"result": "313 km"}


def test_what_modules_and_agents_were_given_is_shown_with_openinference(backend, sent, openinference):
    for operation in ("module TravelDesk", "invoke_agent") if openinference else ("module TravelDesk",):
        span = one(sent, operation)
        names = ("lmspan.module.inputs", "lmspan.module.outputs")
        expected = tuple(json.loads(span.attributes[name]) if openinference else None for name in names)
        assert tuple(map(as_object, backend.payload(sent.trace_id, span.span_id))) == expected


def test_what_an_agent_was_asked_and_answered_is_shown_as_it_is(backend, sent, openinference):
    span = one(sent, "invoke_agent")
    asked, answered = (said(span.attributes[f"gen_ai.{side}.messages"]) for side in ("input", "output"))
    assert (asked, answered[0][0]) == ([("user", "From Lisbon to Porto, tomorrow")], "assistant")
    if isinstance(backend, Phoenix) or not openinference:
        assert backend.messages(sent.trace_id, span.span_id) == (asked, answered)


def test_what_failed_is_marked(backend, sent, openinference):
    failed = sorted(facts["name"] for facts in backend.facts(sent.trace_id).values() if facts["failed"])
    assert failed == sorted(span.name for span in sent.spans if span.failed)
    assert {"execute_tool book", "chat gpt-4o-mini"} < set(failed)
    for operation, message in {"execute_tool book": "no seat is left", "chat": "no such model"}.items():
        span = backend.spans(sent.trace_id)[one(sent, operation, failed=True).span_id]
        assert message in json.dumps(span)
        if openinference:  # what MLflow's page looks for
            assert [event["name"] for event in span["events"]] == ["exception"]


def test_the_demo_is_delivered_as_the_pages_say(backend, tmp_path):
    done = backend.send(tmp_path, program="demo")
    assert "sent to your OpenTelemetry endpoint" in done.stdout, done.stdout + done.stderr
    trace = Store(tmp_path).last()
    assert eventually(lambda: len(backend.spans(trace.trace_id)), lambda count: count == len(trace.spans))


def as_object(shown):
    return json.loads(shown) if isinstance(shown, str) else shown
