"""Several LLMProc processes: of one program at once, sync and async, on other loops, forked and spawned."""

import asyncio
import json
import logging

import pytest
from llmproc.common.access_control import AccessLevel
from llmproc.common.results import ToolResult
from llmproc.llm_process import LLMProcess

import lmspan
from lmspan import semconv as sc
from lmspan.demo.server import Reply
from lmspan.instrumentation.llmproc import LLMProcInstrumentor
from lmspan.testing import recording
from support.llmproc import MODEL, asking, program, weather
from support.wires import WireServer, called, serving

LOOK = called(("toolu_1", "weather", {"city": "Graz"}))
SUN = Reply("sun")
RUN = f"""invoke_agent helper
  turn
    chat {MODEL}
    execute_tool weather
  turn
    chat {MODEL}"""


def by_question(**answers):
    """A script that answers by a word of the first message."""

    def script(request):
        text = json.dumps(request["messages"])
        whose = next(word for word in answers if word in text)
        said = answers[whose]
        return said[min(len(request["messages"]) // 2, len(said) - 1)]

    return WireServer(script)


async def test_several_processes_of_one_program_at_once():
    """They share tools, access level and runtime context: who writes is known by where it is written."""

    def write(word):
        return called((f"toolu_{word}", "write_stderr", {"message": f"from {word}"}))

    answers = {word: (write(word), Reply(f"done {word}")) for word in ("alpha", "beta", "gamma")}
    with by_question(**answers) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        made = program("write_stderr")
        processes = [await made.start() for _ in answers]
        await asyncio.gather(*(each.run(word) for each, word in zip(processes, answers, strict=True)))
    recorded.assert_conventions()
    one = RUN.replace("weather", "write_stderr")
    recorded.assert_tree("\n".join([one] * 3), ordered=False)
    for agent in recorded.named("invoke_agent helper"):
        word = json.loads(agent.attributes[sc.INPUT_MESSAGES])[0]["parts"][0]["content"]
        tools = recorded.named("execute_tool write_stderr")
        (tool,) = [span for span in tools if span.context.trace_id == agent.context.trace_id]
        assert tool.attributes[sc.TOOL_CALL_ID] == f"toolu_{word}"
        assert tool.events[0].attributes[sc.STDERR_TEXT] == f"from {word}"
        assert json.loads(agent.attributes[sc.OUTPUT_MESSAGES])[0]["parts"][0]["content"] == f"done {word}"


async def test_two_runs_of_one_process_at_once_are_two_trees():
    with serving(SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        process = await program().start()
        await asyncio.gather(process.run("one"), process.run("two"))
    recorded.assert_conventions()
    recorded.assert_tree("\n".join([f"invoke_agent helper\n  turn\n    chat {MODEL}"] * 2))


def test_a_sync_process():
    with serving(LOOK, SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        process = program(weather).start_sync()
        assert process.run("Weather?").stop_reason == "end_turn"
        process.close()
    recorded.assert_tree(RUN)
    recorded.assert_conventions()


async def test_a_sync_process_in_a_thread_of_an_async_program():
    def ask():
        process = program(weather).start_sync()
        try:
            return process.run("Weather?")
        finally:
            process.close()

    with serving(LOOK, SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        with lmspan.operation("module", "outer"):
            await asyncio.to_thread(ask)
    recorded.assert_tree("module outer\n" + "\n".join(f"  {line}" for line in RUN.splitlines()))


async def test_a_process_that_runs_on_a_loop_of_its_own():
    with serving(LOOK, SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        process = await program(weather).start()
        process._set_loop(None, None)
        with lmspan.operation("module", "outer"):
            await process.run("Weather?")
        await process.aclose()
    recorded.assert_tree("module outer\n" + "\n".join(f"  {line}" for line in RUN.splitlines()))


async def test_a_spawned_process_is_under_the_tool_that_spawned_it():
    spawn = called(("toolu_1", "spawn", {"prompt": "Look", "program_name": "scout"}))
    made = program("spawn", linked_programs={"scout": program(weather, display_name="scout")})
    with serving(spawn, LOOK, SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        await (await made.start()).run("Weather?")
    recorded.assert_conventions()
    recorded.assert_tree(f"""
      invoke_agent helper
        turn
          chat {MODEL}
          execute_tool spawn
            invoke_agent scout
              turn
                chat {MODEL}
                execute_tool weather
              turn
                chat {MODEL}
        turn
          chat {MODEL}""")
    assert len(recorded.trace_ids()) == 1
    assert recorded.totals("invoke_agent helper")["llm_calls"] == 4
    assert recorded.totals("invoke_agent scout")["llm_calls"] == 2
    assert recorded.attributes("invoke_agent scout")[sc.AGENT_ACCESS_LEVEL] == "write"


async def test_forked_processes_are_under_the_tool_that_forked_them_and_fail_as_llmproc_has_them_fail():
    """In LLMProc 0.9.5 a forked child fails at its first turn; its parent goes on."""
    fork = called(("toolu_1", "fork", {"prompts": ["one", "two"]}))
    with serving(fork, SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        result = await (await program("fork").start()).run("Do both.")
    assert result.stop_reason == "end_turn"
    recorded.assert_conventions()
    recorded.assert_tree(f"""
      invoke_agent helper
        turn
          chat {MODEL}
          execute_tool fork
            invoke_agent helper !
              turn !
            invoke_agent helper !
              turn !
        turn
          chat {MODEL}""")
    assert len(recorded.trace_ids()) == 1
    assert recorded.spans[0].attributes["lmspan.total.errors"] == 2


async def test_a_process_forked_by_the_program_runs_in_a_trace_of_its_own():
    with serving(SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        parent = await program().start()
        await parent.run("Remember this.")
        child = await parent._fork_process(AccessLevel.WRITE)
        await child.run("And now?")
    recorded.assert_conventions()
    recorded.assert_tree("\n".join([f"invoke_agent helper\n  turn\n    chat {MODEL}"] * 2))
    first, second = recorded.named("invoke_agent helper")
    assert sc.AGENT_FORKED_FROM not in first.attributes
    assert second.attributes[sc.AGENT_FORKED_FROM] == first.attributes[sc.CALL_ID]
    (link,) = second.links
    assert (link.context, dict(link.attributes)) == (first.context, {sc.LINK_TYPE: "fork"})


# The patches -------------------------------------------------------------------------------------------------------


async def test_instrumented_twice_is_told_once_and_after_uninstrument_nothing_is_left():
    before = {name: vars(LLMProcess)[name] for name in ("_async_run", "call_tool", "trigger_event")}
    made = vars(ToolResult)["from_error"]
    instrumentor = LLMProcInstrumentor()
    with serving(LOOK, SUN) as server, asking(server):
        with recording(instrument=("llmproc",)) as recorded:
            instrumentor.instrument()
            await (await program(weather).start()).run("Weather?")
        recorded.assert_tree(RUN)
        assert {name: vars(LLMProcess)[name] for name in before} == before
        assert vars(ToolResult)["from_error"] is made
        with recording(instrument=()) as recorded:
            await (await program(weather).start()).run("Weather?")
        assert recorded.spans == []


@pytest.mark.parametrize("on", [True, False])
async def test_a_recorder_that_sleeps_records_nothing(on):
    with serving(LOOK, SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        lmspan.enable() if on else lmspan.disable()
        try:
            await (await program(weather).start()).run("Weather?")
        finally:
            lmspan.enable()
    assert len(recorded.spans) == 6 * on


def test_another_version_is_said_once(caplog):
    instrumentor = LLMProcInstrumentor()
    with caplog.at_level(logging.WARNING, "lmspan"):
        instrumentor.patch(type("llmproc", (), {"__version__": "1.0.0"}))
        instrumentor.patches.restore()
    assert [record.getMessage() for record in caplog.records] == [
        "lmspan: LLMProc 1.0.0 was not tested (0.9.5 was); what it still announces is recorded"
    ]
