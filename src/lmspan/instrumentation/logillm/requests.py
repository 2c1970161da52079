"""The receiver of a request: the provider, its server, its key."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content.payload import qualified_name
from lmspan.guard import guarded
from lmspan.instrumentation.kit.facts import stored, text
from lmspan.instrumentation.kit.requests import server_facts
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.recording.recorder import Recorder

_PROVIDERS: Final = {**sc.PROVIDER_NAMES, "google": "gcp.gemini"}
_REGISTRY: Final = "logillm.providers.registry"


def identity(provider: Any, operation: str, model: Any = None) -> dict[str, Any]:
    """Return the facts of a request that depend only on the provider: operation, provider, model and server."""
    fields = stored(provider)
    name = text(fields.get("name")) or type(provider).__name__
    return {
        sc.OPERATION_NAME: operation,
        sc.PROVIDER_NAME: _PROVIDERS.get(name, name),
        sc.REQUEST_MODEL: text(model) or text(fields.get("model")) or type(provider).__name__,
        **server_facts(_address(fields)),
    }


def _address(fields: dict[str, Any]) -> str:
    """Return the address of a provider's server: its client knows it even if an environment variable has set it."""
    client = fields.get("async_client")
    if qualified_name(type(client)).startswith(("openai.", "anthropic.")):
        address = stored(client).get("_base_url")
        if qualified_name(type(address)).startswith(("httpx.", "httpx2.")):  # openai 3 is built on httpx2
            return str(address)
    return text(fields.get("base_url"))


def learn_providers(recorder: Recorder, provider: Any) -> None:
    """Let the redactor know the keys of a provider and of the registered ones, before content with them is recorded."""
    registered = getattr(sys.modules.get(_REGISTRY), "_provider_registry", None)
    for each in (provider, *(registered.values() if type(registered) is dict else ())):
        recorder.content.redactor.know(stored(each).get("api_key"))


def init_provider(wrapped: Callable[..., Any], provider: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Let the redactor know the key of a new provider."""
    result = wrapped(*args, **kwargs)
    guarded(learn_providers)(recording.active, provider)
    return result
