"""Generated callbacks over generated programs: order, exactly once, right values, whatever is mixed.

A program is a tree of operations, sync or async, some on threads. A callback is of one system, sync, async or mixed,
with a priority and a filter. What each must hear follows from the tree alone.
"""

import asyncio
import contextvars
import threading
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lmspan
from lmspan.testing import recording

KINDS = ("module", "lm", "tool")

# for each system and kind of operation: the hooks of its start and its end, and their parameters in the release
HOOKS = {
    "dspy": {
        kind: ((f"on_{kind}_start", "call_id, instance, inputs"), (f"on_{kind}_end", "call_id, outputs, exception"))
        for kind in KINDS
    },
    "logillm": {
        "module": (("on_module_start", "event"), ("on_module_end", "event")),
        "lm": (("on_provider_request", "event"), ("on_provider_response", "event")),
    },
    "llmproc": {
        "lm": (("api_request", "api_request"), ("api_response", "response")),
        "tool": (("tool_start", "tool_name, args"), ("tool_end", "tool_name, result")),
    },
    "dsrs": {
        "module": (("on_module_start", "call_id, module_name, inputs"), ("on_module_end", "call_id, result")),
        "lm": (("on_lm_start", "call_id, model, prompt_tokens"), ("on_lm_end", "call_id, result, usage")),
    },
}


@dataclass
class Node:
    """An operation of a program: its number is its input, and its output is the number with a sign."""

    kind: str
    children: list = field(default_factory=list)
    threaded: bool = False
    number: int = 0


@dataclass
class Plan:
    """A callback: `waits` says for each of its hooks, in order, whether it is sync, async or async and suspends."""

    systems: tuple
    priority: int
    waits: tuple
    only: str | None


nodes = st.deferred(lambda: st.builds(Node, st.sampled_from(KINDS), st.lists(nodes, max_size=2), st.booleans()))
programs = st.builds(Node, st.just("module"), st.lists(nodes, max_size=3), st.just(False))
plans = st.builds(
    Plan,
    st.sets(st.sampled_from(sorted(HOOKS)), min_size=1, max_size=2).map(lambda some: tuple(sorted(some))),
    st.integers(1, 5),
    st.tuples(*[st.sampled_from(["sync", "async", "suspends"])] * 6),
    st.none() | st.sampled_from(KINDS),
)


def numbered(root):
    count = 0
    stack = [root]
    while stack:
        node = stack.pop()
        node.number, count = count, count + 1
        stack += reversed(node.children)
    return root


# The program -------------------------------------------------------------------------------------------------------


def run_sync(node):
    with lmspan.operation(node.kind, str(node.number), inputs={"number": node.number}) as call:
        for child in node.children:
            if child.threaded:
                context = contextvars.copy_context()
                thread = threading.Thread(target=context.run, args=(run_sync, child))
                thread.start()
                thread.join()
            else:
                run_sync(child)
        call.outputs = f"-{node.number}"


DECORATORS = {"module": lmspan.module, "lm": lmspan.lm, "tool": lmspan.tool}


async def run_async(node):
    @DECORATORS[node.kind](name=str(node.number))
    async def step(number):
        for child in node.children:
            if child.threaded:
                await asyncio.create_task(run_async(child))
            else:
                await run_async(child)
        return f"-{number}"

    await step(node.number)


# The callbacks -----------------------------------------------------------------------------------------------------


def heard_value(system, phase, given):
    """The number that a hook hears: of the inputs at the start, of the outputs at the end."""
    if system == "dspy":
        return number_of(given["inputs"] if phase == 0 else given["outputs"])
    if system == "logillm":
        event = given["event"]
        kind = type(event).__name__
        values = {
            "ModuleStartEvent": lambda: event.inputs, "ModuleEndEvent": lambda: event.outputs,
            "ProviderRequestEvent": lambda: event.parameters, "ProviderResponseEvent": lambda: event.response,
        }  # fmt: skip
        return number_of(values[kind]())
    if system == "llmproc":
        return number_of(next(each for name, each in given.items() if name != "tool_name"))
    if phase == 0:
        return int(given.get("module_name", given.get("model")))
    result = given["result"]
    return number_of(result.ok().data) if result.ok() is not None else None


def number_of(value):
    if isinstance(value, str):
        return -int(value) if value.startswith("--") else abs(int(value))
    inner = value.get("kwargs") or value
    return inner["number"]


def made(plan, name, log):
    """The callback of a plan, and what it listens for: (kind, phase) -> system."""
    methods, wanted, waits_of, waits = {}, {}, {}, iter(plan.waits * 4)
    for system in plan.systems:
        for kind, hooks in HOOKS[system].items():
            for phase, (hook, parameters) in enumerate(hooks):
                if hook in methods or (plan.only is not None and plan.only != kind):
                    continue
                wait = waits_of[hook] = next(waits)
                methods[hook] = method(system, phase, kind, parameters, wait, name, log)
                wanted[kind, phase] = [*wanted.get((kind, phase), ()), (hook, waits_of[hook] != "sync")]
    return type("Generated", (), methods)(), wanted


def method(system, phase, kind, parameters, wait, name, log):
    names = {
        "given": given_to,
        "note": lambda given: log.append((name, kind, phase, wait != "sync", heard_value(system, phase, given))),
    }
    keyword = "" if wait == "sync" else "async "
    pause = "    await sleep(0)\n" if wait == "suspends" else ""
    source = f"{keyword}def hook(self, {parameters}):\n{pause}    note(given(locals()))\n"
    exec(source, {"sleep": asyncio.sleep, **names}, names)  # noqa: S102 - the parameters are those of the table above
    return names["hook"]


def given_to(values):
    return {name: value for name, value in values.items() if name != "self"}


# The properties ----------------------------------------------------------------------------------------------------


def moments(node):
    """The starts and ends of a program, in order: (kind, phase, number)."""
    yield node.kind, 0, node.number
    for child in node.children:
        yield from moments(child)
    yield node.kind, 1, node.number


def expected(root, subscribed):
    """What all callbacks hear together where every hook runs in place, and whether the hook is async."""
    ordered = sorted(subscribed, key=lambda each: (-each[1].priority, each[0]))
    return [
        (name, kind, phase, is_async)
        for kind, phase, _ in moments(root)
        for name, _, wanted in ordered
        for _, is_async in wanted.get((kind, phase), ())
    ]


def check(root, plans_of_all, run):
    log, subscribed = [], []
    with recording(instrument=()):
        for name, plan in enumerate(plans_of_all):
            callback, wanted = made(plan, name, log)
            if not wanted:
                continue
            listened = {hook for each in wanted.values() for hook, _ in each}
            for system in plan.systems:
                if mine := {hook for hook in listened if owner(plan, hook) == system}:
                    lmspan.subscribe(callback, dialect=system, hooks=mine, priority=plan.priority)
            subscribed.append((name, plan, wanted))
        run(root)
    lmspan.unsubscribe_all()
    return log, subscribed


def owner(plan, hook):
    """The first system of a plan that has a hook of this name."""
    return next(system for system in plan.systems if any(hook in dict(pair) for pair in HOOKS[system].values()))


SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    lmspan.unsubscribe_all()


@SETTINGS
@given(programs.map(numbered), st.lists(plans, min_size=1, max_size=4))
def test_hooks_of_an_awaited_program_run_once_in_order_with_the_right_values(root, several):
    log, subscribed = check(root, several, lambda root: asyncio.run(run_async(root)))
    assert [heard[:4] for heard in log] == expected(root, subscribed)
    assert_values(root, log)


@SETTINGS
@given(programs.map(numbered), st.lists(plans, min_size=1, max_size=4))
def test_hooks_of_a_sync_program_run_once_and_each_kind_in_order_with_the_right_values(root, several):
    log, subscribed = check(root, several, run_sync)
    heard, whole = [each[:4] for each in log], expected(root, subscribed)
    for is_async in (False, True):  # sync hooks run inline, async ones in one chain beside the program
        assert [each for each in heard if each[3] is is_async] == [each for each in whole if each[3] is is_async]
    assert_values(root, log)


def assert_values(root, log):
    """Every callback hears each operation's own number, at its start and at its end."""
    numbers = {}
    for kind, phase, number in moments(root):
        numbers.setdefault((kind, phase), []).append(number)
    heard = {}
    for name, kind, phase, _, value in log:
        if value is not None:
            heard.setdefault((name, kind, phase), []).append(value)
    for (_, kind, phase), values in heard.items():
        times = len(values) // len(numbers[kind, phase])
        assert sorted(values) == sorted(numbers[kind, phase] * max(times, 1))
