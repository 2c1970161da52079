"""The requests that LogiLLM sends and the answers that come back, kept on the LM call.

LogiLLM converts messages and drops parts of them, and its `Completion` has only a part of an answer: no id, no
reasoning tokens, no cache tokens of Anthropic's, one candidate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmspan.guard import guarded
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.attempts import current_lm_call, note_first_chunk
from lmspan.instrumentation.kit.exchanges import note_answer, note_request
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


async def get_cached(wrapped: Callable[..., Any], provider: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Keep that the answer is from the provider's own cache."""
    cached = await wrapped(*args, **kwargs)
    own = kept_for(provider)
    if own is not None and cached is not None:
        own.cached = True
    return cached


def patch(patches: Patches) -> None:
    """Patch the clients of the APIs when the program imports them."""

    @guarded
    def patch_client(client: Any) -> None:
        patches.wrap(client.BaseClient, "_build_request", _build)
        patches.wrap(client.BaseClient, "_process_response_data", _process)

    @guarded
    def patch_embeddings(resource: Any) -> None:
        patches.wrap(resource.AsyncEmbeddings, "create", see_answer)

    patches.when_imported("openai._base_client", patch_client)
    patches.when_imported("anthropic._base_client", patch_client)
    patches.when_imported("openai.resources.embeddings", patch_embeddings)


def _build(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    options = argument(args, kwargs, 0, "options")
    note_request(current_lm_call("logillm"), getattr(options, "json_data", None))
    return wrapped(*args, **kwargs)


def _process(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Keep an answer, or an event of a stream, as the client of the API returns it."""
    event = wrapped(*args, **kwargs)
    call = current_lm_call("logillm")
    own = kept(call, LogiLLMKept)
    if own is not None and own.streamed is not None:
        note_first_chunk(call)
    note_answer(call, event)
    return event
