"""Let the official exporters of spans send what lmspan's encoder writes, a quarter of the work of their own encoder.

One method of an exporter calls the function `encode_spans` of its module. A subclass has a copy of this method, in
which the name stands for lmspan's function; endpoint, attempts, limits and the rest of the method stay the exporter's.
"""

from __future__ import annotations

import logging
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan.export import otlp_protobuf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

logger: Final = logging.getLogger("lmspan.export")

_NAME: Final = "encode_spans"
_reported: Final[set[str]] = set()


class Written(NamedTuple):
    """An encoded request, with the method of a protobuf message that the exporter calls."""

    data: bytes

    def SerializePartialToString(self) -> bytes:  # noqa: N802 - the name of protobuf
        """Return the request."""
        return self.data


def with_own_encoder(kind: Any, protocol: str) -> Any:
    """Return a subclass of an exporter that uses lmspan's encoder, or the exporter of a release that is not known."""
    name, encode = _METHODS[protocol]
    method: Any = getattr(kind, name, None)
    if not isinstance(method, FunctionType) or _NAME not in method.__code__.co_names:
        return kind
    own = FunctionType(
        method.__code__, {**method.__globals__, _NAME: encode}, name, method.__defaults__, method.__closure__
    )
    own.__kwdefaults__ = method.__kwdefaults__
    return type(kind.__name__, (kind,), {name: own, "__module__": kind.__module__})


def _for_http(spans: Sequence[ReadableSpan]) -> Any:
    return _encoded(spans, Written)


def _for_grpc(spans: Sequence[ReadableSpan]) -> Any:
    """Return a real message: gRPC serializes no other object. Protobuf parses it in C."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415 - HTTP does not need it
        ExportTraceServiceRequest,
    )

    return _encoded(spans, ExportTraceServiceRequest.FromString)


def _encoded(spans: Sequence[ReadableSpan], message: Callable[[bytes], Any]) -> Any:
    """Return a message of spans, from the official encoder if lmspan's has no answer for one of them."""
    try:
        return message(otlp_protobuf.request(spans))
    except Exception as error:  # noqa: BLE001 - spans of other instrumentations may have any value
        _report(error)
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans  # noqa: PLC0415 - rarely used

    return encode_spans(spans)


def _report(error: Exception) -> None:
    """Log the first error of each type."""
    kind = type(error).__name__
    if kind not in _reported:
        _reported.add(kind)
        logger.info(
            "lmspan: a batch has a span that only OpenTelemetry's encoder can write (%s), which is slower", kind
        )


_METHODS: Final[dict[str, tuple[str, Callable[[Sequence[ReadableSpan]], Any]]]] = {
    "http": ("export", _for_http),
    "grpc": ("_translate_data", _for_grpc),
}
"""The method that encodes, by protocol, and the function that it is to call."""
