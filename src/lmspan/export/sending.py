"""Send stored spans by OTLP, at once and with a result: how many the endpoint has accepted and how many it has refused.

The exporters and their retries are those of `lmspan.init(exporters="otlp")`. An endpoint that refuses a batch receives
its halves, so that one span that it cannot accept costs no other span.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # protobuf ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.util.re import parse_env_headers

from lmspan.errors import ConfigurationError
from lmspan.export import failures
from lmspan.export.otlp import BATCH_BYTES, QuietExporter, official
from lmspan.export.weight import weigh

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk.trace import ReadableSpan

_BATCH_SPANS: Final = 512
_MOST_REFUSED: Final = 16
"""Spans that an endpoint may refuse before it has accepted any: then it refuses all of them."""
_PATH: Final = "/v1/traces"


def signal_endpoint(endpoint: str, protocol: str, *, is_exact: bool = False) -> str:
    """Return the address to which spans are posted, from a base address, or from that address itself (`is_exact`).

    Raises:
        ConfigurationError: it is no URL.
    """
    try:
        parts = urlsplit(endpoint)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        shown = endpoint.rpartition("@")[2].partition("?")[0]
        raise ConfigurationError(f"{shown!r} is no URL of an endpoint; write one such as http://localhost:4318")
    if is_exact or protocol == "grpc" or parts.path.rstrip("/").endswith(_PATH):
        return endpoint
    return parts._replace(path=parts.path.rstrip("/") + _PATH).geturl()


def _with_environment(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return headers beside those of the standard variables, which the exporter for gRPC would leave out."""
    variables = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
    configured = next((os.environ[name] for name in variables if os.environ.get(name)), "")
    return {**parse_env_headers(configured, liberal=True), **(headers or {})}


class Sender:
    """Sends spans in batches. After a failure that is not the batch's fault, `failure` says why and nothing is sent."""

    def __init__(
        self,
        target: str,
        protocol: str,
        redact: Callable[[str], str],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send to the address of `signal_endpoint`, with these headers beside those of the environment.

        Raises:
            ConfigurationError: a variable of the environment is not usable.
        """
        self.address: str = failures.address(target)
        self.sent: int = 0
        self.refused: int = 0
        self.reason: str = ""
        """Why the endpoint has refused the first span."""
        self.failure: str = ""
        exporter, self._adapter = official(protocol, "traces", endpoint=target, headers=_with_environment(headers))
        self._exporter = QuietExporter(exporter, redact, self._adapter)
        self._redact = redact
        self._batch_bytes = BATCH_BYTES[protocol]
        self._batch: list[ReadableSpan] = []
        self._bytes = 0

    def add(self, span: ReadableSpan) -> None:
        """Send a span with the batch that it completes."""
        self._batch.append(span)
        self._bytes += weigh(span)
        if len(self._batch) >= _BATCH_SPANS or self._bytes >= self._batch_bytes:
            self.flush()

    def flush(self) -> None:
        """Send the last batch."""
        batch, self._batch, self._bytes = self._batch, [], 0
        self._deliver(batch)

    def close(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()

    def _deliver(self, batch: list[ReadableSpan]) -> None:
        if not batch or self.failure:
            return
        if self._exporter.export(batch) is SpanExportResult.SUCCESS:
            self._count(len(batch))
        elif not self._exporter.batch_refused:
            self.failure = self._exporter.trouble
        elif len(batch) == 1:
            self._refuse(1, self._exporter.trouble)
            if not self.sent and self.refused >= _MOST_REFUSED:
                self.failure = f"every span is refused: {self.reason}"
        else:
            self._deliver(batch[: len(batch) // 2])
            self._deliver(batch[len(batch) // 2 :])

    def _count(self, count: int) -> None:
        """Count an accepted batch, without the spans that the response names as refused."""
        part = ExportTraceServiceResponse().partial_success
        if self._adapter is not None:
            with suppress(DecodeError):
                part = ExportTraceServiceResponse.FromString(self._adapter.answer).partial_success
        refused = min(max(part.rejected_spans, 0), count)
        self.sent += count - refused
        if refused:
            self._refuse(refused, self._redact(failures.with_hint(part.error_message)))

    def _refuse(self, count: int, reason: str) -> None:
        self.refused += count
        self.reason = self.reason or reason
