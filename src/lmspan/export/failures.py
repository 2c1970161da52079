"""Describe failed exports: the address, the response or the cause, and a hint for common mistakes.

`batch_refused` separates two kinds of failures. An endpoint that refuses a batch for its content or its size refuses it
every time; all other failures (no connection, no permission, overload) are independent of the batch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

from lmspan.config import PORT_HINTS

LONGEST_WAIT_S: Final = 60.0

_REFUSED_STATUSES: Final = (400, 413, 422)
_REFUSED_LINES: Final = re.compile(
    r"StatusCode\.(INVALID_ARGUMENT|OUT_OF_RANGE)"
    r"|larger than max|Received http2 header with status: 413"  # gRPC's limit of a message, and a proxy's
    r"|^Failed to encode|^Dropping "  # the verdict of the exporter itself, before it sends anything
)
_LONGEST_REASON: Final = 240

# A pattern of the reason, and a hint. The first pattern that matches decides.
_HINTS: Final = tuple(
    (re.compile(pattern), hint)
    for pattern, hint in (
        (r"BadStatusLine\(.\\x00\\x00", PORT_HINTS["http/protobuf"]),  # an HTTP/2 SETTINGS frame
        (r"Failed parsing HTTP/2|http1\.x server", PORT_HINTS["grpc"]),
        (r"BadStatusLine\(.\\x15\\x03|HTTP request to an HTTPS server", "this port speaks TLS: write https://"),
        (r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE", "this port does not speak TLS: write http://"),
        (
            r"CERTIFICATE_VERIFY_FAILED",
            "set OTEL_EXPORTER_OTLP_CERTIFICATE to the file of the certificate authority",
        ),
        (
            r"/v1/(traces|metrics|logs)/v1/",
            "OTEL_EXPORTER_OTLP_ENDPOINT is the base address, to which the path of each signal is added",
        ),
        (r"^40[13] |UNAUTHENTICATED|PERMISSION_DENIED", "check OTEL_EXPORTER_OTLP_HEADERS"),
    )
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed export. `retry_after_s` is the wait that the endpoint requests, at most `LONGEST_WAIT_S`."""

    reason: str
    batch_refused: bool = False
    retry_after_s: float | None = None


def of_status(status: int, url: str, retry_after: str | None = None) -> Failure:
    """Return the failure for an HTTP status."""
    return Failure(
        with_hint(f"{named(status)} from {address(url)}"),
        batch_refused=status in _REFUSED_STATUSES,
        retry_after_s=_seconds(retry_after) if status in (429, 503) else None,
    )


def of_error(error: BaseException, url: str) -> Failure:
    """Return the failure for an error of the connection, with the innermost cause as its reason."""
    cause = _innermost(error)
    text = cause.strerror if isinstance(cause, OSError) and cause.strerror else repr(cause)
    return Failure(with_hint(f"{text} at {address(url)}"))


def of_line(line: str) -> Failure:
    """Return the failure that an official exporter reports in a log line, the only report of the gRPC exporter."""
    return Failure(
        with_hint(re.sub(r"[^\s/@]+:[^\s/@]+@", "", line)), batch_refused=_REFUSED_LINES.search(line) is not None
    )


def with_hint(reason: str) -> str:
    """Return the reason, safe to print and of limited length, with its hint."""
    hint = next((f"; {hint}" for pattern, hint in _HINTS if pattern.search(reason)), "")
    return printable(reason)[:_LONGEST_REASON] + hint


def printable(text: str) -> str:
    """Return text of an endpoint without control characters of a terminal."""
    return "".join(each if each.isprintable() else "?" for each in text)


def named(status: int) -> str:
    """Return an HTTP status with the phrase of the standard."""
    return f"{status} {HTTPStatus(status).phrase}" if status in list(HTTPStatus) else str(status)


def address(url: str, base: str = "") -> str:
    """Return a URL, or one that is relative to `base`, without the parts that may hold keys: user, password, query."""
    try:
        parts = urlsplit(urljoin(base, url))
    except ValueError:
        return "an address that is no URL"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _innermost(error: BaseException) -> BaseException:
    """Return the innermost error: `requests` wraps errors of urllib3, which wraps errors of the system."""
    while True:
        candidates = [getattr(error, "reason", None), *error.args, error.__cause__]
        inner = next((each for each in candidates if isinstance(each, BaseException) and each is not error), None)
        if inner is None:
            return error
        error = inner


def _seconds(retry_after: str | None) -> float | None:
    """Return the wait of a Retry-After header, which contains seconds or a date."""
    text = (retry_after or "").strip()
    if text.isdecimal() and text.isascii():
        return min(float(text[:9]), LONGEST_WAIT_S)
    try:
        left = parsedate_to_datetime(text).astimezone(UTC) - datetime.now(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(left.total_seconds(), 0.0), LONGEST_WAIT_S)
