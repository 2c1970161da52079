"""The clients below: which attempts of theirs are of an LM call of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import wrapt

from lmspan.content import qualified_name
from lmspan.guard import guarded, leave_no_trace
from lmspan.instrumentation.attempts import patch_client, retrying
from lmspan.lifecycle import Call, Operation
from lmspan.propagation import current_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.patching import Patches

    Arguments = tuple[Any, ...]
    Keywords = dict[str, Any]


def lm_call() -> Call | None:
    """Return the current LM call, if it is an LLMProc process's."""
    call = current_call()
    ours = call is not None and call.operation is Operation.LM and call.source == "llmproc" and call.observed
    return call if ours else None


def patch(patches: Patches) -> None:
    """Patch what sends requests: LLMProc's own loop around Anthropic's client, and the clients."""
    for package in ("anthropic", "openai"):
        patch_client(patches, package, lm_call)

    @guarded
    def patch_executor(executor: Any) -> None:
        patches.wrap(executor, "_call_with_retry", _call_with_retry)

    @guarded
    def patch_gemini(client: Any) -> None:
        patches.wrap(client.BaseApiClient, "_async_request_once", _request_once)

    patches.when_imported("llmproc.providers.anthropic_process_executor", patch_executor)
    patches.when_imported("google.genai._api_client", patch_gemini)


def _call_with_retry(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    call = lm_call()
    if call is None or not args:
        return wrapped(*args, **kwargs)
    client, *rest = args
    return wrapped(_Client(client, call), *rest, **kwargs)


class _Client(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """A client whose `messages.create` is counted: LLMProc calls it once for each attempt of its own."""

    def __init__(self, client: Any, call: Call) -> None:
        super().__init__(client)
        self._self_call = call

    @property
    def messages(self) -> Any:
        return _Messages(self.__wrapped__.messages, self._self_call)


class _Messages(_Client):
    def create(self, *args: Any, **request: Any) -> Any:
        return _attempt(self._self_call, self.__wrapped__.create, args, request)


def _request_once(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Count the attempts of Gemini's client, where it is told to make several."""
    call = lm_call()
    return wrapped(*args, **kwargs) if call is None else _attempt(call, wrapped, args, kwargs)


async def _attempt(call: Call, send: Callable[..., Any], args: Arguments, kwargs: Keywords) -> Any:
    if "failed" in call.notes:
        retrying(call, call.notes["failed"])
    try:
        return await send(*args, **kwargs)
    except BaseException as error:
        _note(call, error)
        leave_no_trace(error)
        raise


@guarded
def _note(call: Call, error: BaseException) -> None:
    call.notes["failed"] = qualified_name(type(error))
