"""The clients of the APIs, whose attempts are counted on the current LM call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import wrapt

from lmspan.guard import guarded, leave_no_trace
from lmspan.instrumentation.kit.attempts import current_lm_call, note_failure, patch_client, try_again
from lmspan.instrumentation.kit.requests import server_facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.patching import Patches
    from lmspan.recording.recorder import Recorder

    Arguments = tuple[Any, ...]
    Keywords = dict[str, Any]


def patch(patches: Patches) -> None:
    """Patch LLMProc's own loop around Anthropic's client, and the clients."""
    for package in ("anthropic", "openai"):
        patch_client(patches, package, "llmproc")

    @guarded
    def patch_executor(executor: Any) -> None:
        patches.wrap(executor, "_call_with_retry", _call_with_retry)

    @guarded
    def patch_gemini(client: Any) -> None:
        patches.wrap(client.BaseApiClient, "_async_request_once", _request_once)

    patches.when_imported("llmproc.providers.anthropic_process_executor", patch_executor)
    patches.when_imported("google.genai._api_client", patch_gemini)


def _call_with_retry(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    call = current_lm_call("llmproc")
    if call is None or not args:
        return wrapped(*args, **kwargs)
    client, *rest = args
    return wrapped(_Client(client, call), *rest, **kwargs)


class _Client(wrapt.ObjectProxy):  # type: ignore[type-arg] # generic only from wrapt 2 on
    """A client that counts the calls of `messages.create`: LLMProc makes one for each attempt of its own."""

    def __init__(self, client: Any, call: LiveCall) -> None:
        super().__init__(client)
        self._self_call = call

    @property
    def messages(self) -> Any:
        return _Messages(self.__wrapped__.messages, self._self_call)


class _Messages(_Client):
    def create(self, *args: Any, **request: Any) -> Any:
        return _attempt(self._self_call, self.__wrapped__.create, args, request)


def _request_once(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Count the attempts of Gemini's client, which may be configured to make several."""
    call = current_lm_call("llmproc")
    return wrapped(*args, **kwargs) if call is None else _attempt(call, wrapped, args, kwargs)


async def _attempt(call: LiveCall, send: Callable[..., Any], args: Arguments, kwargs: Keywords) -> Any:
    try_again(call)
    try:
        return await send(*args, **kwargs)
    except BaseException as error:
        note_failure(call, error)
        leave_no_trace(error)
        raise


_MAKERS: Final = ("anthropic", "openai", "google.genai")


@guarded
def client_facts(client: Any) -> dict[str, Any]:
    """Return the server of a client that OpenAI, Anthropic or Google publishes."""
    maker = maker_of(client)
    if maker == "google.genai":
        options = client._api_client._http_options  # noqa: SLF001 - it has no public attribute
        return server_facts(str(options.base_url))
    return server_facts(str(client.base_url)) if maker else {}


@guarded
def learn_key(recorder: Recorder, client: Any) -> None:
    """Let the redactor know the key of a client, so that no record shows it."""
    maker = maker_of(client)
    if maker == "google.genai":
        recorder.content.redactor.know(client._api_client.api_key)  # noqa: SLF001 - it has no public attribute
    elif maker:
        recorder.content.redactor.know(client.api_key)


def maker_of(value: Any) -> str:
    """Return the package of a client or of its exception, if LLMProc uses that package, else ""."""
    module = f"{type(value).__module__}."
    return next((name for name in _MAKERS if module.startswith(f"{name}.")), "")
