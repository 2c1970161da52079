"""The guide to adding a library shows an instrumentor that works: it records a program as one whole trace."""

import importlib
import sys
from pathlib import Path

import pytest

from lmspan import instrumentation
from lmspan.testing import recording

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "library"
PAGE = (ROOT / "docs" / "how-to" / "add-a-library.md").read_text()
USAGE = {"prompt_tokens": 12, "completion_tokens": 3}
WANTED = {"id": "c1", "function": {"name": "weather", "arguments": {"city": "Graz"}}}
QUESTION = '{"role":"user","parts":[{"type":"text","content":"How is the weather in Graz?"}]}'
CALL = '{"type":"tool_call","id":"c1","name":"weather","arguments":{"city":"Graz"}}'
RESULT = '{"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"sun in Graz"}]}'
ANSWER = '{"role":"assistant","parts":[{"type":"text","content":"It is sunny."}],"finish_reason":"stop"}'


@pytest.fixture
def smallagent(monkeypatch):
    """The library, importable, and with its line in LIBRARIES."""
    monkeypatch.syspath_prepend(EXAMPLE)
    row = instrumentation.Library(("smallagent",), "instrumentor", "SmallAgentInstrumentor")
    monkeypatch.setitem(instrumentation.LIBRARIES, "smallagent", row)
    yield importlib.import_module("smallagent")
    for name in ("smallagent", "instrumentor"):
        sys.modules.pop(name, None)


def asked(smallagent, weather):
    model = smallagent.Model(
        "small-1",
        [
            {
                "tool_calls": [{"id": "c1", "function": {"name": "weather", "arguments": {"city": "Graz"}}}],
                "usage": USAGE,
            },
            {"text": "It is sunny.", "usage": USAGE},
        ],
    )
    agent = smallagent.Agent("helper", model, [smallagent.Tool("weather", weather, "Look up the weather.")])
    return agent.ask("How is the weather in Graz?")


def test_the_example_records_a_program_as_one_whole_trace(smallagent):
    with recording(instrument=("smallagent",)) as recorded:
        assert asked(smallagent, lambda city: f"sun in {city}") == "It is sunny."
    recorded.assert_tree("""
        invoke_agent helper
          chat small-1
          execute_tool weather
          chat small-1
    """)
    recorded.assert_conventions()
    assert recorded.attributes("execute_tool weather") == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.call.arguments": '{"city":"Graz"}',
        "gen_ai.tool.call.result": '{"result":"sun in Graz"}',
        "gen_ai.tool.description": "Look up the weather.",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.type": "function",
        "lmspan.call.id": "0000000000000003",
        "lmspan.call.parent_id": "0000000000000001",
        "lmspan.source": "smallagent",
    }
    chat = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "smallagent",
        "gen_ai.request.model": "small-1",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "lmspan.call.parent_id": "0000000000000001",
        "lmspan.source": "smallagent",
    }
    assert [dict(span.attributes) for span in recorded.named("chat small-1")] == [
        {
            **chat,
            "gen_ai.input.messages": f"[{QUESTION}]",
            "gen_ai.output.messages": f'[{{"role":"assistant","parts":[{CALL}],"finish_reason":"stop"}}]',
            "lmspan.call.id": "0000000000000002",
        },
        {
            **chat,
            "gen_ai.input.messages": f"[{QUESTION},{RESULT}]",
            "gen_ai.output.messages": f"[{ANSWER}]",
            "lmspan.call.id": "0000000000000004",
        },
    ]
    assert recorded.attributes("invoke_agent helper") == {
        "gen_ai.agent.name": "helper",
        "gen_ai.input.messages": f"[{QUESTION}]",
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.output.messages": f"[{ANSWER}]",
        "lmspan.call.id": "0000000000000001",
        "lmspan.source": "smallagent",
    }
    assert recorded.totals("invoke_agent helper") == {
        "cost.unknown_calls": 2,
        "errors": 0,
        "input_tokens": 24,
        "llm_calls": 2,
        "nodes": 4,
        "orphans": 0,
        "output_tokens": 6,
        "tool_calls": 1,
    }


def test_an_exception_of_the_program_passes_as_the_same_object(smallagent):
    error = LookupError("no such city")

    def weather(city):
        raise error

    with recording(instrument=("smallagent",)) as recorded, pytest.raises(LookupError) as raised:
        asked(smallagent, weather)
    assert raised.value is error
    recorded.assert_tree("""
        invoke_agent helper !
          chat small-1
          execute_tool weather !
    """)
    recorded.assert_conventions()


def test_nothing_stays_on_the_library(smallagent):
    before = dict(vars(smallagent.Agent))
    with recording(instrument=("smallagent",)):
        assert vars(smallagent.Agent)["ask"] is not before["ask"]
    assert dict(vars(smallagent.Agent)) == before


@pytest.mark.parametrize("name", ["smallagent", "instrumentor"])
def test_the_guide_shows_the_example(name):
    assert (EXAMPLE / f"{name}.py").read_text() in PAGE
