"""A stop of a run passes through LogiLLM's own gathering of results.

`asyncio.gather(..., return_exceptions=True)` gives it as a result, which LogiLLM does not know from an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmspan.errors import StopRun

if TYPE_CHECKING:
    from collections.abc import Callable


async def gathering(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Raise a `StopRun` that is among the results of a method that gathers them."""
    results = await wrapped(*args, **kwargs)
    if type(results) is list:
        for each in results:
            if type(each) is StopRun:
                raise each
    return results
