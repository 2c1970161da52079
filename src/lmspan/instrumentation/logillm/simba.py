"""LogiLLM's SIMBA, whose candidates run in one `_evaluate_batch`, at each step and last on the whole data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmspan.context.current import current_call
from lmspan.instrumentation.kit import simba
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable


async def evaluate_batch(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """End the candidates of a batch when all of it has run."""
    optimizer = current_call()
    batch = simba.take_batch(optimizer)
    error: BaseException | None = None
    try:
        return await wrapped(*args, **kwargs)
    except BaseException as raised:
        error = raised
        raise
    finally:
        simba.end(recording.active, optimizer, batch, error)
        del error
