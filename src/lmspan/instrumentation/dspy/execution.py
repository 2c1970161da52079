"""The result of an LM call, its attempts and its chunks, which DSPy's callbacks do not have.

DSPy 3.4 runs every call through `dspy.clients.execution`, DSPy 3.3 through LiteLLM; both stream LiteLLM alike. The
functions that a release has decide which are patched, not its version. They add to the innermost call if that is an LM
call of DSPy.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lmspan import semconv as sc
from lmspan.content.payload import qualified_name
from lmspan.guard import guarded, leave_no_trace
from lmspan.instrumentation.dspy.lm import DSPyLMKept
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.attempts import (
    current_lm_call,
    note_failure,
    note_first_chunk,
    patch_client,
    retrying,
    try_again,
)
from lmspan.instrumentation.kit.facts import at, field, text_of
from lmspan.instrumentation.kit.kept import kept
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.patching import Patches

    Arguments = tuple[Any, ...]
    Keywords = dict[str, Any]


def patch(patches: Patches) -> None:
    """Patch the functions that this release of DSPy has."""
    try:
        execution = import_module("dspy.clients.execution")
    except ImportError:
        _patch_litellm(patches)
        return
    patches.wrap(sys.modules["dspy.clients.lm"], "_get_stream_completion_fn", _stream_completion)
    patches.wrap(execution, "finalize", _finalize)
    patches.wrap(execution, "_attempt", _attempt)
    patches.wrap(execution, "_aattempt", _aattempt)
    patches.wrap(execution, "_delay", _delay)
    if hasattr(execution, "_account_failed_call"):
        patches.wrap(execution, "_account_failed_call", _account_failed_call)
    bridge = getattr(execution, "ListenerBridge", None)
    if bridge is not None:
        patches.wrap(bridge, "chunk", _chunk)


def _patch_litellm(patches: Patches) -> None:
    base = sys.modules["dspy.clients.base_lm"].BaseLM
    patches.wrap(base, "_process_lm_response", _process_lm_response)
    patches.wrap(base, "_finalize_lm_response", _finalize_typed)
    patches.wrap(sys.modules["dspy.clients.lm"], "_get_stream_completion_fn", _stream_completion)

    _when_imported(patches, "litellm", "litellm", "completion_with_retries", _litellm_retries)
    _when_imported(patches, "litellm", "litellm", "acompletion_with_retries", _litellm_retries)
    patch_client(patches, "openai", "dspy")


def _when_imported(patches: Patches, module: str, owner: str, name: str, wrapper: Callable[..., Any]) -> None:
    """Patch a library that DSPy imports at its first LM call."""

    @guarded
    def patch_now(imported: Any) -> None:
        patches.wrap(getattr(imported, owner, imported), name, wrapper)

    patches.when_imported(module, patch_now)


def _lm_call() -> LiveCall | None:
    return current_lm_call("dspy")


# DSPy 3.4 ---------------------------------------------------------------------------------------------------------


def _finalize(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    _note_result(argument(args, kwargs, 2, "result"))
    return wrapped(*args, **kwargs)


@guarded
def _note_result(result: Any) -> None:
    own = kept(_lm_call(), DSPyLMKept)
    if own is None:
        return
    own.result = result
    own.adaptations = [
        {sc.ADAPTATION_FIELD: each.field, sc.ADAPTATION_ACTION: each.action, sc.ADAPTATION_REASON: each.reason}
        for response in field(result, "responses") or ()
        for each in field(response, "adaptations") or ()
    ]


def _account_failed_call(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    _note_billed(argument(args, kwargs, 1, "results"))
    return wrapped(*args, **kwargs)


@guarded
def _note_billed(results: Any) -> None:
    own = kept(_lm_call(), DSPyLMKept)
    if own is not None and type(results) is list:
        own.billed = tuple(results)


def _attempt(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    try:
        return wrapped(*args, **kwargs)
    except BaseException as error:
        note_failure(_lm_call(), error)
        leave_no_trace(error)
        raise


async def _aattempt(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    try:
        return await wrapped(*args, **kwargs)
    except BaseException as error:
        note_failure(_lm_call(), error)
        leave_no_trace(error)
        raise


def _delay(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    delay = wrapped(*args, **kwargs)
    retrying(_lm_call(), qualified_name(type(args[0])) if args else "_OTHER", delay)
    return delay


def _chunk(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    note_first_chunk(_lm_call())  # every event of the stream comes here, also those before the first text
    chunk = wrapped(*args, **kwargs)
    if chunk is not None:
        _count_chunk(_lm_call(), chunk)
    return chunk


@guarded
def _count_chunk(call: LiveCall | None, chunk: Any) -> None:
    own = kept(call, DSPyLMKept)
    if call is None or own is None:
        return
    own.chunks += 1
    note_first_chunk(call)
    if call.watchers:
        choice = next(iter(field(chunk, "choices") or ()), None)
        recording.active.add_chunk(call, text_of(at(choice, ("delta", "content"))), first=own.chunks == 1)


# streams of LiteLLM -----------------------------------------------------------------------------------------------


def _stream_completion(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Count the chunks of a stream: DSPy sends each chunk of LiteLLM's to `settings.send_stream`."""
    settings = sys.modules["dspy"].settings
    stream = settings.get("send_stream")
    call = _lm_call()
    own = kept(call, DSPyLMKept)
    if stream is None or call is None or own is None:
        return wrapped(*args, **kwargs)
    own.estimated = True
    with settings.context(send_stream=_CountedStream(stream, call, own)):
        return wrapped(*args, **kwargs)


class _CountedStream:
    """A send stream that counts each chunk on the call, and sends it to the program's own stream."""

    def __init__(self, stream: Any, call: LiveCall, own: DSPyLMKept) -> None:
        self._stream = stream
        self._call = call
        self._own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def send(self, chunk: Any) -> None:
        _count_chunk(self._call, chunk)
        if getattr(chunk, "usage", None) is not None:
            self._own.estimated = False
        await self._stream.send(chunk)


# DSPy 3.3 ---------------------------------------------------------------------------------------------------------


def _process_lm_response(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    _note_result(argument(args, kwargs, 0, "response"))
    return wrapped(*args, **kwargs)


def _finalize_typed(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    _note_result(argument(args, kwargs, 1, "response"))
    return wrapped(*args, **kwargs)


def _litellm_retries(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Count LiteLLM's attempts: it calls this after the first one has failed, with the function to repeat."""
    kwargs = _counting(wrapped.__name__, kwargs) or kwargs
    return wrapped(*args, **kwargs)


@guarded
def _counting(name: str, kwargs: Keywords) -> Keywords | None:
    call = _lm_call()
    if call is None:
        return None
    litellm = sys.modules["litellm"]
    note_failure(call, sys.exc_info()[1])
    asynchronous = name.startswith("a")
    original = kwargs.get("original_function") or (litellm.acompletion if asynchronous else litellm.completion)
    return {
        **kwargs,
        "original_function": _try_again_async(call, original) if asynchronous else _try_again(call, original),
    }


def _try_again(call: LiveCall, original: Callable[..., Any]) -> Callable[..., Any]:
    def completion(*args: Any, **kwargs: Any) -> Any:
        try_again(call)
        try:
            return original(*args, **kwargs)
        except BaseException as error:
            note_failure(call, error)
            raise

    return completion


def _try_again_async(call: LiveCall, original: Callable[..., Any]) -> Callable[..., Any]:
    async def acompletion(*args: Any, **kwargs: Any) -> Any:
        try_again(call)
        try:
            return await original(*args, **kwargs)
        except BaseException as error:
            note_failure(call, error)
            raise

    return acompletion
