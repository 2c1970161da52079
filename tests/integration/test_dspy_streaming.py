"""Streams: the span covers the stream, whether it is read to the end, closed, abandoned or cancelled."""

import asyncio
import contextlib
import gc

import dspy
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from lmspan import semconv as sc
from lmspan.demo.server import Reply, ScriptedServer
from lmspan.demo.wires import Wire
from lmspan.instrumentation.dspy import execution
from lmspan.instrumentation.dspy.lm import DSPyLMKept
from lmspan.lifecycle import Operation
from lmspan.recording import recorder
from lmspan.testing import recording
from support.processes import lines_of_ours, run_python
from support.programs import fields, model, serving
from support.wires import tokens

LONG = " ".join("abcdefghijklmnopqrstuvwxyz")
PREDICT = """
    module Predict
      format ChatAdapter
      chat gpt-4o-mini
      parse ChatAdapter
"""


def slowly():
    reply = fields(answer=LONG)
    reply.chunk_delay_s = 0.01
    return reply


def listener():
    return dspy.streaming.StreamListener(signature_field_name="answer")


class Status(dspy.streaming.StatusMessageProvider):
    def module_start_status_message(self, instance, inputs):
        return "starting"

    def lm_start_status_message(self, instance, inputs):
        return "asking"


async def read(streaming):
    return [each async for each in streaming(question="why?")]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync program", "async program"])
@pytest.mark.parametrize("listening", [False, True], ids=["chunks", "listener"])
async def test_streamify_is_one_trace_with_chunks_and_time_to_first_chunk(listening, asynchronous):
    with serving(fields(answer=LONG)) as server, recording() as recorded, dspy.context(lm=model(server)):
        streaming = dspy.streamify(
            dspy.Predict("question -> answer"),
            stream_listeners=[listener()] if listening else None,
            is_async_program=asynchronous,
        )
        chunks = await read(streaming)
    assert isinstance(chunks[-1], dspy.Prediction)
    recorded.assert_tree(PREDICT)
    recorded.assert_conventions()
    attributes = recorded.attributes("chat gpt-4o-mini")
    assert attributes[sc.REQUEST_STREAM] is True
    assert attributes[sc.STREAM_CHUNK_COUNT] > 20
    assert attributes[sc.RESPONSE_TIME_TO_FIRST_CHUNK] > 0
    assert attributes[sc.RESPONSE_FINISH_REASONS] == ("stop",)
    assert attributes[sc.USAGE_OUTPUT_TOKENS] > 0


class Silent(Wire):
    """Streams usage only if the request asks for it, as OpenAI does."""

    def chunks(self, request, reply):
        *events, usage = super().chunks(request, reply)
        yield from events
        if (request.get("stream_options") or {}).get("include_usage"):
            yield usage


class SilentServer(ScriptedServer):
    wires = (Silent(),)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync program", "async program"])
@pytest.mark.parametrize("tracked", [False, True])
async def test_a_stream_of_litellm_has_its_chunks_and_the_usage_that_the_server_reports(tracked, asynchronous):
    reply = Reply(fields(answer="yes").text, usage=tokens(100, 50))
    with SilentServer(lambda _: reply) as server, recording() as recorded:
        lm = model(server, extra_headers={"x-team": "a"})
        with dspy.context(lm=lm, track_usage=tracked):
            program = dspy.Predict("question -> answer")
            await read(dspy.streamify(program, is_async_program=asynchronous, async_streaming=True))
    recorded.assert_conventions()
    found = recorded.attributes("chat gpt-4o-mini")
    assert found[sc.STREAM_CHUNK_COUNT] > 1
    assert found[sc.RESPONSE_TIME_TO_FIRST_CHUNK] > 0
    counts = [found.get(name) for name in (sc.USAGE_INPUT_TOKENS, sc.USAGE_OUTPUT_TOKENS)]
    assert counts == ([100, 50] if tracked else [None, None])
    assert (sc.COST_AMOUNT in found, sc.COST_UNKNOWN_REASON in found) == (tracked, not tracked)


class Asks(dspy.Module):
    def forward(self, question):
        return dspy.Prediction(answer=dspy.settings.lm(question))


def test_the_first_chunk_of_a_stream_is_its_first_event_also_without_a_text():
    with recording() as recorded:
        call = recorder.active.start(Operation.LM, "m", "dspy")
        call.kept = DSPyLMKept()
        assert execution._chunk(lambda event: None, None, ("start",), {}) is None
        first = call.late_facts[sc.RESPONSE_TIME_TO_FIRST_CHUNK]
        assert execution._chunk(lambda event: event, None, ("text",), {}) == "text"
        recorder.active.end(call)
    assert first > 0
    assert recorded.attributes("chat m")[sc.RESPONSE_TIME_TO_FIRST_CHUNK] == first


def test_a_sync_stream_gives_the_same_tree():
    with serving(fields(answer=LONG)) as server, recording() as recorded, dspy.context(lm=model(server)):
        streaming = dspy.streamify(dspy.Predict("question -> answer"), async_streaming=False)
        chunks = list(streaming(question="why?"))
    assert isinstance(chunks[-1], dspy.Prediction)
    recorded.assert_tree(PREDICT)
    recorded.assert_conventions()


async def test_status_messages_change_nothing():
    with serving(fields(answer=LONG)) as server, recording() as recorded, dspy.context(lm=model(server)):
        streaming = dspy.streamify(
            dspy.Predict("question -> answer"), status_message_provider=Status(), stream_listeners=[listener()]
        )
        chunks = await read(streaming)
    said = [each.message for each in chunks if isinstance(each, dspy.streaming.StatusMessage)]
    assert "asking" in said
    recorded.assert_tree(PREDICT)
    recorded.assert_conventions()


async def test_a_stream_inside_of_an_operation_is_under_it():
    import lmspan  # noqa: PLC0415

    with serving(fields(answer=LONG)) as server, recording() as recorded, dspy.context(lm=model(server)):
        with lmspan.operation("agent", "mine"):
            await read(dspy.streamify(dspy.Predict("question -> answer")))
    assert [span.name for span in recorded.roots()] == ["invoke_agent mine"]
    assert len(recorded.trace_ids()) == 1
    recorded.assert_conventions()


async def test_two_streams_at_once_keep_apart():
    with serving(slowly()) as server, recording() as recorded, dspy.context(lm=model(server)):
        await asyncio.gather(*(read(dspy.streamify(dspy.Predict("question -> answer"))) for _ in range(2)))
    assert recorded.tree() == "\n".join([PREDICT.strip("\n").replace("\n    ", "\n")[4:]] * 2)
    assert len(recorded.trace_ids()) == 2


async def test_metrics_of_a_stream():
    reader = InMemoryMetricReader()
    with (
        serving(slowly()) as server,
        recording(meter_provider=MeterProvider([reader])),
        dspy.context(lm=model(server)),
    ):
        await read(dspy.streamify(dspy.Predict("question -> answer")))
    found = {
        metric.name: metric.data.data_points[0]
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    first, each = found[sc.METRIC_TIME_TO_FIRST_CHUNK], found[sc.METRIC_TIME_PER_CHUNK]
    whole = found[sc.METRIC_OPERATION_DURATION]
    assert first.count == each.count == whole.count == 1
    assert 0 < first.sum < whole.sum
    assert 0 < each.sum < whole.sum


async def close(streaming):
    async for _ in streaming:
        break
    await streaming.aclose()


async def abandon(streaming):
    async for _ in streaming:
        break
    del streaming
    gc.collect()
    await asyncio.sleep(0.05)


async def cancel(streaming):
    async def consume():
        async for _ in streaming:
            started.set()

    started = asyncio.Event()
    task = asyncio.create_task(consume())
    await started.wait()
    task.cancel()
    await task


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync program", "async program"])
@pytest.mark.parametrize("leave", [close, abandon, cancel])
def test_a_stream_that_is_not_read_to_the_end_ends_its_spans_and_says_nothing(leave, asynchronous, caplog):
    """DSPy itself may complain (its task group is closed in another task); the spans must not care."""

    async def stream(lm):
        with dspy.context(lm=lm):
            program = dspy.Predict("question -> answer")
            await leave(dspy.streamify(program, is_async_program=asynchronous)(question="why?"))

    async def run(lm, recorded):
        """Without a loop an abandoned worker waits for ever; the stream cancels the task that it was left in."""
        leaving = asyncio.create_task(stream(lm))
        await asyncio.wait([leaving])
        for _ in range(1000):
            if recorded.named("module Predict"):
                break
            await asyncio.sleep(0.01)
        with contextlib.suppress(BaseExceptionGroup, RuntimeError, asyncio.CancelledError):
            await leaving

    with serving(slowly()) as server, recording() as recorded:
        asyncio.run(run(model(server), recorded))
    assert [span.name for span in recorded.roots()] == ["module Predict"]
    assert [span.name for span in recorded.spans][:3] == ["module Predict", "format ChatAdapter", "chat gpt-4o-mini"]
    recorded.assert_conventions()
    assert not [record for record in caplog.records if record.name.startswith(("opentelemetry", "lmspan"))]


LEAVING = """
import asyncio, sys
import dspy
import lmspan
from support.programs import fields, model, serving

lmspan.init(exporters="none")

async def main(lm):
    with dspy.context(lm=lm):
        streaming = dspy.streamify(dspy.Predict("question -> answer"), is_async_program=True)(question="why?")
        async for _ in streaming:
            break
        if sys.argv[1] == "close":
            await streaming.aclose()

reply = fields(answer="a b c d e f g h i j k l m n o p")
reply.chunk_delay_s = 0.01
with serving(reply) as server:
    try:
        asyncio.run(main(model(server)))
    except BaseException:
        pass
"""


@pytest.mark.parametrize("how", ["close", "abandon"])
def test_nothing_of_ours_is_on_stderr_when_a_stream_is_left(how):
    with_us = run_python(LEAVING, how)
    assert "Failed to detach context" not in with_us.stderr
    assert lines_of_ours(with_us.stderr) == []
