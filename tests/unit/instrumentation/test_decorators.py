"""Plain Python as a source: functions, coroutines, generators; the operation context; events."""

import asyncio
import gc
import json
import traceback

import pytest
from opentelemetry import trace

import lmspan
from lmspan import semconv as sc
from lmspan.recording import recorder
from lmspan.testing import recording


@pytest.fixture
def recorded():
    with recording(instrument=()) as it:
        yield it


@lmspan.tool
def double(x, *, times=1):
    return 2 * x * times


@lmspan.tool(name="later")
async def double_later(x):
    await asyncio.sleep(0)
    return 2 * x


@lmspan.module
def stream(count):
    for index in range(count):
        double(index)
        yield index
    return "done"


@lmspan.module
async def astream(count):
    for index in range(count):
        await double_later(index)
        yield index


def test_a_function_is_a_span_with_its_arguments_and_result(recorded):
    assert double(3, times=2) == 12
    recorded.assert_tree("execute_tool double")
    recorded.assert_conventions()
    assert recorded.attributes("execute_tool double") == {
        sc.SOURCE: "python",
        sc.CALL_ID: "0000000000000001",
        sc.OPERATION_NAME: "execute_tool",
        sc.TOOL_NAME: "double",
        sc.TOOL_TYPE: "function",
        sc.TOOL_CALL_ARGUMENTS: '{"x":3,"times":2}',
        sc.TOOL_CALL_RESULT: '{"result":12}',
    }


async def test_coroutines_in_gather_keep_their_parent(recorded):
    @lmspan.agent
    async def crew():
        return await asyncio.gather(double_later(1), double_later(2))

    assert await crew() == [2, 4]
    recorded.assert_tree("""
        invoke_agent crew
          execute_tool later
          execute_tool later
    """)
    recorded.assert_conventions()


def test_a_generator_is_one_span_over_all_its_steps(recorded):
    assert list(stream(2)) == [0, 1]
    recorded.assert_tree("""
        module stream
          execute_tool double
          execute_tool double
    """)
    assert recorded.attributes("module stream")[sc.STREAM_CHUNK_COUNT] == 2
    recorded.assert_conventions()


def test_what_the_consumer_does_between_steps_is_not_under_the_generator(recorded):
    for item in stream(1):
        double(item + 100)
    assert [span.name for span in recorded.roots()] == ["module stream", "execute_tool double"]


def test_a_generator_keeps_its_protocol(recorded):
    @lmspan.tool
    def talk():
        got = yield "first"
        try:
            got = yield got
        except ValueError as error:
            got = error
        yield got
        return "last"

    def delegate():
        return (yield from talk())

    generator, error = delegate(), ValueError()
    assert next(generator) == "first"
    assert generator.send("hello") == "hello"
    assert generator.throw(error) is error
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "last"
    recorded.assert_tree("execute_tool talk")


@pytest.mark.parametrize("leave", ["close", "drop"])
def test_a_generator_that_is_not_exhausted_ends_as_abandoned(recorded, leave):
    generator = stream(5)
    next(generator)
    if leave == "close":
        generator.close()
    del generator
    gc.collect()
    assert recorded.attributes("module stream")[sc.ERROR_TYPE] == "lmspan.errors.AbandonedStream"
    recorded.assert_conventions()
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_generator_that_was_never_advanced_is_nothing(recorded):
    stream(5).close()
    assert recorded.spans == []


async def test_async_generators_exhausted_closed_and_failing(recorded):
    assert [item async for item in astream(2)] == [0, 1]
    closing = astream(5)
    assert await anext(closing) == 0
    await closing.aclose()

    @lmspan.module
    async def broken():
        yield 1
        raise KeyError("x")

    with pytest.raises(KeyError):
        [item async for item in broken()]
    errors = [span.attributes.get(sc.ERROR_TYPE) for span in recorded.roots()]
    assert errors == [None, "lmspan.errors.AbandonedStream", "KeyError"]
    recorded.assert_conventions()


async def test_an_async_generator_may_be_finished_in_another_task(recorded, caplog):
    generator = astream(3)
    assert await anext(generator) == 0

    async def finish():
        return [item async for item in generator]

    assert await asyncio.create_task(finish()) == [1, 2]
    recorded.assert_conventions()
    assert recorded.attributes("module astream")[sc.STREAM_CHUNK_COUNT] == 3
    assert caplog.records == []


def test_operation_takes_outputs_and_passes_exceptions(recorded):
    with lmspan.operation(lmspan.Operation.TOOL, "search", inputs={"q": "cats"}) as call:
        call.outputs = ["a", "b"]
    assert recorded.attributes("execute_tool search")[sc.TOOL_CALL_RESULT] == '{"result":["a","b"]}'
    error = RuntimeError("no")
    with pytest.raises(RuntimeError) as caught, lmspan.operation("turn", inputs=1):
        raise error
    assert caught.value is error
    recorded.assert_conventions()
    assert [span.name for span in recorded.spans] == ["execute_tool search", "turn"]


def test_an_exception_is_described_once_where_it_was_raised(recorded):
    @lmspan.tool
    def broken():
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"), lmspan.operation("agent", "outer"):
        broken()
    ((name, facts),) = recorded.events("execute_tool broken")
    assert name == "exception"
    first, *frames, last = facts[sc.EXCEPTION_STACKTRACE].splitlines()
    assert (first, last) == ("Traceback (most recent call last):", "ValueError: inside")
    assert frames[-1].strip() == 'raise ValueError("inside")'
    assert recorded.events("invoke_agent outer") == []
    recorded.assert_tree("""
        invoke_agent outer !
          execute_tool broken !
    """)


SAID = [{"role": "user", "parts": [{"type": "text", "content": "why?"}]}]
ANSWERED = [{"role": "assistant", "parts": [{"type": "text", "content": "because"}], "finish_reason": "stop"}]


@pytest.mark.parametrize(
    ("inputs", "messages", "rest"),
    [
        ("why?", SAID, None),
        ([{"role": "user", "content": "why?"}], SAID, None),
        ({"messages": [{"role": "user", "content": "why?"}]}, SAID, None),
        ({"prompt": "why?", "temperature": 0.5}, SAID, {"temperature": 0.5}),
        ({"question": "why?"}, None, {"question": "why?"}),
        ({"messages": ["why?"]}, None, {"messages": ["why?"]}),
        ([{"role": "user", "content": "why?"}] * 1001, None, [{"role": "user", "content": "why?"}] * 1001),
        ([], None, []),
    ],
)
@pytest.mark.parametrize("outputs", ["because", {"role": "assistant", "content": "because"}, {"text": "because"}, None])
def test_what_is_said_to_a_model_and_by_it_are_messages(inputs, messages, rest, outputs, recorded):
    given = json.dumps([inputs, outputs])
    with lmspan.operation("lm", "m", inputs=inputs) as call:
        call.outputs = outputs
    found = {
        name: json.loads(value) for name, value in recorded.attributes("chat m").items() if value[:1] in ("[", "{")
    }
    answered = {} if outputs is None else {sc.OUTPUT_MESSAGES: ANSWERED}
    if outputs == {"text": "because"}:
        answered = {sc.OPERATION_OUTPUTS: outputs}
    asked = {sc.INPUT_MESSAGES: messages, sc.OPERATION_INPUTS: rest}
    assert found == {name: value for name, value in asked.items() if value is not None} | answered
    assert json.dumps([inputs, outputs]) == given


def test_what_of_an_answer_is_no_message_is_beside_it(recorded):
    with lmspan.operation("lm", "m") as call:
        call.outputs = {"role": "assistant", "content": "so", "finish_reason": "length", "refusal": "no"}
    with lmspan.operation("lm", "n") as call:
        call.outputs = ["a", "b"]
    one, two = recorded.attributes("chat m"), recorded.attributes("chat n")
    assert json.loads(one[sc.OUTPUT_MESSAGES])[0]["finish_reason"] == "length"
    assert one[sc.OPERATION_OUTPUTS] == '{"refusal":"no"}'
    assert [each["parts"][0]["content"] for each in json.loads(two[sc.OUTPUT_MESSAGES])] == ["a", "b"]


def test_an_answer_with_no_calls_has_stopped_and_nothing_given_is_no_message(recorded):
    @lmspan.agent
    def answer():
        return {"role": "assistant", "content": "so", "tool_calls": []}

    answer()
    with lmspan.operation("lm", "m") as call:
        call.outputs = {"role": "assistant", "content": "so", "tool_calls": []}
    assert json.loads(recorded.attributes("chat m")[sc.OUTPUT_MESSAGES])[0]["finish_reason"] == "stop"
    assert sc.INPUT_MESSAGES not in recorded.attributes("invoke_agent answer")


def test_a_secret_that_is_an_agents_only_field_is_no_message(recorded):
    @lmspan.agent
    def login(password):
        return {"api_key": "hunter2"}

    login("hunter2")
    assert "hunter2" not in str(dict(recorded.one("invoke_agent login").attributes))


class Watched(str):
    """What must not be compared with anything while it is described."""

    __hash__ = str.__hash__
    compared = 0

    def __eq__(self, other):
        Watched.compared += 1
        return str.__eq__(self, other)

    def __ne__(self, other):
        Watched.compared += 1
        return str.__ne__(self, other)


def test_messages_are_found_without_running_code_of_the_programs(recorded):
    class Kind(type):
        def __eq__(cls, other):
            raise AssertionError

        __hash__ = type.__hash__

    class Odd(metaclass=Kind):
        pass

    odd = {Watched("role"): Watched("user"), Watched("messages"): [{"role": Watched("tool")}]}
    parts = [{"role": "user", "content": [{"type": Watched("text"), "text": "x"}]}]
    before = Watched.compared
    for kind in ("lm", "agent"):
        for value in (odd, [odd], Odd(), {"question": Odd()}, {"role": Odd()}, parts):
            with lmspan.operation(kind, "m", inputs=value) as call:
                call.outputs = value
    assert Watched.compared == before
    assert len(recorded.spans) == 12
    assert all(len(span.attributes) > 5 for span in recorded.spans)


def test_a_redaction_sees_what_an_agent_says_once(recorded):
    seen = []
    with (
        recording(instrument=(), redact=lambda text: seen.append(text) or text),
        lmspan.operation("agent", "a", inputs={"question": "why?", "limit": "two"}),
    ):
        pass
    assert seen.count("why?") == 2  # in the message, and in what it was given
    assert not [text for text in seen if "{" in text]


def test_openinference_shows_what_was_said_to_a_model():
    with recording(instrument=(), openinference=True) as recorded:
        with lmspan.operation("lm", "m", inputs={"prompt": "why?", "temperature": 0.5}) as call:
            call.outputs = "because"
    facts = recorded.attributes("chat m")
    assert (json.loads(facts[sc.OI_INPUT]), json.loads(facts[sc.OI_OUTPUT])) == (SAID, ANSWERED)


def test_what_an_agent_is_given_and_gives_are_messages_too(recorded):
    @lmspan.agent
    def answer(question, *, limit=None):
        return {"answer": "because", "trajectory": {"thought_0": "long"}} if limit else "because"

    answer("why?")
    answer("why?", limit=2)
    one, two = (dict(span.attributes) for span in recorded.named("invoke_agent answer"))
    assert (json.loads(one[sc.INPUT_MESSAGES]), json.loads(one[sc.OUTPUT_MESSAGES])) == (SAID, ANSWERED)
    assert json.loads(two[sc.INPUT_MESSAGES])[0]["parts"][0]["content"] == '{"question":"why?","limit":2}'
    assert json.loads(two[sc.OUTPUT_MESSAGES]) == ANSWERED
    assert (one[sc.MODULE_INPUTS], one[sc.MODULE_OUTPUTS]) == ('{"question":"why?"}', '"because"')


def test_events_are_on_the_innermost_call(recorded):
    with lmspan.operation("optimize", "mine"):
        lmspan.add_event(lmspan.Event.OPTIMIZER_CANDIDATE, {"id": "c1", "score": 0.5, "parents": ["c0"]})
        lmspan.add_event("note", {"text": "hello"})
    assert recorded.events("optimize mine") == [
        (
            "lmspan.optimizer.candidate",
            {sc.CANDIDATE_ID: "c1", sc.CANDIDATE_SCORE: 0.5, "lmspan.optimizer.candidate.parents": '["c0"]'},
        ),
        ("lmspan.note", {"lmspan.note.text": "hello"}),
    ]
    lmspan.add_event("outside")  # no call: nothing to be on


def test_every_operation_can_be_recorded_by_hand(recorded):
    for kind in lmspan.Operation:
        with lmspan.operation(kind, "x"):
            pass
    assert len(recorded.roots()) == len(lmspan.Operation)
    recorded.assert_conventions()


def test_a_foreign_span_in_between_keeps_the_tree_and_finds_the_call(recorded):
    tracer = recorder.active.tracer
    with lmspan.operation("agent", "outer"), tracer.start_as_current_span("foreign"):
        lmspan.add_event("seen")
        double(1)
    recorded.assert_tree("""
        invoke_agent outer
          foreign
            execute_tool double
    """)
    assert [name for name, _ in recorded.events("invoke_agent outer")] == ["lmspan.seen"]


def test_methods_do_not_record_their_self(recorded):
    class Shop:
        @lmspan.tool
        def price(self, item):
            return 1

    Shop().price("tea")
    assert recorded.attributes("execute_tool price")[sc.TOOL_CALL_ARGUMENTS] == '{"item":"tea"}'


def test_the_pytest_fixture_records_the_test(lmspan_recording):
    double(1)
    lmspan_recording.assert_tree("execute_tool double")


def test_an_exception_passes_without_a_frame_of_ours():
    """Agents put tracebacks into prompts: a model must be asked the same with and without us."""

    def frames(function):
        try:
            function()
        except LookupError as error:
            return [each.name for each in traceback.extract_tb(error.__traceback__)]

    def fail():
        raise LookupError

    async def afail():
        raise LookupError

    assert frames(fail) == ["frames", "fail"]
    with recording(instrument=()):
        assert frames(lmspan.tool(fail)) == ["frames", "fail"]
        found = frames(lambda: asyncio.run(lmspan.tool(afail)()))
    assert found[-1] == "afail"
    assert "wrapper" not in found
