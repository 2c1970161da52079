"""Agents and their turns: one iteration of the loop is a `turn` span, from one choice of the model to the next.

Libraries have no hook for an iteration. But each begins when the agent calls the predictor that chooses what to do, so
that call begins a turn, and ends the one before; the call of the predictor that sums up ends the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import Call
    from lmspan.recording.recorder import Recorder

_get = object.__getattribute__


class Loop(NamedTuple):
    """Which attributes of an agent hold the predictors that begin an iteration, and those that come after the last."""

    steps: tuple[str, ...]
    after: tuple[str, ...] = ()


def agent_of(call: Call | None) -> Call | None:
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
    """Begin and end turns before a predictor is called. A choice that failed and is made again stays in its turn.

    The source notes an agent's loop when the agent starts.
    """
    agent = agent_of(current_call())
    loop = agent.notes.get("loop") if agent is not None else None
    if agent is None or loop is None:
        return
    turn = agent.notes.get("turn")
    if _holds(agent.instance, loop.after, instance):
        end_turn(recorder, agent)
    elif _holds(agent.instance, loop.steps, instance) and (turn is None or turn.ended or "chosen" in turn.notes):
        end_turn(recorder, agent)
        index = agent.notes["turns"] = agent.notes.get("turns", -1) + 1
        facts = {sc.TURN_INDEX: index}
        agent.notes["turn"] = recorder.start(
            Operation.TURN, "", agent.source, facts, parent_id=agent.call_id, owned=False
        )


def chosen(call: Call) -> None:
    """Note that a turn's predictor has answered."""
    if call.parent is not None and call.parent.operation is Operation.TURN:
        call.parent.notes["chosen"] = True


def end_turn(recorder: Recorder, agent: Call, error: BaseException | None = None) -> None:
    """End the turn that is open, if one is."""
    turn = agent.notes.get("turn")
    if turn is not None:
        recorder.end(turn, error=error)


def tools_of(agent: Call) -> list[Any]:
    """Return the tools that an agent was given, as it stores them."""
    stored = _get(agent.instance, "__dict__")
    tools = stored.get("tools", stored.get("_user_tools"))
    values = list(tools.values()) if type(tools) is dict else tools
    return values if type(values) is list else []


def _holds(agent: Any, names: tuple[str, ...], instance: Any) -> bool:
    stored = _get(agent, "__dict__")
    return any(stored.get(name) is instance for name in names)
