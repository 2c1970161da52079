"""What the clients that LLMProc uses say of themselves: where they send requests, and with which key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan.guard import guarded
from lmspan.instrumentation.requests import server_facts

if TYPE_CHECKING:
    from lmspan.recorder import Recorder

_MAKERS: Final = ("anthropic", "openai", "google.genai")


@guarded
def client_facts(client: Any) -> dict[str, Any]:
    """Return where a client of OpenAI's, Anthropic's or Google's sends its requests."""
    maker = maker_of(client)
    if maker == "google.genai":
        return server_facts(str(client._api_client._http_options.base_url))  # noqa: SLF001
    return server_facts(str(client.base_url)) if maker else {}


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
