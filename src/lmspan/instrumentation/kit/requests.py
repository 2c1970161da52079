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
    ("maxOutputTokens", sc.REQUEST_MAX_TOKENS, int),
    ("top_p", sc.REQUEST_TOP_P, float),
    ("topP", sc.REQUEST_TOP_P, float),
    ("top_k", sc.REQUEST_TOP_K, int),
    ("topK", sc.REQUEST_TOP_K, int),
    ("frequency_penalty", sc.REQUEST_FREQUENCY_PENALTY, float),
    ("frequencyPenalty", sc.REQUEST_FREQUENCY_PENALTY, float),
    ("presence_penalty", sc.REQUEST_PRESENCE_PENALTY, float),
    ("presencePenalty", sc.REQUEST_PRESENCE_PENALTY, float),
    ("seed", sc.REQUEST_SEED, int),
    ("reasoning_effort", sc.REQUEST_REASONING_LEVEL, str),
)
_RANKS: Final = {name: rank for rank, (name, _, _) in enumerate(_PARAMETERS)}
_STOPS: Final = ("stop", "stop_sequences", "stopSequences")
_COUNTS: Final = ("n", "candidate_count", "candidateCount")
# where a parameter is inside of another one
_REASONING: Final = (("reasoning", "effort"), ("output_config", "effort"), ("thinkingConfig", "thinkingLevel"))
_FORMATS: Final = (
    ("response_format",), ("text", "format"), ("output_config", "format"), ("output_format",), ("responseMimeType",),
    ("response_mime_type",),
)  # fmt: skip
_RARE: Final = frozenset((*_STOPS, *_COUNTS, *(path[0] for path in (*_REASONING, *_FORMATS))))
_TEXT: Final = ("text", "text/plain")
PARAMETERS: Final = (*{name for _, name, _ in _PARAMETERS}, sc.REQUEST_STOP_SEQUENCES, sc.OUTPUT_TYPE)
"""The attributes of the parameters, without the number of choices: some libraries send a request for each."""

_SECRETS: Final = ("api_key", "azure_ad_token", "aws_secret_access_key", "aws_session_token", "vertex_credentials")
_ADDRESSES: Final = ("api_base", "base_url")


def add_parameters(facts: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Add the parameters that a request sets, by the names that the clients and APIs of the providers use."""
    config = settings.get("generationConfig")  # where Gemini's API has them
    settings = config if type(config) is dict else settings
    for rank in sorted(_RANKS[name] for name in _RANKS.keys() & settings.keys()):
        name, attribute, kind = _PARAMETERS[rank]
        if attribute not in facts:
            put(facts, attribute, settings[name], kind)
    if _RARE.isdisjoint(settings):
        return
    for path in _REASONING:
        put(facts, sc.REQUEST_REASONING_LEVEL, _inside(settings, path), str)
    for stop in map(settings.get, _STOPS):
        stops = [stop] if type(stop) is str else stop
        if type(stops) is list and stops and all(type(each) is str for each in stops):
            facts[sc.REQUEST_STOP_SEQUENCES] = stops
    for count in map(settings.get, _COUNTS):
        if count not in (None, 1):
            put(facts, sc.REQUEST_CHOICE_COUNT, count, int)
    if any(_is_structured(_inside(settings, path)) for path in _FORMATS):
        facts[sc.OUTPUT_TYPE] = "json"


def _inside(settings: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """Return the value at a path of plain dicts, else None."""
    value: Any = settings
    for name in path:
        value = value.get(name) if type(value) is dict else None
    return value


def _is_structured(form: Any) -> bool:
    """Return whether a format of the answer is another one than text; a class stands for its schema."""
    kind = form.get("type") if type(form) is dict else form
    return kind is not None and (type(kind) is not str or kind not in _TEXT)


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
