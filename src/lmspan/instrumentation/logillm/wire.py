"""The parameters that are really sent and the answer that comes back, kept on the LM call.

LogiLLM's `Completion` has only a part of an answer: no id, no reasoning tokens, no cache tokens of Anthropic's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmspan.content.payload import qualified_name
from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.attempts import note_first_chunk
from lmspan.instrumentation.kit.facts import field
from lmspan.instrumentation.kit.kept import kept
from lmspan.instrumentation.logillm.embeddings import see_answer
from lmspan.instrumentation.logillm.lm import LogiLLMKept, kept_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.patching import Patches

    Arguments = tuple[Any, ...]
    Keywords = dict[str, Any]


def prepare_params(wrapped: Callable[..., Any], provider: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Keep the parameters of a request as they are sent: LogiLLM converts some, adds some and drops others."""
    parameters = wrapped(*args, **kwargs)
    own = kept_for(provider)
    if own is not None:
        own.parameters = parameters
    return parameters


def parse_completion(wrapped: Callable[..., Any], provider: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Keep the answer as the client of the API returns it, if `getattr` runs no code of the program there."""
    answer = argument(args, kwargs, 0, "response")
    own = kept_for(provider)
    if own is not None and qualified_name(type(answer)).startswith(("openai.", "anthropic.")):
        own.answer = answer
    return wrapped(*args, **kwargs)


async def get_cached(wrapped: Callable[..., Any], provider: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Keep that the answer is from the provider's own cache."""
    cached = await wrapped(*args, **kwargs)
    own = kept_for(provider)
    if own is not None and cached is not None:
        own.cached = True
    return cached


def patch(patches: Patches) -> None:
    """Patch the clients of the APIs when the program imports them, for the events of a stream that are not text."""

    @guarded
    def patch_client(client: Any) -> None:
        patches.wrap(client.BaseClient, "_process_response_data", _process)

    @guarded
    def patch_embeddings(resource: Any) -> None:
        patches.wrap(resource.AsyncEmbeddings, "create", see_answer)

    patches.when_imported("openai._base_client", patch_client)
    patches.when_imported("anthropic._base_client", patch_client)
    patches.when_imported("openai.resources.embeddings", patch_embeddings)


def _process(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    event = wrapped(*args, **kwargs)
    _keep_event(event)
    return event


@guarded
def _keep_event(event: Any) -> None:
    """Keep the id, the model, the finish reason and the usage of an event of a stream."""
    own = kept(current_call(), LogiLLMKept)
    if own is None or own.streamed is None:
        return
    note_first_chunk(current_call())
    answer = own.answer = own.answer or {}
    message = field(event, "message")
    delta = field(event, "delta")
    for part in (event, message):
        answer.update({name: field(part, name) for name in ("id", "model") if type(field(part, name)) is str})
        if (usage := field(part, "usage")) is not None:
            answer["usages"] = [*answer.get("usages", ())[:1], usage]  # the first and the last are enough
    for part in (delta, *(field(event, "choices") or ())):
        reason = field(part, "stop_reason") or field(part, "finish_reason")
        if type(reason) is str:
            answer["finish_reason"] = reason
