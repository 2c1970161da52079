"""LLMProc programs do the same with and without us: what they return, what they remember, what they send."""

import asyncio
import logging

import pytest
from llmproc.common.access_control import AccessLevel

from lmspan.demo.server import Reply
from lmspan.testing import recording
from support.llmproc import MODEL, asking, program, weather
from support.wires import called, serving

LOOK = called(("toolu_1", "weather", {"city": "Graz"}), text="Let me look.")
SUN = Reply("sun")
BROKEN = Reply(status=500)

# the program, what it is answered, and how many requests there are
PROGRAMS = {
    "a question": (lambda: program(), [SUN], 1),
    "a tool": (lambda: program(weather), [LOOK, SUN], 2),
    "a tool that fails": (lambda: program(weather), [called(("t", "weather", {"city": "nowhere"})), SUN], 2),
    "a tool without its argument": (lambda: program(weather), [called(("t", "weather", {})), SUN], 2),
    "an unknown tool": (lambda: program(weather), [called(("t", "missing", {})), SUN], 2),
    "stderr": (lambda: program("write_stderr"), [called(("t", "write_stderr", {"message": "hm"})), SUN], 2),
    "a jump": (lambda: program("goto"), [called(("t", "goto", {"position": "msg_0", "message": "m"})), SUN], 2),
    "a fork": (lambda: program("fork"), [called(("t", "fork", {"prompts": ["a", "b"]})), SUN], 2),
    "a spawn": (
        lambda: program("spawn", linked_programs={"scout": program(display_name="scout")}),
        [called(("t", "spawn", {"prompt": "Look", "program_name": "scout"})), SUN],
        3,
    ),
    "retries": (lambda: program(), [BROKEN, BROKEN, BROKEN, BROKEN, SUN], 5),
    "retries in vain": (lambda: program(), [BROKEN], 6),
    "garbage": (lambda: program(), [Reply(garbage="<html>")], 1),
    "max iterations": (lambda: program(weather, max_iterations=2), [LOOK], 2),
    "no words": (lambda: program(), [Reply("")], 1),
    "large answers are paged": (
        lambda: program(weather, "read_fd", file_descriptor={"enabled": True, "max_direct_output_chars": 5}),
        [LOOK, SUN],
        2,
    ),
    "OpenAI": (lambda: program(provider="openai", model="gpt-4o-mini"), [BROKEN, SUN], 2),
    "OpenAI with tools": (lambda: program(weather, provider="openai", model="gpt-4o-mini"), [SUN], 0),
    "OpenAI in vain": (lambda: program(provider="openai", model="gpt-4o-mini"), [Reply(status=400)], 1),
    "Gemini": (lambda: program(provider="gemini", model="gemini-2.5-pro"), [SUN], 1),
    "Gemini in vain": (lambda: program(provider="gemini", model="gemini-2.5-pro"), [Reply(status=429)], 1),
}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    for client in ("anthropic", "openai"):
        monkeypatch.setattr(f"{client}._base_client.BaseClient._calculate_retry_timeout", lambda *_: 0.0)


def outcome(result):
    """What a run gave, but for times and what has them."""
    infos = [{key: str(info.get(key)) for key in ("model", "usage", "request")} for info in result.api_call_infos]
    return result.last_message, result.stop_reason, result.tool_calls, infos, result.usd_cost, result.total_tokens


def execute(make, replies, how):
    """Run a program; give what came of it, what its process remembers, and what was asked of the server."""
    with serving(*replies) as server, asking(server, LLMPROC_RETRY_MAX_ATTEMPTS="2"):
        if how == "sync":
            process = make().start_sync()
            call = lambda: process.run("Weather?")  # noqa: E731
        else:
            process = asyncio.run(make().start())
            process._set_loop(None, None)
            call = lambda: asyncio.run(process.run("Weather?"))  # noqa: E731
        try:
            came = outcome(call())
        except Exception as error:  # noqa: BLE001 - whatever a program raises
            came = type(error), str(error).replace(str(server.address), "")
        process.close() if how == "sync" else asyncio.run(process.aclose())
        asked = [(each.path, each.request) for each in server.exchanges]
    return came, str(process.state), process.stderr_log, process.access_level, asked


def said_by_llmproc(caplog):
    return [record.getMessage() for record in caplog.records if record.name.startswith("llmproc")]


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_does_the_same_with_and_without_us(name, how, caplog):
    make, replies, requests = PROGRAMS[name]
    caplog.set_level(logging.WARNING, "llmproc")
    with recording(instrument=()):
        without = execute(make, replies, how)
    logged = said_by_llmproc(caplog)
    caplog.clear()
    with recording(instrument=("llmproc",)) as recorded:
        assert execute(make, replies, how) == without
    assert said_by_llmproc(caplog) == logged
    assert len(without[-1]) == requests
    recorded.assert_conventions()
    assert len(recorded.roots()) == len(recorded.trace_ids()) == 1
    assert recorded.spans[0].name == "invoke_agent helper"


def test_what_a_reader_may_not_do_it_may_not_do_with_us_either():
    made = program("goto", "fork")

    async def ask():
        with serving(called(("t", "fork", {"prompts": ["a"]})), SUN) as server, asking(server):
            process = await made.start(access_level=AccessLevel.READ)
            return (await process.run("Fork!")).last_message, str(process.state)

    with recording(instrument=("llmproc",)) as recorded:
        recorded_run = asyncio.run(ask())
    assert recorded_run == asyncio.run(ask())
    assert [span.name for span in recorded.spans] == [
        "invoke_agent helper", "turn", f"chat {MODEL}", "execute_tool fork", "turn", f"chat {MODEL}",
    ]  # fmt: skip
