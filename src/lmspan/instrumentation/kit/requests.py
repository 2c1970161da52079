"""The facts of a request to a model: its parameters, its server, and its secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit

from lmspan import semconv as sc
from lmspan.instrumentation.kit.facts import put

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmspan.recording.recorder import Recorder

_PORTS: Final = {"https": 443, "http": 80}

# request parameter, attribute, type; of several names for one attribute, the first that is set counts
_PARAMETERS: Final = (
    ("temperature", sc.REQUEST_TEMPERATURE, float),
    ("max_tokens", sc.REQUEST_MAX_TOKENS, int),
    ("max_completion_tokens", sc.REQUEST_MAX_TOKENS, int),
    ("max_output_tokens", sc.REQUEST_MAX_TOKENS, int),
    ("top_p", sc.REQUEST_TOP_P, float),
    ("top_k", sc.REQUEST_TOP_K, int),
    ("frequency_penalty", sc.REQUEST_FREQUENCY_PENALTY, float),
    ("presence_penalty", sc.REQUEST_PRESENCE_PENALTY, float),
    ("seed", sc.REQUEST_SEED, int),
    ("reasoning_effort", sc.REQUEST_REASONING_LEVEL, str),
)
_STOPS: Final = ("stop", "stop_sequences")
_SECRETS: Final = ("api_key", "azure_ad_token", "aws_secret_access_key", "aws_session_token", "vertex_credentials")
_ADDRESSES: Final = ("api_base", "base_url")


def add_parameters(facts: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Add the parameters that a request sets, by the names that the clients of OpenAI, Anthropic and Gemini use."""
    for name, attribute, kind in _PARAMETERS:
        if settings.get(name) is not None and attribute not in facts:
            put(facts, attribute, settings[name], kind)
    for stop in map(settings.get, _STOPS):
        stops = [stop] if type(stop) is str else stop
        if type(stops) is list and stops and all(type(each) is str for each in stops):
            facts[sc.REQUEST_STOP_SEQUENCES] = stops
    if settings.get("n") not in (None, 1):
        put(facts, sc.REQUEST_CHOICE_COUNT, settings["n"], int)
    if settings.get("response_format") is not None:
        facts[sc.OUTPUT_TYPE] = "json"


def server_facts(address: str) -> dict[str, Any]:
    """Return the host and the port of an address, without what it lacks or what is malformed. Never raises."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:  # "http://[::1/v1"
        return {}
    return {sc.SERVER_ADDRESS: host, **_port(parts)} if host else {}


def _port(parts: SplitResult) -> dict[str, int]:
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # "http://host:port/v1", "http://host:99999/v1"
        return {}
    return {sc.SERVER_PORT: port} if port else {}


def learn_keys(recorder: Recorder, settings: Any) -> None:
    """Let the redactor know the secrets among the settings of a request, so that no record shows them."""
    if type(settings) is not dict:
        return
    redactor = recorder.content.redactor
    for name in _SECRETS:
        if name in settings:
            redactor.know(settings[name])
    for name in _ADDRESSES:
        if type(settings.get(name)) is str:
            redactor.know_address(settings[name])
