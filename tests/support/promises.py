"""What the documents promise of callbacks beyond their hooks, each with a check that runs an agent of a library."""

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import dspy
import pytest

import lmspan
from lmspan.callbacks.dspy_ex import attach, configure, with_callbacks
from lmspan.callbacks.dsrs import CollectingCallback, CompositeCallback, DspyCallback
from lmspan.callbacks.logillm import AbstractCallback, CallbackManager, CallbackType, JSONLCallback, Priority
from lmspan.subscribers import dialects
from lmspan.testing import recording
from support.every_library import QUESTION
from support.llmproc import asking, program
from support.programs import model, serving
from support.scenarios.core import YES
from support.wires import Reply, tokens
from support.wires import serving as serving_wires

SYSTEMS = {
    "DSPy": dialects.dspy.DIALECT, "LogiLLM": dialects.logillm.DIALECT, "LLMProc": dialects.llmproc.DIALECT,
    "dsrs": dialects.dsrs.DIALECT, "dspy.ex": dialects.dspy_ex.DIALECT,
}  # fmt: skip
NO_ADAPTERS = {"LLMProc": "it has no adapters"}


class Promise(NamedTuple):
    """One promise of a system; `otherwise` has what holds instead for a library, with the check of that, or None."""

    system: str
    text: str
    check: Callable  # (agent), raises if the promise is not kept
    otherwise: Mapping

    def verdict(self, library, agent):
        text, check = self.otherwise.get(library, ("kept", self.check))
        if check is not None:
            check(agent)
        return text


ALL: list[Promise] = []


def promise(system, text, **otherwise):
    """Add a check; a reason alone says why the library has nothing to check."""
    limits = {name: each if isinstance(each, tuple) else (each, None) for name, each in otherwise.items()}

    def add(check):
        ALL.append(Promise(system, text, check, limits))
        return check

    return add


def callback(system, hook):
    """A callback with every hook of a system, each of which calls `hook(name)` and returns nothing."""

    def calling(name):
        def every(*_):
            hook(name)

        return every

    hooks = {name: calling(name) for name in SYSTEMS[system].hooks}
    made = type("Every", (), {})()
    vars(made).update(hooks)
    return (made, None) if system == "dspy.ex" else made


def heard_by(system, agent, **options):
    """The hooks of a system in the order in which an agent makes them heard."""
    heard = []
    with lmspan.subscribe(callback(system, heard.append), dialect=SYSTEMS[system].name):
        agent(**options)
    return heard


def registered(kind, *, types=None, **hooks):
    """Register a callback of LogiLLM with these handlers."""
    made = type("Registered", (AbstractCallback,), {"priority": kind, **hooks})()
    return CallbackManager().register(made, callback_types=types)


# Every system -----------------------------------------------------------------------------------------------------


def _failures(system):
    def check(agent):
        def raising(name):
            raise ValueError(name)

        alone, _ = agent()
        expected = heard_by(system, agent)
        heard = []
        broken = lmspan.subscribe(callback(system, raising), dialect=SYSTEMS[system].name)
        with lmspan.subscribe(callback(system, heard.append), dialect=SYSTEMS[system].name):
            answer, _ = agent()
        broken.cancel()
        assert answer == alone
        assert heard == expected
        assert broken.failures == len(expected) > 0

    return check


for _system in SYSTEMS:
    promise(_system, "A callback that raises changes neither the program nor what other callbacks hear")(
        _failures(_system)
    )


# DSPy -------------------------------------------------------------------------------------------------------------


@promise("DSPy", "A start and its end have one `call_id`; a failure is the `exception` of its end")
def _(agent):
    open_calls, failures = {}, []

    class Calls:
        def on_lm_start(self, call_id, instance, inputs):
            open_calls[call_id] = instance

        def on_lm_end(self, call_id, outputs, exception):
            del open_calls[call_id]
            failures.append((outputs is None, isinstance(exception, Exception)))

    with lmspan.subscribe(Calls()) as subscription:
        agent()
        with contextlib.suppress(Exception):
            agent(fails=True)
    assert (open_calls, subscription.failures) == ({}, 0)
    assert set(failures[:-1]) == {(False, False)}
    assert failures[-1] == (True, True)


# LogiLLM ----------------------------------------------------------------------------------------------------------


@promise("LogiLLM", "The highest priority hears first")
def _(agent):
    heard = []
    registered(Priority.NORMAL, on_provider_request=lambda self, event: heard.append("normal"))
    registered(Priority.HIGH, on_provider_request=lambda self, event: heard.append("high"))
    agent()
    assert heard == ["high", "normal"] * (len(heard) // 2) != []


def _slots(heard):
    async def take(self, event):
        await asyncio.sleep(0.001)
        heard.append("slot")

    registered(Priority.HIGH, on_provider_request=take)
    registered(Priority.NORMAL, on_provider_request=lambda self, event: heard.append("sent"))


def _beside(agent):
    heard, at_the_end = [], []
    _slots(heard)
    agent(after=lambda: at_the_end.extend(heard))
    assert at_the_end.count("slot") == at_the_end.count("sent") > 0


@promise(
    "LogiLLM",
    "An async handler is awaited in place: it holds the request back, and those of lower priority",
    LLMProc=("beside the program, as LLMProc's own async callbacks run", _beside),
)
def _(agent):
    heard = []
    _slots(heard)
    agent()
    assert heard == ["slot", "sent"] * (len(heard) // 2) != []


@promise("LogiLLM", "`callback_types` restricts a callback to some events")
def _(agent):
    heard = []
    hooks = {f"on_{kind}": lambda self, event, _kind=kind: heard.append(_kind) for kind in CallbackType}
    registered(Priority.NORMAL, types=[CallbackType.MODULE_START, CallbackType.MODULE_END], **hooks)
    agent()
    assert set(heard) == {"module_start", "module_end"}


@promise("LogiLLM", "`disable()` and `LOGILLM_CALLBACKS_ENABLED=0` silence callbacks at once")
def _(agent):
    heard = []
    registered(Priority.NORMAL, on_module_end=lambda self, event: heard.append(event))
    CallbackManager().disable()
    agent()
    CallbackManager().enable()
    with patch.dict(os.environ, LOGILLM_CALLBACKS_ENABLED="0"):
        agent()
    assert heard == []
    agent()
    assert heard != []


@promise("LogiLLM", "`parent_call_id` is the `call_id` of the module around; start and end have one context")
def _(agent):
    contexts, parents = {}, []

    def start(self, event):
        contexts[event.context.call_id] = event.context
        parents.append(event.context.parent_call_id)

    def end(self, event):
        assert contexts[event.context.call_id] is event.context

    registered(
        Priority.NORMAL, on_module_start=start, on_provider_request=start, on_module_end=end, on_provider_response=end
    )
    agent()
    assert parents[0] is None
    assert set(parents[1:]) <= set(contexts)


@promise("LogiLLM", "A module that raises has an `ErrorEvent` and no end, as from the release")
def _(agent):
    heard = []
    registered(
        Priority.NORMAL,
        on_module_start=lambda self, event: heard.append(1), on_error=lambda self, event: heard.append(-1),
        on_module_end=lambda self, event: heard.append(0),
    )  # fmt: skip
    with contextlib.suppress(Exception):
        agent(fails=True)
    assert sum(heard) == 0 < len(heard)
    assert 0 not in heard


@promise("LogiLLM", "`JSONLCallback` writes each event as one line")
def _(agent):
    heard = []
    hooks = {f"on_{kind}": lambda self, event, _kind=kind: heard.append(_kind.value) for kind in CallbackType}
    registered(Priority.NORMAL, **hooks)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "logs" / "execution.jsonl"
        CallbackManager().register(JSONLCallback(path, include_provider_events=True))
        agent()
        assert [json.loads(line)["event_type"] for line in path.read_text().splitlines()] == heard != []


# LLMProc ----------------------------------------------------------------------------------------------------------


@promise("LLMProc", "A function and an object hear the same events; an object may mix sync and async methods")
def _(agent):
    heard, of_function = [], []

    class Mixed:
        def tool_start(self, tool_name, tool_args):
            heard.append("tool_start")

        async def turn_end(self, process, response_obj, tool_results):
            heard.append("turn_end")

    def function(event, *args, **kwargs):
        of_function.append(event.value)

    with lmspan.subscribe(Mixed()), lmspan.subscribe(function):
        agent()
    assert sorted(heard) == sorted(each for each in of_function if each in ("tool_start", "turn_end")) != []


@promise("LLMProc", "A callback receives only the parameters that it names")
def _(agent):
    heard = []

    class Few:
        def turn_start(self, process, run_result=None):
            heard.append(run_result.api_calls)

        def tool_start(self, tool_args):
            heard.append(tool_args)

        def turn_end(self):
            heard.append("end")

    with lmspan.subscribe(Few()) as subscription:
        agent()
    assert subscription.failures == 0
    assert heard[:4] == [0, {"city": "Graz"}, "end", 1]


@promise("LLMProc", "Async callbacks have ended when the run returns")
def _(agent):
    started, ended, at_the_end = [], [], []

    class Slow:
        async def turn_end(self, process):
            started.append("turn")
            await asyncio.sleep(0.02)
            ended.append("turn")

    with lmspan.subscribe(Slow()):
        agent(after=lambda: at_the_end.extend(ended))
    assert at_the_end == started != []


class _CostLimit:
    """The document's callback for a limit of costs, with a limit on requests."""

    def __init__(self):
        self.turns = 0

    def turn_start(self, process, run_result=None):
        self.turns += 1
        if run_result and run_result.api_calls > 0:
            raise RuntimeError("limit")


def _stops(agent):
    callback = _CostLimit()
    with lmspan.subscribe(callback, on_error="stop"), pytest.raises(lmspan.StopRun):
        agent()
    assert callback.turns == 2
    with lmspan.subscribe(_CostLimit()) as subscription:
        agent()
    assert subscription.failures > 0


_WITH_STOP = ('with `on_error="stop"`; without it the failure is logged, as LLMProc does', _stops)
promise(
    "LLMProc", "A callback that raises at a cost limit stops the run",
    DSPy=_WITH_STOP, LogiLLM=_WITH_STOP, LLMProc=_WITH_STOP,
)(_stops)  # fmt: skip


@promise("LLMProc", "`run_result` has the calls, tokens and tools of the run so far")
def _(agent):
    seen = []

    class Figures:
        def turn_start(self, process, run_result):
            seen.append((run_result.api_calls, run_result.total_tokens > 0, run_result.total_tool_calls))

    with lmspan.subscribe(Figures()):
        agent()
    assert seen[:2] == [(0, False, 0), (1, True, 1)]


@promise("LLMProc", "Callbacks of one process hear that process only")
def _(agent):
    heard, subscriptions = [], []

    def prepare(program):
        listener = {"turn_start": lambda process: heard.append(process)}
        subscriptions.append((program, lmspan.subscribe(listener, scope=program)))

    agent(prepare)
    first = len(heard)
    agent()
    assert len(heard) == first > 0


def _copied(_):
    heard = []
    listener = {"on_response": lambda content: heard.append(content)}
    program = dspy.Predict("question -> answer")
    with serving(YES) as server, recording(), dspy.context(lm=model(server)), lmspan.subscribe(listener, scope=program):
        program.deepcopy()(question=QUESTION)
        dspy.Predict("question -> answer")(question=QUESTION)
    assert len(heard) == 1


@promise(
    "LLMProc",
    "A forked process inherits the callbacks of its parent",
    DSPy=("a copy by `deepcopy`, as optimizers make it, inherits those of its module", _copied),
    LogiLLM="it forks nothing",
)
def _(_):
    heard = []

    async def run():
        parent = await program().start()
        lmspan.subscribe({"turn_start": heard.append}, scope=parent)
        child = await parent._fork_process()
        await child.run(QUESTION)
        return child

    with serving_wires(Reply("sun", usage=tokens(40, 5))) as server, asking(server), recording(instrument=("llmproc",)):
        assert asyncio.run(run()) is heard[0]


# dsrs -------------------------------------------------------------------------------------------------------------


@promise("dsrs", "Every method is optional; a callback needs only those that it uses")
def _(agent):
    heard = []

    class Ends(DspyCallback):
        def on_module_end(self, call_id, result):
            heard.append(result.is_ok())

    with lmspan.subscribe(DspyCallback()), lmspan.subscribe(Ends()) as subscription:
        agent()
    assert subscription.failures == 0
    assert set(heard) == {True}


@promise("dsrs", "`on_event` hears every event that no other hook of the callback hears")
def _(agent):
    every, others, starts = [], [], []

    class Every(DspyCallback):
        def on_event(self, event):
            every.append(type(event).__name__)

    class Others(DspyCallback):
        def on_module_start(self, call_id, module_name, inputs):
            starts.append(module_name)

        def on_event(self, event):
            others.append(type(event).__name__)

    with lmspan.subscribe(Every()), lmspan.subscribe(Others()):
        agent()
    assert others == [each for each in every if each != "ModuleStart"] != []
    assert len(starts) == every.count("ModuleStart") > 0


@promise("dsrs", "A part of a composite that fails leaves the other parts alone")
def _(agent):
    class Broken(DspyCallback):
        def on_module_start(self, call_id, module_name, inputs):
            raise ValueError(module_name)

    alone, beside = CollectingCallback(), CollectingCallback()
    with lmspan.subscribe(alone):
        agent()
    with lmspan.subscribe(CompositeCallback([Broken(), beside])):
        agent()
    assert list(map(type, beside.events())) == list(map(type, alone.events())) != []


@promise("dsrs", "`on_trace_complete` has the graph of the whole run")
def _(agent):
    graphs = []

    class Complete(DspyCallback):
        def on_trace_complete(self, graph, manifest=None):
            graphs.append(graph)

    with lmspan.subscribe(Complete()):
        _, recorded = agent()
    assert [len(graph.nodes) for graph in graphs] == [len(recorded.spans)]


# dspy.ex ----------------------------------------------------------------------------------------------------------

PHASES = [
    f"on_adapter_{phase}"
    for phase in ("format_start", "format_end", "call_start", "call_end", "parse_start", "parse_end")
]


def handler(**hooks):
    return type("Handler", (), {name: staticmethod(hook) for name, hook in hooks.items()})()


def phases(heard, next_state=lambda state: state):
    """A handler that notes (phase, meta, payload, state) of each phase of an adapter."""

    def hook(phase):
        def note(meta, payload, state):
            heard.append((phase, meta, payload, state))
            return next_state(state)

        return note

    return handler(**{phase: hook(phase) for phase in PHASES})


@promise(
    "dspy.ex", "Format, call and parse are heard in this order, under one `call_id` and one attempt", **NO_ADAPTERS
)
def _(agent):
    heard = []
    configure(callbacks=[(phases(heard), None)])
    agent()
    for first in range(0, len(heard), 6):
        names, metas, *_ = zip(*heard[first : first + 6], strict=True)
        assert list(names) == PHASES
        assert len({(meta["call_id"], meta["attempt"]) for meta in metas}) == 1
    assert heard


@promise("dspy.ex", "The state goes from hook to hook, and lasts one run of a predictor", **NO_ADAPTERS)
def _(agent):
    heard = []
    configure(callbacks=[(phases(heard, lambda state: state + 1), 0)])
    agent()
    assert [state for *_, state in heard] == [0, 1, 2, 3, 4, 5] * (len(heard) // 6) != []


@promise("dspy.ex", "Callbacks of the process hear first, then those of a program, then those of a call")
def _(agent):
    heard, programs = [], []

    def noting(word):
        return [(handler(on_adapter_call_start=lambda meta, payload, state: heard.append(word)), None)]

    def prepare(program):
        programs.append(program)
        attach(program, callbacks=noting("program"))

    configure(callbacks=noting("process"))
    with with_callbacks(noting("call")):
        agent(prepare)
    assert heard == ["process", "program", "call"] * (len(heard) // 3) != []


@promise("dspy.ex", "Payloads are summaries, without the text of prompts and answers")
def _(agent):
    heard = []

    def hook(meta, payload, state):
        heard.append(json.dumps(payload))

    configure(
        callbacks=[(handler(**{name: hook for name in dialects.dspy_ex.DIALECT.hooks if "adapter" in name}), None)]
    )
    agent()
    assert heard
    assert QUESTION not in "".join(heard)
