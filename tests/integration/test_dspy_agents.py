"""Agents: every iteration of the loop is a turn, tools are under it, with the ids that the model gave."""

import json
import sys

import dspy
import pytest

import lmspan
from lmspan import semconv as sc
from lmspan.demo.server import Reply
from lmspan.testing import recording
from support.processes import run_python
from support.programs import fields, model, serving

PREDICT = """module {1}
            format {0}
            chat gpt-4o-mini
            parse {0}"""
COT = """module {0}
          module {0}.predict
            format ChatAdapter
            chat gpt-4o-mini
            parse ChatAdapter"""


def weather(city: str) -> str:
    """Look up the weather."""
    if city == "nowhere":
        raise LookupError(city)
    return f"sun in {city}"


def step(tool, **arguments):
    return fields(next_thought="hm", next_tool_name=tool, next_tool_args=json.dumps(arguments))


def called(*calls):
    """A reply with native tool calls: (id, name, arguments)."""
    return Reply(
        tool_calls=[
            {"id": identity, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for identity, name, arguments in calls
        ]
    )


def react(*script, tools=(weather,)):
    with serving(*script) as server, dspy.context(lm=model(server)):
        return dspy.ReAct("question -> answer", tools=list(tools))(question="?")


def test_an_agent_with_a_tool():
    with recording() as recorded:
        react(step("weather", city="Graz"), step("finish"), fields(reasoning="so", answer="sun"))
    predict = PREDICT.format("ChatAdapter", "react")
    recorded.assert_tree(f"""
      invoke_agent ReAct
        turn
          {predict}
          execute_tool weather
        turn
          {predict}
          execute_tool finish
        {COT.format("extract")}""")
    recorded.assert_conventions()
    tool = recorded.attributes("execute_tool weather")
    assert tool.pop(sc.CALL_ID)
    assert tool.pop(sc.CALL_PARENT_ID)
    assert tool == {
        sc.SOURCE: "dspy",
        sc.OPERATION_NAME: "execute_tool",
        sc.TOOL_NAME: "weather",
        sc.TOOL_TYPE: "function",
        sc.TOOL_DESCRIPTION: "Look up the weather.",
        sc.AGENT_NAME: "ReAct",
        sc.TOOL_CALL_ARGUMENTS: '{"city":"Graz"}',
        sc.TOOL_CALL_RESULT: '{"result":"sun in Graz"}',
    }
    assert recorded.attributes("execute_tool finish")[sc.TOOL_SENTINEL] is True
    paths = [span.attributes.get(sc.MODULE_PATH) for span in recorded.spans if span.name.startswith("module")]
    assert paths == ["react", "react", "extract", "extract.predict"]
    turns = [(span.attributes[sc.TURN_INDEX], span.attributes[sc.TURN_TOOL_COUNT]) for span in recorded.named("turn")]
    assert turns == [(0, 1), (1, 1)]
    definitions = json.loads(recorded.attributes("invoke_agent ReAct")[sc.TOOL_DEFINITIONS])
    assert [each["name"] for each in definitions] == ["weather", "finish"]
    totals = recorded.totals("invoke_agent ReAct")
    assert (totals["nodes"], totals["llm_calls"], totals["tool_calls"], totals["errors"]) == (18, 3, 2, 0)


async def test_an_async_agent_has_the_same_tree():
    async def weather(city: str) -> str:
        return f"sun in {city}"

    script = step("weather", city="Graz"), step("finish"), fields(reasoning="so", answer="sun")
    with serving(*script) as server, recording() as recorded, dspy.context(lm=model(server)):
        await dspy.ReAct("question -> answer", tools=[weather]).acall(question="?")
    predict = PREDICT.format("ChatAdapter", "react")
    recorded.assert_tree(f"""
      invoke_agent ReAct
        turn
          {predict}
          execute_tool weather
        turn
          {predict}
          execute_tool finish
        {COT.format("extract")}""")
    recorded.assert_conventions()


def test_a_failing_tool_is_seen_as_failed_though_the_agent_goes_on():
    with recording() as recorded:
        script = step("weather", city="nowhere"), step("finish"), fields(reasoning="so", answer="none")
        assert react(*script).answer == "none"
    recorded.assert_conventions()
    assert recorded.attributes("execute_tool weather")[sc.ERROR_TYPE] == "LookupError"
    ((name, facts),) = recorded.events("execute_tool weather")
    assert (name, facts[sc.EXCEPTION_TYPE], facts[sc.EXCEPTION_MESSAGE]) == ("exception", "LookupError", "nowhere")
    assert recorded.one("invoke_agent ReAct").status.is_unset
    assert all(turn.status.is_unset for turn in recorded.named("turn"))
    assert recorded.totals("invoke_agent ReAct")["errors"] == 1


def test_a_choice_that_failed_and_is_made_again_stays_in_its_turn(monkeypatch):
    """A prompt that is too long is cut and sent again: the same iteration."""
    from dspy.utils.exceptions import ContextWindowExceededError  # noqa: PLC0415

    forward, calls = dspy.Predict.forward, []

    def too_long_the_third_time(self, **kwargs):
        calls.append(self)
        if len(calls) == 3:
            raise ContextWindowExceededError(message="too long")
        return forward(self, **kwargs)

    monkeypatch.setattr(dspy.Predict, "forward", too_long_the_third_time)
    script = (
        step("weather", city="Graz"),
        step("weather", city="Linz"),
        step("finish"),
        fields(reasoning="", answer="x"),
    )
    with recording() as recorded:
        assert react(*script).answer == "x"
    assert [len(_under(recorded, turn, "module react")) for turn in recorded.named("turn")] == [1, 1, 2]
    assert [turn.attributes[sc.TURN_TOOL_COUNT] for turn in recorded.named("turn")] == [1, 1, 1]
    recorded.assert_conventions()


def _under(recorded, parent, name):
    return [span for span in recorded.named(name) if span.parent.span_id == parent.context.span_id]


def test_an_agent_that_fails_ends_its_turn_with_it():
    class Broken(dspy.ReAct):
        def truncate_trajectory(self, trajectory):
            return trajectory

    with serving(step("weather", city="Graz")) as server, recording() as recorded, dspy.context(lm=model(server)):
        agent = Broken("question -> answer", tools=[weather])
        agent.tools["weather"] = _interrupt
        with pytest.raises(KeyboardInterrupt):
            agent(question="?")
    recorded.assert_tree(f"""
      invoke_agent Broken !
        turn !
          {PREDICT.format("ChatAdapter", "react")}""")
    recorded.assert_conventions()
    assert sc.END_MISSING not in recorded.attributes("turn")
    assert recorded.attributes("turn")[sc.ERROR_TYPE] == "KeyboardInterrupt"


def _interrupt(**_):
    raise KeyboardInterrupt


needs_react_v2 = pytest.mark.skipif(not hasattr(dspy, "ReActV2"), reason="this DSPy has no ReActV2")


@needs_react_v2
def test_native_tool_calls_carry_the_ids_that_the_model_gave():
    script = (
        called(("call_a", "weather", {"city": "Graz"}), ("call_b", "weather", {"city": "nowhere"})),
        called(("call_c", "unknown", {}), ("call_d", "submit", {"answer": "sun"})),
    )
    with serving(*script) as server, recording() as recorded, dspy.context(lm=model(server)):
        assert dspy.ReActV2("question -> answer", tools=[weather])(question="?").answer == "sun"
    recorded.assert_tree("""
      invoke_agent ReActV2
        turn
          module react
            format ChatAdapter
            chat gpt-4o-mini
          execute_tool weather
          execute_tool weather !
        turn
          module react
            format ChatAdapter
            chat gpt-4o-mini
          execute_tool submit""")
    recorded.assert_conventions()
    tools = [span for span in recorded.spans if span.name.startswith("execute_tool")]
    assert [span.attributes[sc.TOOL_CALL_ID] for span in tools] == ["call_a", "call_b", "call_d"]
    assert [span.attributes.get(sc.TOOL_SENTINEL) for span in tools] == [None, None, True]


@needs_react_v2
def test_an_id_that_the_model_did_not_give_is_not_invented():
    chosen = fields(next_thought="hm", tool_calls='{"tool_calls": [{"name": "submit", "args": {"answer": "x"}}]}')
    adapter = dspy.ChatAdapter(use_native_function_calling=False)
    with serving(chosen) as server, recording() as recorded, dspy.context(lm=model(server), adapter=adapter):
        assert dspy.ReActV2("question -> answer", tools=[weather])(question="?").answer == "x"
    assert sc.TOOL_CALL_ID not in recorded.attributes("execute_tool submit")


def test_a_tool_call_that_the_program_executes_is_a_span_with_its_id():
    call = dspy.ToolCalls.ToolCall(name="weather", args={"city": "Graz"})
    if not hasattr(call, "execute"):
        pytest.skip("this DSPy does not execute tool calls")
    if "id" in type(call).model_fields:
        call.id = "call_a"
    with recording() as recorded:
        assert call.execute() == "sun in Graz"  # found by its name in this very frame
        assert call.execute([dspy.Tool(weather)]) == "sun in Graz"
        assert call.execute({"weather": dspy.Tool(weather)}) == "sun in Graz"
        with pytest.raises(ValueError, match="not found"):
            dspy.ToolCalls.ToolCall(name="nothing", args={}).execute()
    assert recorded.tree().splitlines() == ["execute_tool weather"] * 3 + ["execute_tool nothing !"]
    recorded.assert_conventions()
    if "id" in type(call).model_fields:
        assert {span.attributes.get(sc.TOOL_CALL_ID) for span in recorded.named("execute_tool weather")} == {"call_a"}


def test_a_mcp_tool_is_marked_and_an_error_of_its_server_is_told_as_such():
    mcp = pytest.importorskip("mcp", reason="the mcp package is not installed")
    from mcp.server.mcpserver import MCPServer  # noqa: PLC0415

    server = MCPServer("test")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        if a < 0:
            raise ValueError("too small")
        return a + b

    async def run():
        async with mcp.Client(server) as client:
            (found,) = (await client.list_tools()).tools
            tool = dspy.Tool.from_mcp_tool(client, found)
            assert await tool.acall(a=1, b=2) == "3"
            with pytest.raises(RuntimeError, match="Failed to call a MCP tool"):
                await tool.acall(a=-1, b=2)

    import asyncio  # noqa: PLC0415

    with recording() as recorded:
        asyncio.run(run())
    recorded.assert_tree("""
        execute_tool add
        execute_tool add !
    """)
    recorded.assert_conventions()
    worked, failed = recorded.spans
    assert worked.attributes[sc.MCP_METHOD] == failed.attributes[sc.MCP_METHOD] == "tools/call"
    assert worked.attributes[sc.MCP_PROTOCOL_VERSION]
    assert worked.attributes[sc.TOOL_DESCRIPTION] == "Add two numbers."
    assert failed.attributes[sc.ERROR_TYPE] == "tool_error"


needs_local = pytest.mark.skipif(
    "dspy.primitives.local_interpreter" not in sys.modules, reason="this DSPy has no LocalInterpreter"
)


def interpreter():
    return sys.modules["dspy.primitives.local_interpreter"].LocalInterpreter()


@needs_local
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_program_of_thought_tries_again_in_a_second_turn():
    script = (
        fields(reasoning="r", generated_code="```python\n1/0\n```"),
        fields(reasoning="r", generated_code="```python\nSUBMIT({'answer': 4})\n```"),
        fields(reasoning="r", answer="4"),
    )
    with serving(*script) as server, recording() as recorded, dspy.context(lm=model(server)):
        program = dspy.ProgramOfThought("question -> answer", interpreter_factory=interpreter)
        assert program(question="?").answer == "4"
    recorded.assert_tree(f"""
      invoke_agent ProgramOfThought
        turn
          {COT.format("code_generate").replace(chr(10), chr(10) + "  ")}
          interpreter.execute LocalInterpreter !
            interpreter.startup LocalInterpreter
        turn
          {COT.format("code_regenerate").replace(chr(10), chr(10) + "  ")}
          interpreter.execute LocalInterpreter
        {COT.format("generate_output")}
        interpreter.shutdown LocalInterpreter""")
    recorded.assert_conventions()


@needs_local
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_code_act_runs_its_code_in_turns():
    script = (
        fields(generated_code="```python\nprint(weather('Graz'))\n```", finished="True"),
        fields(reasoning="r", answer="sun"),
    )
    with serving(*script) as server, recording() as recorded, dspy.context(lm=model(server)):
        program = dspy.CodeAct("question -> answer", tools=[weather], interpreter_factory=interpreter)
        assert program(question="?").answer == "sun"
    recorded.assert_tree(f"""
      invoke_agent CodeAct
        interpreter.execute LocalInterpreter
          interpreter.startup LocalInterpreter
        turn
          {PREDICT.format("ChatAdapter", "codeact")}
          interpreter.execute LocalInterpreter
        {COT.format("extractor")}
        interpreter.shutdown LocalInterpreter""")
    recorded.assert_conventions()


@needs_local
def test_rlm_asks_models_and_tools_from_its_code_and_each_iteration_is_a_turn():
    script = (
        fields(reasoning="look", code="```python\nprint(weather(city='Graz'), llm_query('say hi'))\n```"),
        Reply("hi"),
        fields(reasoning="done", code="```python\nSUBMIT(answer='sun')\n```"),
    )
    with serving(*script) as server, recording() as recorded, dspy.context(lm=model(server)):
        program = dspy.RLM("question -> answer", tools=[weather], interpreter_factory=interpreter)
        assert program(question="?").answer == "sun"
    predict = PREDICT.format("ChatAdapter", "generate_action")
    recorded.assert_tree(f"""
      invoke_agent RLM
        interpreter.execute LocalInterpreter
          interpreter.startup LocalInterpreter
        interpreter.startup LocalInterpreter
        turn
          {predict}
          interpreter.execute LocalInterpreter
            execute_tool weather
            execute_tool llm_query
              chat gpt-4o-mini
        turn
          {predict}
          interpreter.execute LocalInterpreter
        interpreter.shutdown LocalInterpreter""")
    recorded.assert_conventions()


SAVING = """
import sys
import dspy
import lmspan
from lmspan.testing import recording
from support.programs import fields, model, serving
from support.scenarios.agents import step

@lmspan.tool("fetch")
async def fetch(city):
    return f"rain in {city}"

class Desk:
    @lmspan.tool
    @classmethod
    def look(cls, city):
        return "sun"

agent = dspy.ReAct("question -> answer", tools=[fetch, Desk.look])
agent.save(sys.argv[1], save_program=True)
again = dspy.load(sys.argv[1], allow_pickle=True)
replies = step("fetch", city="Graz"), step("look", city="Graz"), step("finish"), fields(reasoning="seen", answer="sun")
with recording(instrument=()) as recorded, serving(*replies) as server:
    dspy.configure(lm=model(server), allow_tool_async_sync_conversion=True)
    print(again(question="?").answer)
print(recorded.tree())
"""


def test_a_program_with_decorated_tools_is_saved_and_loaded(tmp_path):
    done = run_python(SAVING, str(tmp_path / "agent"))
    assert (done.returncode, done.stdout) == (0, "sun\nexecute_tool fetch\nexecute_tool look\n"), done.stderr


class Weather:
    """Look up the weather."""

    def __init__(self):
        self.asked = []

    async def __call__(self, city: str, days: int = 1) -> str:
        self.asked.append((city, days))
        return f"rain in {city}"


def test_a_decorated_callable_object_is_the_same_tool():
    """The model is told of the same tool, and the module that has been decorated is still one of the program's."""
    plain, weather = Weather(), Weather()
    tools = [dspy.Tool(plain), dspy.Tool(lmspan.tool("weather")(weather))]
    assert tools[0].format_as_litellm_function_call() == tools[1].format_as_litellm_function_call()
    replies = step("Weather", city="Graz"), step("finish"), fields(reasoning="seen", answer="rain")
    with serving(*replies) as server, recording(instrument=()) as recorded:
        with dspy.context(lm=model(server), allow_tool_async_sync_conversion=True):
            dspy.ReAct("question -> answer", tools=[tools[1]])(question="?")
    assert (plain.asked, weather.asked) == ([], [("Graz", 1)])
    recorded.assert_tree("execute_tool weather")


def test_a_decorated_module_is_still_a_part_of_its_program():
    class Program(dspy.Module):
        def __init__(self):
            super().__init__()
            self.ask = lmspan.module("ask")(dspy.Predict("question -> answer"))

        def forward(self, question):
            return self.ask(question=question)

    program = Program()
    again = program.deepcopy()
    assert [name for name, _ in again.named_predictors()] == ["ask"]
    assert again.dump_state() == program.dump_state()
    with serving(fields(answer="rain")) as server, recording(instrument=()) as recorded:
        with dspy.context(lm=model(server)):
            assert (program(question="?").answer, again(question="?").answer) == ("rain", "rain")
    recorded.assert_tree("module ask\nmodule ask")


def test_the_exception_of_a_tool_and_of_a_model_name_the_line_of_the_program():
    with recording() as recorded:
        react(step("weather", city="nowhere"), step("finish"), fields(reasoning="", answer="x"))
    ((_, facts),) = [each for each in recorded.events("execute_tool weather") if each[0] == sc.EVENT_EXCEPTION]
    assert (facts[sc.CODE_FILE_PATH], facts[sc.CODE_FUNCTION_NAME]) == (__file__, f"{__name__}.weather")
    with serving(Reply(status=400)) as server, recording() as recorded, dspy.context(lm=model(server)):
        with pytest.raises(Exception):  # noqa: B017, PT011 - of another class in each version
            dspy.Predict("question -> answer")(question="?")
    events = recorded.events("chat gpt-4o-mini")
    (facts,) = [each for name, each in events if name == sc.EVENT_INFERENCE_EXCEPTION]
    assert facts[sc.CODE_FUNCTION_NAME] == (
        f"{__name__}.test_the_exception_of_a_tool_and_of_a_model_name_the_line_of_the_program"
    )
