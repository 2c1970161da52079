"""A program that subscribes a callback and never calls `init()` is heard, and nothing of it is exported."""

import textwrap

from support.processes import lines_of_ours, run_python

PROGRAM = """
import asyncio
from lmspan.callbacks.logillm import AbstractCallback, CallbackManager
from logillm.core.predict import Predict
from logillm.providers import register_provider
from logillm.providers.mock import MockProvider

class Monitor(AbstractCallback):
    async def on_module_end(self, event):
        print(event.module.__class__.__name__, event.outputs)

CallbackManager().register(Monitor())
register_provider(MockProvider(response_text="blue"), set_default=True)
asyncio.run(Predict("question -> answer")(question="?"))
"""


def printed(program, **environ):
    done = run_python(textwrap.dedent(program), environ=environ)
    assert (done.returncode, lines_of_ours(done.stderr)) == (0, []), done.stderr
    return done.stdout.splitlines()


def test_a_program_of_a_document_without_init_is_heard_and_writes_no_trace(tmp_path):
    assert printed(PROGRAM, LMSPAN_DIR=str(tmp_path)) == ["Predict {'answer': 'blue'}"]
    assert list(tmp_path.iterdir()) == []


def test_every_way_to_subscribe_starts_to_record():
    program = """
    import lmspan
    from lmspan.callbacks import dspy_ex, dsrs, llmproc
    from opentelemetry import trace

    heard = []
    {how}
    with lmspan.operation("lm", "m"):
        pass
    print(len(heard), type(trace.get_tracer_provider()).__name__)
    """
    ways = (
        'lmspan.subscribe({"on_response": lambda text: 1, "api_request": heard.append})',
        'scope = lmspan.subscribed({"api_request": heard.append}); scope.__enter__()',
        "dsrs.set_callback(type('Mine', (dsrs.DspyCallback,), {'on_lm_start': lambda self, *_: heard.append(1)})())",
        "dspy_ex.configure(callbacks=[({'on_adapter_call_start': lambda meta, payload, state: heard.append(1)}, 0)])",
    )
    for way in ways:
        assert printed(program.replace("{how}", way)) == ["1 ProxyTracerProvider"], way


def test_init_takes_the_place_of_what_a_subscription_has_started():
    program = """
    import lmspan
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    heard, exporter = [], InMemorySpanExporter()
    lmspan.subscribe({"api_request": heard.append})
    with lmspan.init(exporters=[exporter]) as session, lmspan.operation("lm", "m"):
        pass
    print(len(heard), [span.name for span in exporter.get_finished_spans()])
    """
    assert printed(program) == ["1 ['chat m']"]


def test_where_the_program_has_a_provider_a_subscription_says_that_nothing_is_recorded():
    program = """
    import lmspan
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    trace.set_tracer_provider(TracerProvider())
    for _ in range(2):
        lmspan.subscribe({"api_request": print})
    """
    done = run_python(textwrap.dedent(program))
    assert done.returncode == 0
    assert lines_of_ours(done.stderr) == [
        "lmspan: a callback is subscribed, but nothing is recorded; call lmspan.init()"
    ]


def test_callbacks_hear_a_provider_that_our_instrumentors_record_through():
    program = """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    trace.set_tracer_provider(TracerProvider())
    from lmspan.instrumentation.logillm import LogiLLMInstrumentor
    LogiLLMInstrumentor().instrument()
    """
    assert printed(textwrap.dedent(program) + PROGRAM) == ["Predict {'answer': 'blue'}"]


def test_a_disabled_lmspan_stays_so():
    assert printed(PROGRAM, LMSPAN_ENABLED="0") == []
