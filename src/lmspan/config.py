"""Resolve the configuration of init(): arguments, then the environment, then defaults.

A wrong argument raises `ConfigurationError`. A wrong environment variable logs one warning and has its default value,
because the user of a program may not be its author.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lmspan import environment
from lmspan.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

logger: Final = logging.getLogger("lmspan")

EXPORTERS: Final = ("file", "otlp", "console", "none")
EVENTS: Final = ("span", "log", "both")
CAPTURES: Final = ("none", "span", "event", "both")
PROTOCOLS: Final = ("http/protobuf", "grpc")
_SIGNAL_PROTOCOLS: Final = (
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
)
CAPTURE_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

PORT_HINTS: Final = {
    "http/protobuf": "4317 is usually gRPC: use port 4318, or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
    "grpc": "4318 is usually HTTP: use port 4317, or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
}
"""For each protocol, a hint for a port of the other protocol."""

_OTHER_PORTS: Final = {"http/protobuf": ":4317", "grpc": ":4318"}

_CAPTURES_IN_ENVIRONMENT: Final = {
    **{mode: mode for mode in CAPTURES},
    # values of the OpenTelemetry conventions
    "no_content": "none",
    "span_only": "span",
    "event_only": "event",
    "span_and_event": "both",
    # values of earlier conventions and of other instrumentations
    "false": "none",
    "true": "span",
}
_FLAGS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
_HOOK_TIMEOUT_S: Final = 5.0
_LARGEST_CONTENT: Final = 262_144
_NO_CONTENT: Final = (
    "lmspan: prompts and answers are not recorded because spans leave this machine; capture_content='span' or "
    "%s=SPAN_ONLY records them, NO_CONTENT confirms and silences this line"
)


@dataclass(frozen=True)
class Config:
    """A resolved configuration. `exporters` holds names of `EXPORTERS` and objects of the OpenTelemetry SDK."""

    service_name: str
    exporters: tuple[Any, ...]
    instrument: tuple[str, ...] | None
    capture_content: str
    events: str
    openinference: bool
    protocol: str
    content_max_bytes: int
    metrics: str
    metrics_protocol: str
    logs: str
    logs_protocol: str


def resolve(
    *,
    service_name: str | None,
    exporters: Any,
    instrument: Iterable[str] | str | None,
    capture_content: str | None,
    events: str,
    openinference: bool,
    provider_exists: bool,
    environ: Mapping[str, str] = os.environ,
) -> Config:
    """Return the configuration for the arguments of init().

    `provider_exists` states that the program has its own provider. Then spans go to this provider only, unless
    `exporters` names others.
    """
    if type(openinference) is not bool:
        raise ConfigurationError(f"openinference: {openinference!r} is not known; use True or False")
    environment.warn_of_unknown_names(environ)
    chosen = _exporters(exporters, environ, provider_exists=provider_exists)
    protocol, metrics_protocol, logs_protocol = otlp_protocols(environ)
    if "otlp" in chosen and not _is_address(environ, protocol):
        chosen = tuple(each for each in chosen if each != "otlp") or ("none",)
    local_only = not provider_exists and all(each in ("file", "console", "none") for each in chosen)
    capture = _choice("capture_content", capture_content, CAPTURES) or capture_from_environment(environ)
    if capture is None and "otlp" in chosen:
        logger.warning(_NO_CONTENT, CAPTURE_VARIABLE)
    return Config(
        service_name=service_name or environ.get("OTEL_SERVICE_NAME") or script_name(),
        exporters=tuple(each for each in chosen if each != "none"),
        instrument=_names(instrument),
        capture_content=capture or ("local" if local_only else "none"),
        events=_choice("events", events, EVENTS) or "span",
        openinference=openinference or _flag("LMSPAN_OPENINFERENCE", environ),
        protocol=protocol,
        content_max_bytes=_content_limit(environ),
        metrics=_signal("OTEL_METRICS_EXPORTER", environ) or "none",
        metrics_protocol=metrics_protocol,
        logs=_signal("OTEL_LOGS_EXPORTER", environ) or ("otlp" if "otlp" in chosen else "none"),
        logs_protocol=logs_protocol,
    )


def _names(instrument: Iterable[str] | str | None) -> tuple[str, ...] | None:
    if instrument is None:
        return None
    if isinstance(instrument, str):
        return (instrument,)
    if not hasattr(type(instrument), "__iter__"):
        raise ConfigurationError(f"instrument: {instrument!r} is not a name or a list of names")
    return tuple(instrument)


def is_disabled(environ: Mapping[str, str]) -> bool:
    """Return whether the environment disables lmspan, or the whole OpenTelemetry SDK."""
    own = _FLAGS.get(environ.get("LMSPAN_ENABLED", "").strip().lower())
    return own is False or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def capture_from_environment(environ: Mapping[str, str]) -> str | None:
    """Return the capture mode of the standard variable, or None if it is not set."""
    value = environ.get(CAPTURE_VARIABLE, "").strip()
    if not value:
        return None
    mode = _CAPTURES_IN_ENVIRONMENT.get(value.lower())
    if mode is None:
        refuse_capture(value)
    return mode or "none"


@cache
def refuse_capture(value: str) -> None:
    """Warn of a wrong value of the standard variable, once in a process: `import lmspan` and `init()` both read it."""
    valid = "NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT"
    _warn(CAPTURE_VARIABLE, value, valid, "no content is recorded")


def script_name() -> str:
    """Return the name of the running script, of the module for `python -m`, otherwise "python"."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name).removesuffix(".__main__")
    name = Path(sys.argv[0]).stem if sys.argv else ""
    return name if name not in ("", "-c", "-") else "python"


def _exporters(exporters: Any, environ: Mapping[str, str], *, provider_exists: bool) -> tuple[Any, ...]:
    if exporters is None:
        return () if provider_exists else exporters_from_environment(environ)
    is_one = isinstance(exporters, str) or not hasattr(exporters, "__iter__")
    chosen = (exporters,) if is_one else tuple(exporters)
    for each in chosen:
        if isinstance(each, str):
            _choice("exporters", each, EXPORTERS)
        elif not (hasattr(each, "export") or hasattr(each, "on_end")):
            raise ConfigurationError(
                f"exporters: {type(each).__name__!r} object is neither a SpanExporter nor a SpanProcessor; "
                f"pass such an object or one of the names {_words(EXPORTERS)}"
            )
    return chosen


def exporters_from_environment(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the exporters that the standard variables select, otherwise the local file."""
    names = [name.strip() for name in environ.get("OTEL_TRACES_EXPORTER", "").split(",") if name.strip()]
    known = [name for name in names if name in EXPORTERS]
    if names != known:
        unknown = next(name for name in names if name not in EXPORTERS)
        _warn("OTEL_TRACES_EXPORTER", unknown, _words(EXPORTERS), "it is left out" if known else "no span is exported")
    if names:
        return tuple(known)
    endpoints = (environment.ENDPOINTS[0], environment.ENDPOINTS[-1])
    return ("otlp",) if any(environ.get(name) for name in endpoints) else ("file",)


def _flag(variable: str, environ: Mapping[str, str]) -> bool:
    """Return whether a variable of lmspan is set to true."""
    value = environ.get(variable, "").strip()
    if value and value.lower() not in _FLAGS:
        _warn(variable, value, "1 or 0", "it is left out")
    return _FLAGS.get(value.lower(), False)


def _signal(variable: str, environ: Mapping[str, str]) -> str:
    """Return the exporter of metrics or log records, or "" if the variable is not set."""
    value = environ.get(variable, "").strip()
    known = ("otlp", "console", "none") if variable == "OTEL_METRICS_EXPORTER" else ("otlp", "none")
    if value and value not in known:
        _warn(variable, value, _words(known), "nothing is exported")
        return "none"
    return value


def otlp_protocols(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the protocols of spans, metrics and log records that the standard variables select."""
    base = _protocol("OTEL_EXPORTER_OTLP_PROTOCOL", environ) or PROTOCOLS[0]
    return tuple(_protocol(name, environ) or base for name in _SIGNAL_PROTOCOLS)


def _protocol(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name, "").strip()
    if value and value not in PROTOCOLS:
        _warn(name, value, _words(PROTOCOLS), "it is ignored")
        return ""
    return value


def _is_address(environ: Mapping[str, str], protocol: str) -> bool:
    """Return whether the address in the environment is usable; warn of mistakes in it.

    The exporters raise for an address that is no URL, and report any other mistake only after their last attempt.
    """
    names = (environment.ENDPOINTS[0], environment.ENDPOINTS[-1])
    name = next((name for name in names if environ.get(name, "").strip()), None)
    if name is None:
        return True
    value = environ[name].strip()
    place = value.rpartition("@")[2].partition("?")[0]  # the rest of the address may contain keys
    if not _is_url(value):
        logger.warning("lmspan: %s=%r is no URL; no span is exported by OTLP", name, place)
        return False
    if protocol != "grpc" and not value.lower().startswith(("http://", "https://")):
        _warn(name, place, f"http://{place.rpartition('://')[2]}", "nothing can be delivered there")
    elif place.rpartition("://")[2].partition("/")[0].endswith(_OTHER_PORTS[protocol]):
        logger.warning("lmspan: %s=%r and the protocol %s: %s", name, place, protocol, PORT_HINTS[protocol])
    elif name == names[-1] and protocol != "grpc" and place.rstrip("/").endswith("/v1/traces"):
        logger.warning("lmspan: %s=%r is the base address: leave out /v1/traces, which is added to it", name, place)
    return True


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.port != 0 and (parts.scheme not in ("http", "https") or bool(parts.hostname))
    except ValueError:
        return False


def _content_limit(environ: Mapping[str, str]) -> int:
    """Return the longest length of a content attribute; the SDK cuts a longer one in the middle of its JSON."""
    for name in ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"):
        value = environ.get(name, "").strip()
        if value.isdecimal():
            return min(int(value), _LARGEST_CONTENT)
    return _LARGEST_CONTENT


def hook_timeout(environ: Mapping[str, str] = os.environ) -> float:
    """Return for how many seconds a run waits for an async hook, where the subscription does not say."""
    value = environ.get("LMSPAN_HOOK_TIMEOUT_S", "").strip()
    try:
        seconds = float(value) if value else _HOOK_TIMEOUT_S
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        _warn("LMSPAN_HOOK_TIMEOUT_S", value, "a number of seconds above 0", f"a run waits for {_HOOK_TIMEOUT_S:g} s")
        return _HOOK_TIMEOUT_S
    return seconds


def _choice(option: str, value: Any, choices: tuple[str, ...]) -> str | None:
    if value is not None and value not in choices:
        raise ConfigurationError(f"{option}: {value!r} is not known; use one of {_words(choices)}")
    return value  # type: ignore[no-any-return] # None, or one of the choices


def _warn(variable: str, value: str, valid: str, consequence: str) -> None:
    logger.warning("lmspan: %s=%r is not known (use %s); %s", variable, value, valid, consequence)


def _words(choices: tuple[str, ...]) -> str:
    return ", ".join(f'"{choice}"' for choice in choices)
