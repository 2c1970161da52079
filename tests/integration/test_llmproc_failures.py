"""What goes wrong in LLMProc programs: every attempt is told, every span ended, the program's error its own."""

import asyncio
import textwrap
import threading
import traceback
from types import SimpleNamespace

import anthropic
import openai
import pytest
from google import genai

import lmspan
from lmspan import semconv as sc
from lmspan.demo.server import Reply
from lmspan.testing import recording
from support.llmproc import MODEL, asking, program, weather
from support.processes import run_python
from support.wires import KEY, WireServer, called, serving, tokens

TRIES = "LLMPROC_RETRY_MAX_ATTEMPTS"
LOOK = called(("toolu_1", "weather", {"city": "Graz"}), usage=tokens(30, 7))
SUN = Reply("sun", usage=tokens(40, 5))
ERRORS = f"""
  invoke_agent helper !
    turn !
      chat {MODEL} !"""


@pytest.fixture(autouse=True)
def nobody_stays(monkeypatch):
    for client in ("anthropic", "openai"):  # the wait of a client between its attempts
        monkeypatch.setattr(f"{client}._base_client.BaseClient._calculate_retry_timeout", lambda *_: 0.0)
    yield
    lmspan.unsubscribe_all()


async def fails(made, *replies, kind=Exception, tries="1", **settings):
    """Run a program that fails; give what was recorded and the error."""
    with serving(*replies) as server, asking(server, **{TRIES: tries}), recording(instrument=("llmproc",)) as recorded:
        process = await made.start()
        with pytest.raises(kind) as raised:
            await process.run("Weather?", **settings)
    recorded.assert_conventions()
    return recorded, raised.value


def retries(recorded, name=f"chat {MODEL}"):
    return [
        (facts[sc.RETRY_ATTEMPT], facts[sc.ERROR_TYPE])
        for event, facts in recorded.events(name)
        if event == "lmspan.lm.retry"
    ]


async def test_attempts_of_the_client_and_of_llmproc_are_numbered_through():
    limit, broken = Reply(status=429), Reply(status=500)
    with serving(limit, broken, limit, broken, SUN) as server, asking(server):
        with recording(instrument=("llmproc",)) as recorded:
            process = await program().start()
            assert (await process.run("Weather?")).api_calls == 1
    recorded.assert_conventions()
    recorded.assert_tree(ERRORS.replace(" !", ""))
    assert retries(recorded) == [(1, "429"), (2, "500"), (3, "anthropic.RateLimitError"), (4, "500")]
    assert recorded.attributes(f"chat {MODEL}")[sc.ATTEMPT_COUNT] == len(server.exchanges) == 5


async def test_attempts_that_all_fail():
    recorded, error = await fails(program(), Reply("slow down", status=429), tries="2", kind=anthropic.RateLimitError)
    recorded.assert_tree(ERRORS)
    chat = recorded.attributes(f"chat {MODEL}")
    assert (chat[sc.ATTEMPT_COUNT], chat[sc.ERROR_TYPE]) == (6, "anthropic.RateLimitError")
    assert [number for number, _ in retries(recorded)] == [1, 2, 3, 4, 5, 6]
    assert recorded.totals("invoke_agent helper")["errors"] == 1
    assert [event for event, _ in recorded.events(f"chat {MODEL}")][-1] == "gen_ai.client.operation.exception"
    assert recorded.events("turn") == recorded.events("invoke_agent helper") == []
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    assert [name for name in files if "/instrumentation/" in name] == []


async def test_openais_client_tries_again_too():
    with serving(Reply(status=500), Reply(status=429), SUN) as server, asking(server):
        with recording(instrument=("llmproc",)) as recorded:
            await (await program(provider="openai", model="gpt-4o-mini").start()).run("Weather?")
    recorded.assert_conventions()
    assert retries(recorded, "chat gpt-4o-mini") == [(1, "500"), (2, "429")]
    assert recorded.attributes("chat gpt-4o-mini")[sc.ATTEMPT_COUNT] == 3


async def test_openais_client_tries_in_vain():
    made = program(provider="openai", model="gpt-4o-mini")
    recorded, _ = await fails(made, Reply(status=500), kind=openai.InternalServerError)
    assert retries(recorded, "chat gpt-4o-mini") == [(1, "500"), (2, "500"), (3, "openai.InternalServerError")]


async def test_geminis_client_tries_again_where_it_is_told_to():
    made = program(provider="gemini", model="gemini-2.5-pro")
    with serving(Reply(status=503), Reply(status=503), SUN) as server, asking(server):
        with recording(instrument=("llmproc",)) as recorded:
            process = await made.start()
            again = {"attempts": 3, "initial_delay": 0.0, "max_delay": 0.0, "jitter": 0.0}
            options = {"base_url": server.address, "retry_options": again}
            process.client = genai.client.Client(api_key=KEY, http_options=options)
            await process.run("Weather?")
    recorded.assert_conventions()
    assert retries(recorded, "generate_content gemini-2.5-pro") == [
        (1, "google.genai.errors.ServerError"),
        (2, "google.genai.errors.ServerError"),
    ]
    assert recorded.attributes("generate_content gemini-2.5-pro")[sc.ATTEMPT_COUNT] == 3


async def test_a_client_of_the_programs_own_is_counted_too():
    class Messages:
        def __init__(self):
            self.asked = []

        async def create(self, **request):
            self.asked.append(request)
            if len(self.asked) == 1:
                raise anthropic.APIConnectionError(request=None)
            return SimpleNamespace(content=[], stop_reason="end_turn", usage={}, id="m")

    own = SimpleNamespace(messages=Messages())
    with serving(SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        process = await program().start()
        process.client = own
        await process.run("Weather?")
    recorded.assert_conventions()
    assert retries(recorded) == [(1, "anthropic.APIConnectionError")]
    assert server.exchanges == []


def test_anthropics_client_makes_no_span_of_its_own_below_ours():
    """Its own spans go to the provider of the process, so this is a process of its own; LLMProc is imported late."""
    done = run_python("""
        import asyncio, lmspan
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        spans = InMemorySpanExporter()
        session = lmspan.init("test", exporters=[SimpleSpanProcessor(spans)], instrument=["llmproc"])
        from lmspan.demo.server import Reply
        from support.llmproc import asking, program
        from support.wires import serving

        async def main():
            process = await program().start()
            await process.run("Weather?")
            await process.client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])

        with session, serving(Reply(status=500), Reply("sun")) as server, asking(server):
            asyncio.run(main())
        finished = spans.get_finished_spans()
        print(*(span.name for span in finished), sep=", ")
        print(finished[0].attributes["lmspan.lm.attempt_count"])
    """)
    assert done.stdout.splitlines() == [
        "chat claude-sonnet-4-5, turn, invoke_agent helper, anthropic.messages.create", "2",
    ], done.stderr  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "model", "reply", "kind", "told"),
    [
        ("anthropic", MODEL, Reply(status=400), anthropic.BadRequestError, "anthropic.BadRequestError"),
        ("anthropic", MODEL, Reply("x" * 9999, cut=True), anthropic.APIConnectionError, "anthropic.APIConnectionError"),
        ("anthropic", MODEL, Reply(garbage="<html>"), Exception, None),
        ("openai", "gpt-4o-mini", Reply(status=400), openai.BadRequestError, "openai.BadRequestError"),
        ("openai", "gpt-4o-mini", Reply(garbage="<html>"), Exception, None),
        ("openai", "gpt-4o-mini", Reply("x" * 9999, cut=True), openai.APIConnectionError, "openai.APIConnectionError"),
        ("gemini", "gemini-2.5-pro", Reply(status=429), ValueError, "google.genai.errors.ClientError"),
        ("gemini", "gemini-2.5-pro", Reply(status=500), ValueError, "google.genai.errors.ServerError"),
        ("gemini", "gemini-2.5-pro", Reply(garbage="<html>"), Exception, None),
    ],
)
async def test_requests_that_fail_end_their_spans(provider, model, reply, kind, told):
    recorded, error = await fails(program(provider=provider, model=model), reply, kind=kind)
    name = f"{'generate_content' if provider == 'gemini' else 'chat'} {model}"
    recorded.assert_tree(ERRORS.replace(f"chat {MODEL}", name))
    raised = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    assert recorded.attributes(name)[sc.ERROR_TYPE] == (told or raised)
    assert recorded.attributes("invoke_agent helper")[sc.ERROR_TYPE] == raised


async def test_an_empty_question_is_an_error_of_the_run():
    with serving(SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        process = await program().start()
        with pytest.raises(ValueError, match="cannot be empty"):
            await process.run(" ")
    recorded.assert_tree("invoke_agent helper !")
    recorded.assert_conventions()


async def test_tools_of_openai_are_refused_by_llmproc():
    recorded, _ = await fails(program(weather, provider="openai", model="gpt-4o-mini"), SUN, kind=ValueError)
    recorded.assert_tree("invoke_agent helper !")


async def test_a_cancelled_run_ends_all_its_spans():
    asked, gone = threading.Event(), threading.Event()

    def script(request):
        asked.set()
        gone.wait(10)
        return SUN

    with WireServer(script) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        task = asyncio.create_task((await program().start()).run("Weather?"))
        await asyncio.to_thread(asked.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gone.set()
    recorded.assert_conventions()
    recorded.assert_tree(ERRORS)
    assert {span.attributes[sc.ERROR_TYPE] for span in recorded.spans} == {"asyncio.exceptions.CancelledError"}


async def test_a_cancelled_tool():
    started = asyncio.Event()

    async def wait() -> str:
        """Wait for ever."""
        started.set()
        await asyncio.Event().wait()

    with (
        serving(called(("toolu_1", "wait", {}))) as server,
        asking(server),
        recording(instrument=("llmproc",)) as recorded,
    ):
        task = asyncio.create_task((await program(wait).start()).run("Wait!"))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    recorded.assert_conventions()
    recorded.assert_tree(f"""
      invoke_agent helper !
        turn !
          chat {MODEL}
          execute_tool wait !""")


async def test_a_base_exception_of_a_process_callback_passes_and_ends_the_spans():
    class Out(BaseException):
        pass

    stop = Out("enough")

    def callback(event, *args):
        if event.value == "api_request":
            raise stop

    with serving(SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        process = await program().start()
        process.add_callback(callback)
        with pytest.raises(Out) as raised:
            await process.run("Weather?")
    assert raised.value is stop
    recorded.assert_conventions()
    recorded.assert_tree(ERRORS)


# Stops -------------------------------------------------------------------------------------------------------------


def monitor(limit):
    class CostMonitoringCallback:
        """As LLMProc's documentation has it; there it stops nothing."""

        def turn_start(self, process, run_result=None):
            if run_result and run_result.usd_cost > limit:
                raise Exception(f"Cost exceeds limit ${limit:.4f}")  # noqa: TRY002 - the document's

    return CostMonitoringCallback()


async def test_the_documented_cost_limit_stops_a_run():
    lmspan.subscribe(monitor(0.0001), on_error="stop")
    with serving(LOOK) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        process = await program(weather).start()
        with pytest.raises(lmspan.StopRun) as stopped:
            await process.run("Weather?")
    assert len(server.exchanges) == 1
    assert str(stopped.value.__cause__) == "Cost exceeds limit $0.0001"
    recorded.assert_conventions()
    recorded.assert_tree(f"""
      invoke_agent helper !
        turn
          chat {MODEL}
          execute_tool weather
        turn !""")
    assert recorded.attributes("invoke_agent helper")[sc.STOP_REASON].startswith("CostMonitoringCallback.turn_start")


@pytest.mark.parametrize("way", ["async", "sync", "another loop"])
def test_a_budget_stops_a_run_at_the_next_lm_call(way):
    lmspan.subscribe(lmspan.Budget(max_lm_calls=2))
    with serving(LOOK) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        with pytest.raises(lmspan.StopRun, match="the budget of 2 LM calls is spent"):
            _run(way)
    assert len(server.exchanges) == 2
    recorded.assert_conventions()
    recorded.assert_tree(f"""
      invoke_agent helper !
        turn
          chat {MODEL}
          execute_tool weather
        turn
          chat {MODEL}
          execute_tool weather
        turn !
          chat {MODEL} !""")
    assert recorded.attributes("invoke_agent helper")[sc.STOP_REASON] == "the budget of 2 LM calls is spent"


def _run(way):
    if way == "sync":
        process = program(weather).start_sync()
        try:
            return process.run("Weather?")
        finally:
            process.close()
    if way == "async":
        return asyncio.run(_start_and_run())
    process = asyncio.run(program(weather).start())
    process._set_loop(None, None)  # it makes one of its own, on a thread
    try:
        return asyncio.run(process.run("Weather?"))
    finally:
        asyncio.run(process.aclose())


async def _start_and_run():
    return await (await program(weather).start()).run("Weather?")


async def test_a_stop_in_a_spawned_process_stops_its_parent_too():
    spawn = called(("toolu_1", "spawn", {"prompt": "Look", "program_name": "scout"}))
    scout = program(weather, display_name="scout")
    made = program("spawn", linked_programs={"scout": scout})
    lmspan.subscribe(lmspan.Budget(max_lm_calls=2))
    with serving(spawn, LOOK) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        with pytest.raises(lmspan.StopRun):
            await (await made.start()).run("Weather?")
    recorded.assert_conventions()
    recorded.assert_tree(f"""
      invoke_agent helper !
        turn !
          chat {MODEL}
          execute_tool spawn !
            invoke_agent scout !
              turn
                chat {MODEL}
                execute_tool weather
              turn !
                chat {MODEL} !""")


async def test_a_stop_in_a_forked_process_stops_its_parent_too():
    class NoChildren:
        def __init__(self):
            self.first = None

        def turn_start(self, process):
            self.first = self.first or process
            if process is not self.first:
                raise lmspan.StopRun("no children")

    lmspan.subscribe(NoChildren())
    ask = called(("toolu_1", "fork", {"prompts": ["one", "two"]}))
    with serving(ask) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        with pytest.raises(lmspan.StopRun, match="no children"):
            await (await program("fork").start()).run("Do both.")
        await asyncio.sleep(0)
    assert len(server.exchanges) == 1
    recorded.assert_conventions()
    assert recorded.tree().startswith(
        textwrap.dedent(f"""
      invoke_agent helper !
        turn !
          chat {MODEL}
          execute_tool fork !
            invoke_agent helper !
              turn !""").lstrip()
    )
    assert recorded.spans[0].attributes[sc.STOP_REASON] == "no children"


async def test_an_answer_that_resists_being_looked_at_ends_its_span_all_the_same():
    class Answer:
        """What LLMProc asks for, and nothing else."""

        content = ()
        stop_reason = "end_turn"
        usage = None
        id = "m"

        def __getattr__(self, name):
            raise RuntimeError(name)

    class Messages:
        async def create(self, **request):
            return Answer()

    with serving(SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        process = await program().start()
        process.client = SimpleNamespace(messages=Messages())
        assert (await process.run("Weather?")).stop_reason == "end_turn"
    recorded.assert_conventions()
    recorded.assert_tree(f"""
      invoke_agent helper
        turn
          chat {MODEL}""")


async def test_a_count_that_llmproc_stumbles_over_is_no_stumble_of_ours():
    usage = {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": None}
    recorded, _ = await fails(program(), Reply("sun", usage=usage), kind=TypeError)
    recorded.assert_tree(f"""
      invoke_agent helper !
        turn !
          chat {MODEL}""")
    chat = recorded.attributes(f"chat {MODEL}")
    assert (chat[sc.USAGE_INPUT_TOKENS], chat[sc.COST_AMOUNT]) == (3, pytest.approx((3 * 3 + 2 * 15) / 1e6))
    assert sc.USAGE_CACHE_READ_TOKENS not in chat
