"""LLMProc programs: a run is an agent, each pass of its loop a turn, with the LM call and the tools in it."""

import json

import dspy
import pytest
from llmproc.common.access_control import AccessLevel
from llmproc.common.metadata import ToolMeta, attach_meta
from llmproc.common.results import ToolResult
from llmproc.tools.function_tools import register_tool
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from lmspan import semconv as sc
from lmspan.demo.server import Reply
from lmspan.testing import recording
from support.llmproc import MODEL, asking, program, weather
from support.programs import fields, model
from support.wires import KEY, called, serving, tokens

ASKED = "Weather in Graz?"
LOOK = called(("toolu_1", "weather", {"city": "Graz"}), text="Let me look.", usage=tokens(30, 7))
SUN = Reply("It is sunny.", usage=tokens(40, 5))
WITH_A_TOOL = f"""
  invoke_agent helper
    turn
      chat {MODEL}
      execute_tool weather
    turn
      chat {MODEL}"""
IDS = (sc.CALL_ID, sc.CALL_PARENT_ID, sc.RESPONSE_ID, sc.SERVER_PORT)


async def run(made, *replies, asked=ASKED, access_level=None, **settings):
    """Run a program once against a server of its own; give what was recorded and what it returned."""
    with serving(*replies) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        process = await made.start(access_level=access_level)
        result = await process.run(asked, **settings)
        await process.aclose()
    recorded.assert_conventions()
    return recorded, result


def attributes(span):
    """The attributes of a span, but for its totals and for what differs from run to run."""
    found = {key: value for key, value in span.attributes.items() if not key.startswith("lmspan.total.")}
    return {key: json.loads(value) if key in JSON else value for key, value in found.items() if key not in IDS}


JSON = (
    sc.INPUT_MESSAGES, sc.OUTPUT_MESSAGES, sc.TOOL_DEFINITIONS, sc.SYSTEM_INSTRUCTIONS, sc.TOOL_CALL_ARGUMENTS,
    sc.TOOL_CALL_RESULT,
)  # fmt: skip


def said(role, *parts, **more):
    return {"role": role, "parts": list(parts), **more}


def text(content):
    return {"type": "text", "content": content}


async def test_a_run_with_a_tool_every_attribute():
    recorded, result = await run(program(weather), LOOK, SUN)
    recorded.assert_tree(WITH_A_TOOL)
    agent, turn, chat, tool, last_turn, last_chat = recorded.spans
    assert attributes(agent) == {
        sc.SOURCE: "llmproc",
        sc.OPERATION_NAME: "invoke_agent",
        sc.AGENT_NAME: "helper",
        sc.REQUEST_MODEL: MODEL,
        sc.AGENT_MAX_ITERATIONS: 10,
        sc.AGENT_ACCESS_LEVEL: "admin",
        sc.RESPONSE_FINISH_REASONS: ("end_turn",),
        sc.INPUT_MESSAGES: [said("user", text(ASKED))],
        sc.OUTPUT_MESSAGES: [said("assistant", text("It is sunny."), finish_reason="end_turn")],
    }
    assert attributes(turn) == {sc.SOURCE: "llmproc", sc.TURN_INDEX: 0, sc.TURN_TOOL_COUNT: 1}
    assert attributes(last_turn) == {sc.SOURCE: "llmproc", sc.TURN_INDEX: 1}
    call = {"type": "tool_call", "id": "toolu_1", "name": "weather", "arguments": {"city": "Graz"}}
    cost = attributes(chat).pop(sc.COST_AMOUNT)
    assert cost == pytest.approx((30 * 3 + 7 * 15) / 1e6)
    assert attributes(chat) == {
        sc.SOURCE: "llmproc",
        sc.OPERATION_NAME: "chat",
        sc.PROVIDER_NAME: "anthropic",
        sc.REQUEST_MODEL: MODEL,
        sc.SERVER_ADDRESS: "127.0.0.1",
        sc.REQUEST_MAX_TOKENS: 100,
        sc.RESPONSE_MODEL: MODEL,
        sc.RESPONSE_FINISH_REASONS: ("tool_use",),
        sc.USAGE_INPUT_TOKENS: 30,
        sc.USAGE_OUTPUT_TOKENS: 7,
        sc.USAGE_CACHE_READ_TOKENS: 0,
        sc.USAGE_CACHE_WRITE_TOKENS: 0,
        sc.COST_AMOUNT: cost,
        sc.COST_UNIT: "USD",
        sc.COST_SOURCE: "llmproc list prices",
        sc.INPUT_MESSAGES: [said("user", text(ASKED))],
        sc.SYSTEM_INSTRUCTIONS: [text("Be brief.")],
        sc.TOOL_DEFINITIONS: [
            {
                "type": "function",
                "name": "weather",
                "description": "Look up the weather.",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            }
        ],
        sc.OUTPUT_MESSAGES: [said("assistant", text("Let me look."), call, finish_reason="tool_use")],
    }
    assert attributes(tool) == {
        sc.SOURCE: "llmproc",
        sc.OPERATION_NAME: "execute_tool",
        sc.TOOL_NAME: "weather",
        sc.TOOL_TYPE: "function",
        sc.TOOL_DESCRIPTION: "Look up the weather.",
        sc.TOOL_CALL_ID: "toolu_1",
        sc.AGENT_NAME: "helper",
        sc.TOOL_CALL_ARGUMENTS: {"city": "Graz"},
        sc.TOOL_CALL_RESULT: {"result": "sun in Graz"},
    }
    assert attributes(last_chat)[sc.INPUT_MESSAGES] == [
        said("user", text(ASKED)),
        said("assistant", text("Let me look."), call),
        said("tool", {"type": "tool_call_response", "id": "toolu_1", "response": "sun in Graz"}),
    ]
    assert recorded.totals("invoke_agent helper") == {
        "nodes": 6, "llm_calls": 2, "tool_calls": 1, "input_tokens": 70, "output_tokens": 12, "errors": 0,
        "orphans": 0, "cost.amount": pytest.approx(result.usd_cost), "cost.unit": "USD",
        "cost.sources": ("llmproc list prices",),
    }  # fmt: skip
    assert [span.events for span in recorded.spans[1:]] == [()] * 5


async def test_tokens_that_anthropics_cache_read_and_wrote_are_of_the_input():
    said = Reply("sun", usage=tokens(30, 7, cache_read=10, cache_write=5))
    recorded, result = await run(program(), said)
    chat = recorded.attributes(f"chat {MODEL}")
    counted = [chat[name] for name in (sc.USAGE_INPUT_TOKENS, sc.USAGE_CACHE_READ_TOKENS, sc.USAGE_CACHE_WRITE_TOKENS)]
    assert counted == [30, 10, 5]
    assert (result.input_tokens, result.cached_tokens, result.cache_write_tokens) == (15, 10, 5)
    assert chat[sc.COST_AMOUNT] == pytest.approx(result.usd_cost)
    assert chat[sc.COST_AMOUNT] == pytest.approx((15 * 3 + 10 * 0.3 + 5 * 3.75 + 7 * 15) / 1e6)


@pytest.mark.parametrize(
    ("provider", "model", "name", "operation", "reasons"),
    [
        ("openai", "gpt-4o-mini", "openai", "chat", ("stop",)),
        ("gemini", "gemini-2.5-pro", "gcp.gemini", "generate_content", ("STOP",)),
    ],
)
async def test_the_other_two_providers(provider, model, name, operation, reasons):
    reply = Reply("It is sunny.", usage=tokens(40, 9, cache_read=10, reasoning=4))
    made = program(provider=provider, model=model, parameters={"temperature": 0.5})
    recorded, result = await run(made, reply)
    recorded.assert_tree(f"""
      invoke_agent helper
        turn
          {operation} {model}""")
    cached = {sc.USAGE_CACHE_WRITE_TOKENS: 0} if provider == "openai" else {}
    instructions = [text("Be brief.")]
    history = [said("user", text(ASKED))]
    apart = {sc.SYSTEM_INSTRUCTIONS: instructions} if provider == "gemini" else {}
    assert attributes(recorded.spans[2]) == {
        sc.SOURCE: "llmproc",
        sc.OPERATION_NAME: operation,
        sc.PROVIDER_NAME: name,
        sc.REQUEST_MODEL: model,
        sc.REQUEST_TEMPERATURE: 0.5,
        sc.SERVER_ADDRESS: "127.0.0.1",
        sc.RESPONSE_MODEL: model,
        sc.RESPONSE_FINISH_REASONS: reasons,
        sc.USAGE_INPUT_TOKENS: 40,
        sc.USAGE_OUTPUT_TOKENS: 9,
        sc.USAGE_CACHE_READ_TOKENS: 10,
        sc.USAGE_REASONING_TOKENS: 4,
        **cached,
        sc.COST_UNKNOWN_REASON: "llmproc has no price for this model",
        sc.INPUT_MESSAGES: history if apart else [said("system", *instructions), *history],
        **apart,
        sc.OUTPUT_MESSAGES: [said("assistant", text("It is sunny."), finish_reason=reasons[0])],
    }
    assert recorded.attributes("invoke_agent helper")[sc.RESPONSE_FINISH_REASONS] == (result.stop_reason,)
    assert recorded.totals("invoke_agent helper")["cost.unknown_calls"] == 1


async def test_two_tools_of_the_same_name_have_each_its_own_id():
    both = called(("toolu_1", "weather", {"city": "Graz"}), ("toolu_2", "weather", {"city": "Graz"}))
    recorded, _ = await run(program(weather), both, SUN)
    tools = recorded.named("execute_tool weather")
    assert [span.attributes[sc.TOOL_CALL_ID] for span in tools] == ["toolu_1", "toolu_2"]
    assert recorded.spans[1].attributes[sc.TURN_TOOL_COUNT] == 2


async def test_a_tool_known_by_an_alias():
    made = program(weather)
    made.set_tool_aliases({"wetter": "weather"})
    recorded, _ = await run(made, called(("toolu_1", "wetter", {"city": "Graz"})), SUN)
    assert recorded.attributes("execute_tool wetter")[sc.TOOL_ALIAS_OF] == "weather"


async def test_a_failing_tool_is_seen_as_failed_with_the_exception_that_llmproc_makes_a_text_of():
    recorded, result = await run(program(weather), called(("toolu_1", "weather", {"city": "nowhere"})), SUN)
    recorded.assert_tree(WITH_A_TOOL.replace("weather", "weather !"))
    tool = attributes(recorded.one("execute_tool weather"))
    assert tool[sc.ERROR_TYPE] == "LookupError"
    assert tool[sc.TOOL_CALL_RESULT] == {"result": "Tool 'weather' error: nowhere"}
    assert recorded.events("execute_tool weather") == [
        ("exception", {sc.EXCEPTION_TYPE: "LookupError", sc.EXCEPTION_MESSAGE: "nowhere"})
    ]
    assert recorded.totals("invoke_agent helper")["errors"] == 1
    assert result.stop_reason == "end_turn"


@register_tool(access=AccessLevel.ADMIN)
def reboot() -> str:
    """Reboot the machine."""
    return "done"


async def test_a_tool_that_the_process_may_not_use_or_does_not_have():
    both = called(("toolu_1", "reboot", {}), ("toolu_2", "missing", {}))
    recorded, _ = await run(program(reboot), both, SUN, access_level=AccessLevel.READ)
    assert recorded.attributes("invoke_agent helper")[sc.AGENT_ACCESS_LEVEL] == "read"
    denied, missing = attributes(recorded.one("execute_tool reboot")), attributes(recorded.one("execute_tool missing"))
    assert denied[sc.ERROR_TYPE] == "access_denied"
    assert denied[sc.TOOL_CALL_RESULT]["result"].startswith("Access denied: this tool requires admin")
    assert missing[sc.ERROR_TYPE] == "tool_not_available"
    assert recorded.totals("invoke_agent helper")["errors"] == 2


async def test_a_run_that_may_not_take_more_turns():
    recorded, result = await run(program(weather), LOOK, max_iterations=2)
    agent = recorded.attributes("invoke_agent helper")
    assert result.stop_reason == "max_iterations"
    assert (agent[sc.RESPONSE_FINISH_REASONS], agent[sc.AGENT_MAX_ITERATIONS]) == (("max_iterations",), 2)
    assert [span.attributes[sc.TURN_INDEX] for span in recorded.named("turn")] == [0, 1]


async def test_writes_to_stderr_are_events_where_they_are_made():
    recorded, _ = await run(program("write_stderr"), called(("toolu_1", "write_stderr", {"message": "hm"})), SUN)
    assert recorded.events("execute_tool write_stderr") == [
        ("lmspan.stderr.write", {sc.STDERR_LENGTH: 2, sc.STDERR_TEXT: "hm"})
    ]


def stop_here() -> ToolResult:
    """Ask that nothing more of the answer is done."""


async def test_a_tool_that_aborts_ends_the_turn():
    async def handler(**_):
        return ToolResult.from_abort("enough")

    both = called(("toolu_1", "stop_here", {}), ("toolu_2", "weather", {"city": "Graz"}))
    with serving(both) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        process = await program(stop_here, weather).start()
        process.tool_manager.runtime_registry.tool_handlers["stop_here"] = attach(handler)
        await process.run(ASKED)
    recorded.assert_conventions()
    recorded.assert_tree(f"""
      invoke_agent helper
        turn
          chat {MODEL}
          execute_tool stop_here""")
    assert recorded.attributes("execute_tool stop_here")[sc.TOOL_ABORTS] is True


def attach(handler):
    attach_meta(handler, ToolMeta())
    return handler


async def test_a_jump_back_and_the_next_request_is_of_a_shorter_history():
    """LLMProc 0.9.5 hides what its own tools ask for in a result around theirs, so the jump does not end the turn."""
    jump = called(
        ("toolu_1", "goto", {"position": "msg_0", "message": "again"}), ("toolu_2", "weather", {"city": "Graz"})
    )
    with serving(Reply("hello"), jump, SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        process = await program("goto", weather).start()
        await process.run(ASKED)
        await process.run("And now?")
    recorded.assert_conventions()
    recorded.assert_tree(f"""
      invoke_agent helper
        turn
          chat {MODEL}
      invoke_agent helper
        turn
          chat {MODEL}
          execute_tool goto
          execute_tool weather
        turn
          chat {MODEL}""")
    assert recorded.attributes("execute_tool goto")[sc.TOOL_ABORTS] is True
    assert [span.attributes.get(sc.CONVERSATION_COMPACTED) for span in recorded.named(f"chat {MODEL}")] == [
        None, None, True,
    ]  # fmt: skip


async def test_an_error_that_a_tool_of_llmprocs_own_answers_is_seen():
    recorded, _ = await run(program("goto"), called(("toolu_1", "goto", {"position": "x", "message": "m"})), SUN)
    goto = attributes(recorded.one("execute_tool goto"))
    assert goto[sc.ERROR_TYPE] == "tool_error"
    assert goto[sc.TOOL_CALL_RESULT]["result"].startswith("Invalid message ID: x.")


class Hostile:
    """An object that resists being looked at, but for what LLMProc itself does with a result: `str`."""

    def __str__(self):
        return "hostile"

    def __repr__(self):
        raise AssertionError("repr was called")

    def __len__(self):
        raise AssertionError("len was called")

    def __iter__(self):
        raise AssertionError("iter was called")

    def __getattr__(self, name):
        raise AssertionError(f"{name} was asked for")


async def test_results_that_resist_being_looked_at():
    def hostile() -> str:
        """Return something odd."""
        return Hostile()

    recorded, result = await run(program(hostile), called(("toolu_1", "hostile", {})), SUN)
    shown = attributes(recorded.one("execute_tool hostile"))[sc.TOOL_CALL_RESULT]
    assert shown == {"result": "<test_llmproc.Hostile>"}
    assert result.last_message == "It is sunny."


async def test_a_tool_called_by_the_program_itself():
    with serving(SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        process = await program(weather).start()
        assert (await process.call_tool("weather", {"city": "Graz"})).content == "sun in Graz"
    recorded.assert_tree("execute_tool weather")
    recorded.assert_conventions()


async def test_content_only_with_the_switch_and_keys_never():
    with serving(called(("toolu_1", "write_stderr", {"message": f"my key is {KEY}"})), SUN) as server, asking(server):
        for capture in ("none", "span"):
            with recording(instrument=("llmproc",), capture_content=capture) as recorded:
                process = await program("write_stderr").start()
                await process.run(f"My key is {KEY}.")
            whole = json.dumps(
                [[dict(span.attributes), [dict(e.attributes) for e in span.events]] for span in recorded.spans]
            )
            assert KEY not in whole
            assert ("my key" in whole.lower()) == (capture == "span")


async def test_a_tool_that_runs_a_dspy_program_is_one_tree_with_its_process():
    def advise(city: str) -> str:
        """Ask a program."""
        return dspy.Predict("city -> answer")(city=city).answer

    replies = called(("toolu_1", "advise", {"city": "Graz"})), fields(answer="walk"), SUN
    with serving(*replies) as server, asking(server), recording(instrument=("dspy", "llmproc")) as recorded:
        with dspy.context(lm=model(server)):
            await (await program(advise).start()).run(ASKED)
    recorded.assert_conventions()
    recorded.assert_tree(f"""
      invoke_agent helper
        turn
          chat {MODEL}
          execute_tool advise
            module Predict
              format ChatAdapter
              chat gpt-4o-mini
              parse ChatAdapter
        turn
          chat {MODEL}""")
    assert recorded.totals("invoke_agent helper")["llm_calls"] == 3


async def test_metrics_of_a_run():
    reader = InMemoryMetricReader()
    metrics = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    with serving(LOOK, SUN) as server, asking(server):
        with recording(instrument=("llmproc",), meter_provider=metrics):
            await (await program(weather).start()).run(ASKED)
    found = {
        metric.name: sum(point.count if hasattr(point, "count") else point.value for point in metric.data.data_points)
        for metric in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    }
    assert {name: found.get(name) for name in (sc.METRIC_AGENT_DURATION, sc.METRIC_TOOL_DURATION)} == {
        sc.METRIC_AGENT_DURATION: 1,
        sc.METRIC_TOOL_DURATION: 1,
    }
    assert (found[sc.METRIC_OPERATION_DURATION], found[sc.METRIC_TOKEN_USAGE]) == (2, 4)
    assert found[sc.METRIC_COST] == pytest.approx((70 * 3 + 12 * 15) / 1e6)
