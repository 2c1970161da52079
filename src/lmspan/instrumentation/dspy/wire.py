"""The requests of DSPy's LM calls as they are sent, and the answers that DSPy or LiteLLM change.

DSPy 3.4's own clients make every request in one method, and keep the provider's answer; of a stream of Anthropic's they
leave out the usage that its first event reports. LiteLLM passes every request and answer to its logging.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from lmspan.guard import guarded
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.attempts import current_lm_call
from lmspan.instrumentation.kit.exchanges import note_answer, note_request, parsed
from lmspan.instrumentation.kit.facts import text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.patching import Patches

    Arguments = tuple[Any, ...]
    Keywords = dict[str, Any]

_LM15: Final = "dspy._vendor.lm15"
_USAGE_EVENTS: Final = ("message_start", "message_delta")
# LiteLLM's readers of streams whose events have another shape than OpenAI's
_READERS: Final = (
    ("litellm.llms.anthropic.chat.handler", "ModelResponseIterator"),
    ("litellm.llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini", "ModelResponseIterator"),
)


def patch(patches: Patches) -> None:
    """Patch the clients when DSPy imports them."""
    _when_imported(patches, f"{_LM15}.providers.base", "BaseProviderLM", {"_emit": _emit})
    _when_imported(patches, f"{_LM15}.providers.anthropic", "AnthropicLM", {"parse_stream_events": _parse_event})
    logging = {"pre_call": _pre_call, "post_call": _post_call}
    _when_imported(patches, "litellm.litellm_core_utils.litellm_logging", "Logging", logging)
    for module, reader in _READERS:
        _when_imported(patches, module, reader, {"chunk_parser": _parse_chunk})

    @guarded
    def patch_client(client: Any) -> None:
        patches.wrap(client.BaseClient, "_process_response_data", _process)

    patches.when_imported("openai._base_client", patch_client)


def _when_imported(patches: Patches, module: str, owner: str, wrappers: dict[str, Callable[..., Any]]) -> None:
    @guarded
    def patch_now(imported: Any) -> None:
        kind = getattr(imported, owner, None)
        for name, wrapper in wrappers.items():
            if hasattr(kind, name):
                patches.wrap(kind, name, wrapper)

    patches.when_imported(module, patch_now)


def _emit(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Keep the payload of a request of DSPy's own clients, unless it is only planned."""
    if not sys.modules[f"{_LM15}.adaptation"].is_planning():
        note_request(current_lm_call("dspy"), kwargs.get("payload"), streamed=kwargs.get("stream") is True)
    return wrapped(*args, **kwargs)


def _parse_event(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    _keep_usage(argument(args, kwargs, 1, "raw_event"))
    return wrapped(*args, **kwargs)


@guarded
def _keep_usage(event: Any) -> None:
    call = current_lm_call("dspy")
    if call is not None and event.event in _USAGE_EVENTS:
        note_answer(call, event.data)


def _pre_call(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Keep the body that LiteLLM sends."""
    more = argument(args, kwargs, 3, "additional_args")
    if type(more) is dict:
        streamed = "streamGenerateContent" in text_of(more.get("api_base"))
        note_request(current_lm_call("dspy"), parsed(more.get("complete_input_dict")), streamed=streamed)
    return wrapped(*args, **kwargs)


def _post_call(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Keep the answer as LiteLLM has received it, as a text or parsed."""
    answer = argument(args, kwargs, 0, "original_response")
    if type(answer) in (str, dict):
        note_answer(current_lm_call("dspy"), answer)
    return wrapped(*args, **kwargs)


def _parse_chunk(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    note_answer(current_lm_call("dspy"), argument(args, kwargs, 0, "chunk"))
    return wrapped(*args, **kwargs)


def _process(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Keep the events of a stream of OpenAI's client, which LiteLLM uses."""
    event = wrapped(*args, **kwargs)
    if type(event).__name__ == "ChatCompletionChunk":
        note_answer(current_lm_call("dspy"), event)
    return event
