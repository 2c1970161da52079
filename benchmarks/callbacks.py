"""What one event costs each callback that hears it: by each library's own dispatch, and by lmspan, in one run.

    python benchmarks/callbacks.py [--rounds 30] [--events 300]

Needs `pip install 'lmspan[dspy,logillm,llmproc]'`; a library that is missing is left out, with a word. The callbacks do
nothing, and are the same objects on both sides. Each row is measured with none, one and eleven of them, all rows in
turn in every round: what the first adds, and what each of ten further ones does. Microseconds of the calling thread's
CPU per event: minimum over the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from types import SimpleNamespace

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")
os.environ.setdefault("DSPY_CACHEDIR", tempfile.mkdtemp())

COUNTS = (0, 1, 11)


# Callbacks that do nothing --------------------------------------------------------------------------------------------


class ForDSPy:
    def on_tool_start(self, call_id, instance, inputs): ...
    def on_tool_end(self, call_id, outputs, exception): ...


class ForLogiLLM:
    def on_module_start(self, event): ...
    def on_module_end(self, event): ...


class ForLLMProc:
    def tool_start(self, tool_name, args): ...
    def tool_end(self, tool_name, result): ...


class ForDsrs:
    def on_module_start(self, call_id, module_type, inputs): ...
    def on_module_end(self, call_id, result): ...


def function(event, *args): ...


# The libraries' own dispatch: (how many callbacks) -> what makes two events of a call ---------------------------------


def dspy_own(count):
    import dspy

    class Silent(ForDSPy, dspy.utils.callback.BaseCallback): ...

    tool = dspy.Tool(lambda: None, name="tool")
    callbacks = [Silent() for _ in range(count)]

    def call():
        tool()

    call.prepare = lambda: dspy.configure(callbacks=callbacks)
    return call


def logillm_own(count):
    from logillm.core import callbacks as theirs

    class Silent(ForLogiLLM, theirs.AbstractCallback): ...

    manager = theirs.CallbackManager()
    context = theirs.CallbackContext()
    start = theirs.ModuleStartEvent(context, None)
    end = theirs.ModuleEndEvent(context, None)
    registered = [Silent() for _ in range(count)]

    async def both():
        await manager.emit_async(start)
        await manager.emit_async(end)

    def call():
        with contextlib.suppress(StopIteration):
            both().send(None)  # nothing in it waits

    def prepare():
        manager.clear()
        for each in registered:
            manager.register(each)

    call.prepare = prepare
    return call


def llmproc_own(make):
    def prepared(count):
        from llmproc.callbacks import CallbackEvent
        from llmproc.callbacks.callback_utils import trigger_event

        process = SimpleNamespace(callbacks=[make() for _ in range(count)])

        def call():
            trigger_event(process, CallbackEvent.TOOL_START, "tool", {})
            trigger_event(process, CallbackEvent.TOOL_END, "tool", None)

        return call

    return prepared


# lmspan: an operation with the callbacks subscribed -------------------------------------------------------------------


def subscribed(make, kind="tool"):
    def prepared(count):
        import lmspan

        callbacks = [make() for _ in range(count)]

        def call():
            with lmspan.operation(kind, "tool", inputs={}):
                pass

        def prepare():
            lmspan.unsubscribe_all()
            for each in callbacks:
                lmspan.subscribe(each)

        call.prepare = prepare
        return call

    return prepared


ROWS = (
    ("DSPy, class", dspy_own, subscribed(ForDSPy)),
    ("LogiLLM, class", logillm_own, subscribed(ForLogiLLM, "module")),
    ("LLMProc, class", llmproc_own(ForLLMProc), subscribed(ForLLMProc)),
    ("LLMProc, function", llmproc_own(lambda: function), subscribed(lambda: function)),
    ("dsrs, class", None, subscribed(ForDsrs, "module")),
)


def measured(call, events: int) -> float:
    getattr(call, "prepare", lambda: None)()
    for _ in range(20):
        call()
    begun = time.thread_time_ns()
    for _ in range(events // 2):
        call()
    return (time.thread_time_ns() - begun) / events / 1000


def candidates():
    for name, own, ours in ROWS:
        for who, make in (("own", own), ("lmspan", ours)):
            try:
                calls = tuple(map(make, COUNTS)) if make is not None else None
            except ImportError as missing:
                print(f"{name}: left out, {missing}")
                calls = None
            if calls is not None:
                yield (name, who), calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--events", type=int, default=300)
    options = parser.parse_args()

    import lmspan

    with lmspan.init(exporters="none", capture_content="none", instrument=()):
        rows = dict(candidates())
        times: dict[tuple[str, str], list[tuple[float, ...]]] = {key: [] for key in rows}
        for _ in range(options.rounds):
            for key, calls in rows.items():
                times[key].append(tuple(measured(call, options.events) for call in calls))
    print(f"{'us per event':<19}{'own: first':>12}{'further':>9}{'lmspan: first':>15}{'further':>9}{'ratio':>7}")
    for name, _, _ in ROWS:
        own, ours = (cost(times.get((name, who))) for who in ("own", "lmspan"))
        figures = [f"{each:.2f}" if each is not None else "-" for each in (*own, *ours)]
        ratio = f"{ours[1] / own[1]:.2f}" if own[1] else "-"
        print(f"{name:<19}{figures[0]:>12}{figures[1]:>9}{figures[2]:>15}{figures[3]:>9}{ratio:>7}")


def cost(times) -> tuple[float | None, float | None]:
    if times is None:
        return None, None
    none, one, several = (min(column) for column in zip(*times, strict=True))
    return one - none, (several - one) / (COUNTS[2] - COUNTS[1])


if __name__ == "__main__":
    main()
