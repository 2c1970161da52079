"""The names that LLMProc's documentation of its callbacks imports.

    from lmspan.callbacks.llmproc import CallbackEvent, LLMProgram

Where the documents and the releases disagree, a parameter may have any of their names. A callback that raises stops the
run if it is subscribed with `on_error="stop"`. `LLMProgram` is LLMProc's own, except that `process.add_callback(...)`,
`program.start().add_callback(...)` and `process.run(..., callbacks={...})` do what the documents say.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from typing import TYPE_CHECKING, Any

from lmspan.subscribers import subscriptions
from lmspan.subscribers.dialects.llmproc import CallbackEvent
from lmspan.subscribers.result import RunResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

__all__ = ["CallbackEvent", "RunResult"]


def __getattr__(name: str) -> Any:
    """Return the class of programs: LLMProc is loaded when a program imports it from here."""
    if name == "LLMProgram":
        return _program()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@functools.cache
def _program() -> Any:
    import llmproc  # type: ignore[import-not-found,import-untyped,unused-ignore] # noqa: PLC0415 - not at import

    class LLMProgram(llmproc.LLMProgram):  # type: ignore[misc,unused-ignore] # it ships no types
        """LLMProc's program, whose processes take callbacks as the documents say."""

        @classmethod
        def from_toml(cls, toml_file: Any, **options: Any) -> Any:
            program = super().from_toml(toml_file, **options)
            program.__class__ = cls
            return program

        def start(self, *args: Any, **kwargs: Any) -> ProcessStart:  # type: ignore[override,unused-ignore] # awaitable
            return ProcessStart(super().start(*args, **kwargs))

        def start_sync(self, *args: Any, **kwargs: Any) -> Any:
            return add_methods(super().start_sync(*args, **kwargs))

    return LLMProgram


class ProcessStart:
    """Starts a process when it is awaited, with the callbacks that were added before."""

    def __init__(self, process: Awaitable[Any]) -> None:
        self._process = process
        self._callbacks: list[Any] = []

    def add_callback(self, callback: Any) -> ProcessStart:
        """Add a callback to the process."""
        self._callbacks.append(callback)
        return self

    def __await__(self) -> Generator[Any, Any, Any]:
        process = add_methods((yield from self._process.__await__()))
        for each in self._callbacks:
            process.add_callback(each)
        return process


def add_methods(process: Any) -> Any:
    """Give a process the methods `add_callback` and `run` of the documents; return the process."""
    reference = weakref.ref(process)

    def add_callback(callback: Any) -> Any:
        of_process = reference()
        subscriptions.subscribe(callback, scope=of_process)
        return of_process

    process.add_callback = add_callback
    process.run = _run(reference, type(process).run)
    return process


def _run(process: Callable[[], Any], original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def run(*args: Any, callbacks: Any = None, **kwargs: Any) -> Any:
        if callbacks is None:
            return original(process(), *args, **kwargs)
        if inspect.iscoroutinefunction(original):
            return _run_with(callbacks, original(process(), *args, **kwargs))
        with subscriptions.subscribed(callbacks):
            return original(process(), *args, **kwargs)

    return run


async def _run_with(callbacks: Any, run: Awaitable[Any]) -> Any:
    with subscriptions.subscribed(callbacks):
        return await run
