"""The clients below: which attempts of theirs are of an LM call of ours, and that none tells of it a second time."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lmspan.content import qualified_name
from lmspan.guard import guarded, leave_no_trace
from lmspan.instrumentation.attempts import retrying
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
    executor = import_module("llmproc.providers.anthropic_process_executor")
    patches.wrap(executor, "_call_with_retry", _call_with_retry)

    @guarded
    def quieten(client: Any) -> None:
        patches.wrap(client, "start_api_call_span", _no_span)

    patches.when_imported("anthropic._base_client", quieten)


def _call_with_retry(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    call = lm_call()
    if call is None or not args:
        return wrapped(*args, **kwargs)
    client, *rest = args
    return wrapped(_Counted(client, call), *rest, **kwargs)


class _Counted:
    """A client whose `messages.create` is counted, as LLMProc calls it: once for each attempt of its own."""

    def __init__(self, client: Any, call: Call) -> None:
        self._client = client
        self._call = call

    @property
    def messages(self) -> _Counted:
        return self

    async def create(self, **request: Any) -> Any:
        if "failed" in self._call.notes:
            retrying(self._call, self._call.notes["failed"])
        try:
            return await self._client.messages.create(**request)
        except BaseException as error:
            _note(self._call, error)
            leave_no_trace(error)
            raise


@guarded
def _note(call: Call, error: BaseException) -> None:
    call.notes["failed"] = qualified_name(type(error))


def _no_span(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Let Anthropic's client make no span of its own below ours: the call, and its tokens, would be told twice."""
    return wrapped(*args, **kwargs) if lm_call() is None else None
