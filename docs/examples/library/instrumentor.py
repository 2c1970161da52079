"""Record programs of smallagent. In the package this file is `src/lmspan/instrumentation/smallagent/__init__.py`."""

from lmspan import semconv as sc
from lmspan.content.messages import input_messages, output_messages
from lmspan.instrumentation.kit.arguments import by_name
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.facts import stored, text
from lmspan.instrumentation.kit.instrumentor import Instrumentor
from lmspan.instrumentation.kit.requests import add_parameters
from lmspan.instrumentation.kit.usage import usage_facts
from lmspan.lifecycle import Operation

SOURCE = "smallagent"


def start_agent(recorder, agent, args, kwargs):
    name, inputs = text(stored(agent).get("name")), by_name(args, kwargs, "question")
    return recorder.start(Operation.AGENT, name, SOURCE, {sc.AGENT_NAME: name}, instance=agent, inputs=inputs)


def describe_agent(recorder, call, args, kwargs):
    if recorder.captures(call):
        recorder.capture(call, {sc.INPUT_MESSAGES: input_messages(None, call.inputs.get("question"))})


def succeed_agent(recorder, call, outputs):
    if recorder.captures(call):
        recorder.capture(call, {sc.OUTPUT_MESSAGES: output_messages(outputs, ["stop"])})


def start_chat(recorder, model, args, kwargs):
    name, inputs = text(stored(model).get("name")), by_name(args, kwargs, "messages", "temperature")
    facts = {sc.PROVIDER_NAME: SOURCE, sc.REQUEST_MODEL: name}
    return recorder.start(Operation.LM, name, SOURCE, facts, instance=model, inputs=inputs)


def describe_chat(recorder, call, args, kwargs):
    add_parameters(call.late_facts, call.inputs)
    if recorder.captures(call):
        recorder.capture(call, {sc.INPUT_MESSAGES: input_messages(call.inputs.get("messages"), None)})


def succeed_chat(recorder, call, outputs):
    usage_facts(call.late_facts, outputs.get("usage"))
    if recorder.captures(call):
        recorder.capture(call, {sc.OUTPUT_MESSAGES: output_messages(outputs, ["stop"])})


def start_tool(recorder, tool, args, kwargs):
    name = text(stored(tool).get("name"))
    facts = {sc.TOOL_NAME: name, sc.TOOL_TYPE: "function"}
    return recorder.start(Operation.TOOL, name, SOURCE, facts, instance=tool, inputs=kwargs)


def describe_tool(recorder, call, args, kwargs):
    call.late_facts[sc.TOOL_DESCRIPTION] = text(stored(call.instance).get("description"))
    if recorder.captures(call):
        recorder.capture(call, {sc.TOOL_CALL_ARGUMENTS: call.inputs})


def succeed_tool(recorder, call, outputs):
    if recorder.captures(call):
        recorder.capture(call, {sc.TOOL_CALL_RESULT: outputs})


class SmallAgentInstrumentor(Instrumentor):
    name = "SmallAgent"
    module = "smallagent"
    requirement = "smallagent>=1,<2"
    tested = ("1.0",)
    methods = (
        ("smallagent", "Agent", {"ask": Steps(start_agent, describe_agent, succeed_agent)}),
        ("smallagent", "Model", {"complete": Steps(start_chat, describe_chat, succeed_chat)}),
        ("smallagent", "Tool", {"run": Steps(start_tool, describe_tool, succeed_tool)}),
    )
