"""LogiLLM's agents, and which of their predictors begin a turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan.guard import guarded
from lmspan.instrumentation.turns import Loop, agent_of
from lmspan.propagation import current_call

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPS: Final[dict[str, Loop]] = {
    "ReAct": Loop(("react",), ("extract",)),
    "Avatar": Loop(("actor",)),
}


def update_signature(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """See that Avatar asks its actor for the answer, not for an action: `_update_actor_signature(n, omit_action)`."""
    _note(kwargs.get("omit_action", args[1] if len(args) > 1 else False))
    return wrapped(*args, **kwargs)


@guarded
def _note(omit_action: Any) -> None:
    agent = agent_of(current_call())
    if agent is not None and omit_action is True:
        agent.notes["loop"] = Loop((), ("actor",))
