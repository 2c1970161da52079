"""Check environment variables: wrong values of OpenTelemetry's variables, and unknown variables of lmspan.

The SDK and its exporters read their variables at import or construction. For a wrong value they raise, or print a
traceback, or print the value, which may be a key. The user of a program may not be its author. Therefore lmspan logs
one warning for a wrong variable and uses the default.

The checks follow the code of the SDK 1.43 to 1.45 where it differs from the specification: its timeouts are in seconds.
"""

from __future__ import annotations

import logging
import math
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableMapping

logger: Final = logging.getLogger("lmspan")

OWN: Final = (
    "LMSPAN_ATTRIBUTES", "LMSPAN_DIR", "LMSPAN_ENABLED", "LMSPAN_HOOK_TIMEOUT_S", "LMSPAN_JAEGER", "LMSPAN_SPAN",
    "LMSPAN_OPENINFERENCE", "LMSPAN_RUN", "LMSPAN_RUN_FIRST",
)  # fmt: skip
"""The variables of lmspan itself."""
STANDARD: Final = (  # names that the user of an unknown LMSPAN_ variable may mean
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
    "OTEL_LOGS_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_EXPORTER",
)

ENDPOINTS: Final = tuple(f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT" for signal in ("TRACES_", "METRICS_", "LOGS_", ""))
"""The variables of endpoints; the last one is the base address for all signals."""

_LONGEST_SHOWN: Final = 60

# An entry of OTEL_EXPORTER_OTLP_HEADERS that the exporters accept; they print any other entry.
_HEADER: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+[ \t]*=[ \t]*[\x20\x21\x23-\x3a\x3c-\x5b\x5d-\x7e]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fault:
    """A value that cannot be used. `instead` is the value to use; an empty `reason` needs no warning."""

    reason: str
    instead: str | None = None
    consequence: str = "the default is used"


def unusable(environ: Mapping[str, str]) -> dict[str, Fault]:
    """Return the variables whose values OpenTelemetry cannot use, in the order of the table below."""
    results = {name: check(environ[name], environ) for name, check in CHECKS.items() if name in environ}
    return {name: fault for name, fault in results.items() if fault is not None}


@contextmanager
def without_wrong_variables(environ: MutableMapping[str, str] = os.environ, *, warn: bool = True) -> Iterator[None]:
    """Hide wrong variables from OpenTelemetry inside the `with`, and warn of each once.

    Use it to import the SDK and to create providers and exporters. Afterwards the environment is as before, because the
    program and its child processes may interpret the variables in their own way.
    """
    faults = unusable(environ)
    before = {name: environ[name] for name in faults}
    for name, fault in faults.items():
        del environ[name]
        if fault.instead:
            environ[name] = fault.instead
        if fault.reason and warn:
            logger.warning("lmspan: %s: %s; %s", name, fault.reason, fault.consequence)
    try:
        yield
    finally:
        environ.update(before)


def warn_of_unknown_names(environ: Mapping[str, str]) -> None:
    """Warn of each unknown variable that starts with LMSPAN_, and suggest a known one."""
    known = {name.partition("_")[2]: name for name in (*OWN, *STANDARD)} | {"EXPORTERS": "OTEL_TRACES_EXPORTER"}
    for name in sorted(environ):
        if name.startswith("LMSPAN_") and name not in OWN:
            import difflib  # noqa: PLC0415 - for wrong names only

            near = difflib.get_close_matches(name.removeprefix("LMSPAN_"), known, n=1, cutoff=0.45)
            hint = f"did you mean {known[near[0]]}?" if near else f"the names are {', '.join(OWN)}"
            logger.warning("lmspan: %s is not known and has no effect; %s", name, hint)


# Checks of a value; the environment holds the other variables ------------------------------------------------------


def _whole(least: int, most: int, value: str, _: Mapping[str, str]) -> Fault | None:
    if not value.strip():
        return Fault("")
    try:
        fits = least <= int(value) <= most
    except ValueError:
        fits = False
    return None if fits else Fault(f"{_short(value)} is not a whole number from {least} to {most}")


def _limit(value: str, environ: Mapping[str, str]) -> Fault | None:
    """Check a limit of the SDK; an empty value means no limit."""
    return None if not value.strip() else _whole(0, 10**12, value, environ)


def _number(most: float, value: str, _: Mapping[str, str]) -> Fault | None:
    if not value.strip():
        return Fault("")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    return None if 0 < number <= most else Fault(f"{_short(value)} is not a number above 0, up to {most:.0e}")


def _word(words: tuple[str, ...], fold: Callable[[str], str], value: str, _: Mapping[str, str]) -> Fault | None:
    if not value.strip():
        return Fault("")
    return None if fold(value) in words else Fault(f"{_short(value)} is not one of {', '.join(words)}")


def _ratio(value: str, environ: Mapping[str, str]) -> Fault | None:
    """Check the argument of a sampler, which only samplers of a ratio read."""
    if "traceidratio" not in environ.get("OTEL_TRACES_SAMPLER", "").lower():
        return None
    try:
        fits = 0 <= float(value) <= 1
    except ValueError:
        fits = False
    return None if fits else Fault(f"{_short(value)} is not a number from 0 to 1", "1.0")


def _batch_size(value: str, environ: Mapping[str, str]) -> Fault | None:
    """Check the size of the queue or of a batch of log records; the SDK raises if a batch is larger than the queue."""
    queue = _size(environ, "OTEL_BLRP_MAX_QUEUE_SIZE", 2048)
    batch = _size(environ, "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", 512)
    pair = Fault(f"a batch of {batch} is larger than the queue of {queue}") if batch > queue else None
    return _whole(1, 10**9, value, environ) or pair


def _size(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name, "").strip()
    return int(value) if value.isdecimal() else default


def _compression(value: str, environ: Mapping[str, str]) -> Fault | None:
    word = value.strip().lower()
    if _is_grpc(environ) and word == "none":
        return Fault("")  # the gRPC exporter has this default but no name for it
    words = ("gzip", "none") if _is_grpc(environ) else ("gzip", "deflate", "none")
    return _word(words, lambda text: text.strip().lower(), value, environ)


def _headers(value: str, environ: Mapping[str, str]) -> Fault | None:
    """Check the headers; the reason shows no part of a value, because headers contain keys."""
    charset = "ascii" if _is_grpc(environ) else "latin-1"

    def can_be_sent(entry: str) -> bool:
        text = unquote(entry.partition("=")[2])
        encoded = text.encode(charset, "ignore").decode(charset)
        return bool(_HEADER.fullmatch(entry.strip())) and text.isprintable() and text == encoded

    return _entries(value, can_be_sent, "header")


def _attributes(value: str, _: Mapping[str, str]) -> Fault | None:
    return _entries(value, lambda entry: bool(re.match(r"\s*[^\s=][^=]*=", entry)), "resource attribute")


def _entries(value: str, fits: Callable[[str], bool], kind: str) -> Fault | None:
    entries = [entry for entry in value.split(",") if entry.strip()]
    valid = ",".join(entry for entry in entries if fits(entry))
    wrong = [str(position) for position, entry in enumerate(entries, 1) if not fits(entry)]
    if not wrong:
        return None if value == valid else Fault("", valid)
    reason = f"{kind} {', '.join(wrong)} is not of the form name=value, with other characters as %XX"
    return Fault(reason, valid, "the others are used") if valid else Fault(reason)


def _file(value: str, environ: Mapping[str, str]) -> Fault | None:
    path = Path(value)
    fits = path.is_file() or (path.is_dir() and not _is_grpc(environ))
    return None if not value or (fits and os.access(path, os.R_OK)) else Fault(f"{_short(value)} cannot be read")


def _installed(group: str, value: str, _: Mapping[str, str]) -> Fault | None:
    """Check the name of a plugin that OpenTelemetry loads by its entry point."""
    if not value.strip() or entry_points(group=f"opentelemetry_{group}", name=value):
        return None if value else Fault("")
    return Fault(f"{_short(value)} is not installed")


def _detectors(value: str, environ: Mapping[str, str]) -> Fault | None:
    names = [name.strip() for name in value.split(",") if name.strip()]
    valid = [name for name in names if name == "*" or _installed("resource_detector", name, environ) is None]
    if valid == names:
        return None
    reason = f"{_short(', '.join(name for name in names if name not in valid))} is not installed"
    return Fault(reason, ",".join(valid), "the others are used") if valid else Fault(reason)


def _statuses(value: str, environ: Mapping[str, str]) -> Fault | None:
    wrong = (name for name in value.split(",") if name.strip() and name.strip().upper() not in _GRPC_STATUSES)
    return next((_word(_GRPC_STATUSES, str.upper, name.strip(), environ) for name in wrong), None)


def _is_grpc(environ: Mapping[str, str]) -> bool:
    chosen = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    return chosen.strip() == "grpc"


def _short(value: str) -> str:
    return repr(value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}...")


_GRPC_STATUSES: Final = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "OUT_OF_RANGE",
)  # fmt: skip
_SAMPLERS: Final = (
    "always_on", "always_off", "traceidratio",
    "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
)  # fmt: skip


def _folded(text: str) -> str:
    return text.strip().lower()


_MILLISECONDS: Final = 1e12  # a larger timeout overflows the clock of a waiting thread
_SECONDS: Final = 1e9

_BY_SIGNAL: Final[dict[str, Callable[[str, Mapping[str, str]], Fault | None]]] = {
    "TIMEOUT": partial(_number, _SECONDS),
    "COMPRESSION": _compression,
    "HEADERS": _headers,
    "CERTIFICATE": _file,
    "CLIENT_CERTIFICATE": _file,
    "CLIENT_KEY": _file,
    "INSECURE": partial(_word, ("true", "false"), str.lower),
}

CHECKS: Final[dict[str, Callable[[str, Mapping[str, str]], Fault | None]]] = {
    **dict.fromkeys(
        (
            "OTEL_ATTRIBUTE_COUNT_LIMIT",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
            "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
            "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
            "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
            "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
            "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
            "OTEL_SPAN_EVENT_COUNT_LIMIT",
            "OTEL_SPAN_LINK_COUNT_LIMIT",
        ),
        _limit,
    ),
    "OTEL_TRACES_SAMPLER": partial(_word, _SAMPLERS, str.lower),
    "OTEL_TRACES_SAMPLER_ARG": _ratio,
    "OTEL_METRIC_EXPORT_INTERVAL": partial(_number, _MILLISECONDS),
    "OTEL_METRIC_EXPORT_TIMEOUT": partial(_number, _MILLISECONDS),
    "OTEL_METRICS_EXEMPLAR_FILTER": partial(_word, ("trace_based", "always_on", "always_off"), str),
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": partial(_word, ("cumulative", "delta", "lowmemory"), _folded),
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": partial(
        _word, ("explicit_bucket_histogram", "base2_exponential_bucket_histogram"), _folded
    ),
    "OTEL_BLRP_SCHEDULE_DELAY": partial(_whole, 1, 10**12),
    "OTEL_BLRP_EXPORT_TIMEOUT": partial(_whole, 1, 10**12),
    "OTEL_BLRP_MAX_QUEUE_SIZE": _batch_size,
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": _batch_size,
    "OTEL_RESOURCE_ATTRIBUTES": _attributes,
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": _detectors,
    "OTEL_PYTHON_TRACER_PROVIDER": partial(_installed, "tracer_provider"),
    "OTEL_PYTHON_METER_PROVIDER": partial(_installed, "meter_provider"),
    "OTEL_PYTHON_LOGGER_PROVIDER": partial(_installed, "logger_provider"),
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": partial(_word, ("true", "false"), _folded),
    "OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES": _statuses,
    **{
        f"OTEL_PYTHON_EXPORTER_OTLP_{name}_{signal}CREDENTIAL_PROVIDER": partial(_installed, "otlp_credential_provider")
        for name in ("HTTP", "GRPC")
        for signal in ("", "TRACES_", "METRICS_", "LOGS_")
    },
    **{
        f"OTEL_EXPORTER_OTLP_{signal}{name}": check
        for signal in ("", "TRACES_", "METRICS_", "LOGS_")
        for name, check in _BY_SIGNAL.items()
    },
}
"""The variables that the SDK or an OTLP exporter reads at import or construction, and their checks."""
