"""The engine: each step in its place, the original exactly once, and the program's results and exceptions untouched."""

import asyncio

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from lmspan.instrumentation.kit.around import Steps, around, around_async, around_stream
from lmspan.lifecycle import Operation
from lmspan.testing import recording


class Wrong(Exception):
    pass


class Source:
    """Steps that note their calls; the one named in `fails` raises."""

    def __init__(self, fails=""):
        self.calls, self.fails = [], fails

    def _step(self, name, *values):
        self.calls.append((name, *values))
        if name == self.fails:
            raise LookupError(name)

    def start(self, recorder, instance, args, kwargs):
        self._step("start", args, kwargs)
        return recorder.start(Operation.TOOL, "t", "test", {})

    def describe(self, recorder, call, args, kwargs):
        self._step("describe", args, kwargs)

    def succeed(self, recorder, call, outputs):
        self._step("succeed", outputs)

    def fail(self, recorder, call, error):
        self._step("fail", error)

    def release(self, recorder, call, error):
        self._step("release", error)

    def cause(self, error):
        self._step("cause", error)
        return error

    def item(self, recorder, call, item):
        self._step("item", item)

    @property
    def steps(self):
        return Steps(self.start, self.describe, self.succeed, self.fail, self.release, self.cause, self.item)


class Original:
    """A function that notes its calls and returns, or raises, what it was made with."""

    def __init__(self, outputs=None, error=None):
        self.calls, self.outputs, self.error = [], outputs, error

    def __call__(self, *args, **kwargs):
        self.calls.append((args, kwargs))
        if self.error is not None:
            raise self.error
        return self.outputs

    async def awaited(self, *args, **kwargs):
        await asyncio.sleep(0)
        return self(*args, **kwargs)


def run(kind, source, original):
    if kind == "plain":
        return around(source.steps)(original, None, (1,), {"k": 2})
    return asyncio.run(around_async(source.steps)(original.awaited, None, (1,), {"k": 2}))


KINDS = ["plain", "coroutine"]
CALLED = [((1,), {"k": 2})]


@pytest.mark.parametrize("kind", KINDS)
def test_the_steps_around_a_success(kind):
    source, original, outputs = Source(), Original([3]), None
    with recording(instrument=()) as recorded:
        outputs = run(kind, source, original)
    assert outputs is original.outputs
    assert original.calls == CALLED
    assert source.calls == [
        ("start", (1,), {"k": 2}), ("describe", (1,), {"k": 2}), ("succeed", [3]), ("release", None),
    ]  # fmt: skip
    recorded.assert_tree("execute_tool t")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [Wrong(), KeyboardInterrupt(), asyncio.CancelledError()])
def test_the_steps_around_a_failure(kind, error):
    source, original = Source(), Original(error=error)
    with recording(instrument=()) as recorded, pytest.raises(type(error)) as raised:
        run(kind, source, original)
    if not isinstance(error, asyncio.CancelledError):  # asyncio.run raises one of its own
        assert raised.value is error
    assert original.calls == CALLED
    assert [name for name, *_ in source.calls] == ["start", "describe", "cause", "fail", "release"]
    assert source.calls[3] == ("fail", error)
    recorded.assert_tree("execute_tool t !")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fails", ["start", "describe", "succeed", "release"])
def test_a_step_that_fails_costs_itself(kind, fails, caplog):
    source, original = Source(fails), Original([3])
    with recording(instrument=()) as recorded:
        assert run(kind, source, original) is original.outputs
    assert original.calls == CALLED
    recorded.assert_tree("" if fails == "start" else "execute_tool t")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fails", ["fail", "release", "cause"])
def test_a_step_that_fails_after_the_original_did_keeps_its_exception(kind, fails):
    source, original = Source(fails), Original(error=Wrong())
    with recording(instrument=()) as recorded, pytest.raises(Wrong) as raised:
        run(kind, source, original)
    assert raised.value is original.error
    recorded.assert_tree("execute_tool t !")


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_nobody_observes_costs_no_step_but_its_start_and_its_release(kind):
    source, original = Source(), Original([3])
    with recording(instrument=(), sampler=ALWAYS_OFF) as recorded:
        assert run(kind, source, original) is original.outputs
    assert [name for name, *_ in source.calls] == ["start", "release"]
    assert recorded.spans == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_may_stay_out(kind):
    original = Original([3])
    source = Source()
    source.start = lambda *_: None
    with recording(instrument=()) as recorded:
        assert run(kind, source, original) is original.outputs
    assert (source.calls, original.calls, recorded.spans) == ([], CALLED, [])


def test_the_steps_around_an_async_generator():
    async def numbers(count):
        for number in range(count):
            yield number

    async def consume():
        return [item async for item in around_stream(source.steps)(numbers, None, (2,), {})]

    source = Source()
    with recording(instrument=()) as recorded:
        assert asyncio.run(consume()) == [0, 1]
    assert source.calls == [
        ("start", (2,), {}), ("describe", (2,), {}), ("item", 0), ("item", 1), ("succeed", None), ("release", None),
    ]  # fmt: skip
    recorded.assert_tree("execute_tool t")
