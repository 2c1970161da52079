"""Agents and their turns: one iteration of the loop is a `turn` span, from one choice of the model to the next.

Libraries have no hook for an iteration. But each iteration starts when the agent calls the predictor that chooses what
to do, so that call ends the turn before and starts another; the call of the predictor that sums up ends the last turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.instrumentation.kit.facts import stored
from lmspan.instrumentation.kit.kept import ModuleKept, TurnKept, kept
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder


class Loop(NamedTuple):
    """The attributes of an agent that hold its predictors."""

    steps: tuple[str, ...]
    """Those that start an iteration."""
    after: tuple[str, ...] = ()
    """Those that run after the last iteration."""


def agent_of(call: LiveCall | None) -> LiveCall | None:
    """Return the agent that a call is, or is a turn of."""
    if call is not None and call.operation is Operation.TURN:
        call = call.parent
    return call if call is not None and call.operation is Operation.AGENT else None


def loop_of(kind: type, loops: dict[str, Loop], library: str) -> Loop | None:
    """Return the loop of a class if it is, or derives from, one of the library's agents."""
    for base in kind.__mro__:
        if base.__name__ in loops and base.__module__.startswith(library):
            return loops[base.__name__]
    return None


def advance(recorder: Recorder, instance: Any) -> None:
    """Start and end turns before a predictor is called. A choice that fails and is repeated stays in its turn."""
    agent = agent_of(current_call())
    own = kept(agent, ModuleKept)
    if agent is None or own is None or own.loop is None:
        return
    if _holds(agent.instance, own.loop.after, instance):
        end_turn(recorder, agent)
    elif _holds(agent.instance, own.loop.steps, instance) and _is_over(own.turn):
        end_turn(recorder, agent)
        facts = {sc.TURN_INDEX: own.turns}
        own.turns += 1
        own.turn = recorder.start(Operation.TURN, "", agent.source, facts, parent_id=agent.call_id, owned=False)
        own.turn.kept = TurnKept()


def _is_over(turn: LiveCall | None) -> bool:
    """Return whether a choice starts another turn: no turn is open, or the model has chosen in the open one."""
    own = kept(turn, TurnKept)
    return turn is None or turn.ended or (own is not None and own.chosen)


def note_choice(call: LiveCall) -> None:
    """Keep on a turn that its predictor has returned."""
    own = kept(call.parent, TurnKept)
    if own is not None:
        own.chosen = True


def end_turn(recorder: Recorder, agent: LiveCall, error: BaseException | None = None) -> None:
    """End the open turn of an agent, if it has one."""
    own = kept(agent, ModuleKept)
    if own is not None and own.turn is not None:
        recorder.end(own.turn, error=error)


def count_tool(turn: LiveCall | None) -> None:
    """Count a tool call that starts, if it starts in a turn."""
    if turn is not None and turn.operation is Operation.TURN:
        turn.late_facts[sc.TURN_TOOL_COUNT] = turn.late_facts.get(sc.TURN_TOOL_COUNT, 0) + 1


def note_step(call: LiveCall, outputs: Any, error: BaseException | None) -> None:
    """Keep a model's answer, or a tool's result, on the turn that it belongs to. Called when the call ends."""
    turn = call.parent
    while turn is not None and turn.operation is Operation.MODULE:
        turn = turn.parent
    if turn is None or turn.operation is not Operation.TURN or turn.source == "llmproc":
        return
    if call.operation is Operation.LM:
        turn.response = outputs if call.response is None else call.response
    else:
        result = {"type": "tool_result", "tool_name": call.name, "content": outputs, "is_error": False}
        if error is not None:
            result |= {"content": error, "is_error": True}
        turn.tool_results = [*(turn.tool_results or ()), result]


def tools_of(agent: LiveCall) -> list[Any]:
    """Return the tools that an agent stores."""
    fields = stored(agent.instance)
    tools = fields.get("tools", fields.get("_user_tools"))
    values = list(tools.values()) if type(tools) is dict else tools
    return values if type(values) is list else []


def _holds(agent: Any, names: tuple[str, ...], instance: Any) -> bool:
    fields = stored(agent)
    return any(fields.get(name) is instance for name in names)
