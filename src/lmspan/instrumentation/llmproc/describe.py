"""How LLMProc's own objects, and the clients that it uses, are described: by what they store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from lmspan.content import describe_as
from lmspan.guard import guarded
from lmspan.instrumentation.requests import server_facts

if TYPE_CHECKING:
    from lmspan.recorder import Recorder

_get = object.__getattribute__

_MAKERS: Final = ("anthropic", "openai", "google.genai")


def register() -> None:
    """Tell `content` how to describe a ToolResult. Called when LLMProc is patched."""
    result = getattr(sys.modules.get("llmproc.common.results"), "ToolResult", None)
    if result is not None:
        describe_as(result, lambda value: dict(_get(value, "__dict__")))


def client_facts(client: Any) -> dict[str, Any]:
    """Return where a client of OpenAI's, Anthropic's or Google's sends its requests."""
    return server_facts(_address(client) or "")


@guarded
def _address(client: Any) -> str:
    maker = maker_of(client)
    if maker == "google.genai":
        return str(client._api_client._http_options.base_url)  # noqa: SLF001
    return str(client.base_url) if maker else ""


@guarded
def learn_key(recorder: Recorder, client: Any) -> None:
    """Learn the key of a client, so that it is recorded nowhere."""
    maker = maker_of(client)
    if maker:
        recorder.content.redactor.know(client._api_client.api_key if maker == "google.genai" else client.api_key)  # noqa: SLF001


def maker_of(value: Any) -> str:
    """Return the package of a client, or of its error, if it is one of those that LLMProc uses."""
    module = f"{type(value).__module__}."
    return next((name for name in _MAKERS if module.startswith(f"{name}.")), "")
