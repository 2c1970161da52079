"""What is really sent and what comes back, noted on the LM call where it passes.

LogiLLM's `Completion` keeps a part of an answer only: no id, no reasoning tokens, no cache tokens of Anthropic's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmspan.content.payload import qualified_name
from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.facts import field
from lmspan.instrumentation.kit.kept import kept
from lmspan.instrumentation.logillm.embeddings import note_answer
from lmspan.instrumentation.logillm.lm import LogiLLMKept, kept_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.patching import Patches

    Arguments = tuple[Any, ...]
    Keywords = dict[str, Any]


def prepare_params(wrapped: Callable[..., Any], provider: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Note the parameters of a request as they are sent: LogiLLM converts some, adds some and drops others."""
    parameters = wrapped(*args, **kwargs)
    own = kept_for(provider)
    if own is not None:
        own.parameters = parameters
    return parameters


def parse_completion(wrapped: Callable[..., Any], provider: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Note the answer as the client of the API has it, if it is one whose attributes may be asked for."""
    answer = argument(args, kwargs, 0, "response")
    own = kept_for(provider)
    if own is not None and qualified_name(type(answer)).startswith(("openai.", "anthropic.")):
        own.answer = answer
    return wrapped(*args, **kwargs)


async def get_cached(wrapped: Callable[..., Any], provider: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Note that the provider's own cache had the answer."""
    cached = await wrapped(*args, **kwargs)
    own = kept_for(provider)
    if own is not None and cached is not None:
        own.cached = True
    return cached


def patch(patches: Patches) -> None:
    """Patch the clients of the APIs, where the program imports them: what a stream says beside its text."""

    @guarded
    def patch_client(client: Any) -> None:
        patches.wrap(client.BaseClient, "_process_response_data", _process)

    @guarded
    def patch_embeddings(resource: Any) -> None:
        patches.wrap(resource.AsyncEmbeddings, "create", note_answer)

    patches.when_imported("openai._base_client", patch_client)
    patches.when_imported("anthropic._base_client", patch_client)
    patches.when_imported("openai.resources.embeddings", patch_embeddings)


def _process(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    event = wrapped(*args, **kwargs)
    _note_event(event)
    return event


@guarded
def _note_event(event: Any) -> None:
    """Keep what an event of a stream says that is not text: who answers, why it ends, what it used."""
    own = kept(current_call(), LogiLLMKept)
    if own is None or own.streamed is None:
        return
    answer = own.answer = own.answer or {}
    message, delta = field(event, "message"), field(event, "delta")
    for part in (event, message):
        answer.update({name: field(part, name) for name in ("id", "model") if type(field(part, name)) is str})
        if (usage := field(part, "usage")) is not None:
            answer["usages"] = [*answer.get("usages", ())[:1], usage]  # the first and the last are all that is needed
    for part in (delta, *(field(event, "choices") or ())):
        reason = field(part, "stop_reason") or field(part, "finish_reason")
        if type(reason) is str:
            answer["finish_reason"] = reason
