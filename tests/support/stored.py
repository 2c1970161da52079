"""Trace files, and spans as they are read from them."""

import json

from lmspan.traces import StoredSpan

TRACE = "ab" * 16
SECOND = 10**9


def span(span_id, parent="", name="module M", start=0, end=SECOND, status=0, attributes=None, events=(), **more):
    """A span as a reader has it."""
    return StoredSpan(TRACE, span_id, parent, name, 1, start, end, status, "", attributes or {}, events, "shop", **more)


def otlp(
    span_id, parent="", name="module M", start=0, end=1, trace="ab", attributes=None, status=0, events=(), flags=0
):
    """A span as a file has it; times are seconds, and `trace` is repeated to the length of an id."""
    return {
        "traceId": trace * (32 // len(trace)), "spanId": span_id, "parentSpanId": parent, "name": name,
        "startTimeUnixNano": str(int(start * SECOND)), "endTimeUnixNano": str(int(end * SECOND)),
        "attributes": [{"key": key, "value": value_of(value)} for key, value in (attributes or {}).items()],
        "status": {"code": status}, "flags": flags,
        "events": [
            {"name": name, "timeUnixNano": str(int(at * SECOND)),
             "attributes": [{"key": key, "value": value_of(value)} for key, value in facts.items()]}
            for name, at, facts in events
        ],
    }  # fmt: skip


def value_of(value):
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [value_of(each) for each in value]}}
    return {"stringValue": value if isinstance(value, str) else json.dumps(value)}


def line(*spans, service="shop"):
    """A line of a trace file."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}) + "\n"


def write(path, *spans, service="shop"):
    """Append spans to a file, each in a line of its own."""
    with path.open("a") as file:
        file.writelines(line(each, service=service) for each in spans)
    return path


def messages(*listed):
    """The messages of a model call as a span has them; each is a role and its parts."""
    return json.dumps([{"role": role, "parts": parts} for role, parts in listed])


def text(content):
    return {"type": "text", "content": content}
