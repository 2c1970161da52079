"""Read the traces of a Jaeger by its HTTP API, which returns them as OTLP JSON.

A query brings the traces that it needs into a temporary directory, a file for each, and is then the same as for local
files. Jaeger selects by service and time only; the store does the rest.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import urllib3

from lmspan.errors import TraceFileError
from lmspan.traces.filters import Filter, moment
from lmspan.traces.locations import ANY, Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_MOST_TRACES: Final = 100  # of a service, for a query without a limit of its own
_DAYS: Final = 30  # before now, for a query without `since`
_FRESH_S: Final = 2.0
_TIMEOUT: Final = urllib3.Timeout(connect=5, read=60)
_MOST_BYTES: Final = 512 * 1024 * 1024  # of one response
_CHUNK: Final = 1024 * 1024


class JaegerLocation(Location):
    """A Jaeger, and the directory for the traces that were read from it."""

    def __init__(self, address: str) -> None:
        """Read from the address of Jaeger's page, such as http://localhost:16686.

        Raises:
            TraceFileError: this is no address.
        """
        self._files = tempfile.TemporaryDirectory(prefix="lmspan-jaeger-")  # removed with this object
        directory = Path(self._files.name)
        super().__init__(directory, directory, ANY, is_journaled=False, keeps_index=False)
        try:
            url = urllib3.util.parse_url(address)
        except urllib3.exceptions.LocationParseError as error:
            raise TraceFileError(f"{address} is no address of a Jaeger: {error}") from error
        self._address = url._replace(auth=None, query=None, fragment=None).url.rstrip("/")
        headers = urllib3.make_headers(basic_auth=url.auth, accept_encoding=True)
        self._query: tuple[object, ...] = ()
        self._queried = 0.0
        self._troubles: list[str] = []
        self._http = urllib3.PoolManager(timeout=_TIMEOUT, retries=False, headers=headers)

    def __str__(self) -> str:
        return self._address

    def fetch(self, wanted: Filter, limit: int | None) -> list[str]:
        """Bring the newest traces of each service in the time of a filter; return what was left out."""
        if wanted.trace is not None:
            return self.fetch_trace(wanted.trace)
        query = (wanted.service, wanted.since, wanted.until, max(limit or 0, _MOST_TRACES))
        now = time.monotonic()
        if query != self._query or now - self._queried > _FRESH_S:  # a command may ask several questions of one query
            services = self._services() if wanted.service is None else [wanted.service]
            limits = _limits(wanted)
            self._troubles = [trouble for each in services for trouble in self._fetch_service(each, limits, query[-1])]
            self._query, self._queried = query, now
        return self._troubles

    def _fetch_service(self, service: str, limits: tuple[str, str], most: int) -> Iterator[str]:
        query = {
            "query.service_name": service,
            "query.start_time_min": limits[0],
            "query.start_time_max": limits[1],
            "query.num_traces": most,
            "query.raw_traces": "true",
        }
        if self._store(self._get("traces", query)) >= most:
            yield f"only the newest {most} traces of {service!r} were read; --until and --since select others"

    def fetch_trace(self, reference: str) -> list[str]:
        """Bring a trace by its whole id; for another reference, the newest traces."""
        if not _TRACE_ID.fullmatch(reference):
            return self.fetch(Filter(), None)
        self._store(self._get(f"traces/{reference}", {"raw_traces": "true"}))
        return []

    def _services(self) -> list[str]:
        services = self._get("services", {}).get("services") or []
        return [each for each in services if isinstance(each, str)]

    def _store(self, response: dict[str, Any]) -> int:
        """Write the traces of a response, a file for each; return their number."""
        traces = _by_trace((response.get("result") or {}).get("resourceSpans") or ())
        for trace_id, resource_spans in traces.items():
            path = self.directory / f"{trace_id}.json"
            new = path.with_suffix(".new")
            new.write_text(json.dumps({"resourceSpans": resource_spans}), "utf-8")
            new.replace(path)
        return len(traces)

    def _get(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
        """Return an object of the API; an empty one where there is none.

        Raises:
            TraceFileError: no Jaeger answers, or it refuses.
        """
        url = f"{self._address}/api/v3/{quote(path)}?{urlencode(query)}"
        try:
            with self._http.request("GET", url, preload_content=False) as response:
                body = b"".join(_bounded(response.stream(_CHUNK), str(self)))
                status = response.status
        except urllib3.exceptions.HTTPError as error:
            raise TraceFileError(f"{self} cannot be read: {_reason(error)}") from error
        answer = _object(body)
        refusal = answer.get("error")
        if isinstance(refusal, dict):
            if status == HTTPStatus.NOT_FOUND:  # there is no such trace
                return {}
            raise TraceFileError(f"{self} cannot be read: it refuses with HTTP {status}: {refusal.get('message')}")
        if status != HTTPStatus.OK or not answer:
            seen = body[:200].decode("utf-8", "replace").strip()
            raise TraceFileError(f"{self} cannot be read: no Jaeger answers there, but HTTP {status}: {seen}")
        return answer


def _object(body: bytes) -> dict[str, Any]:
    """Return the object of a response, an empty one if it is none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _limits(wanted: Filter) -> tuple[str, str]:
    """Return the times between which traces have to start, as Jaeger spells them."""
    now = datetime.now(UTC)
    since, until = moment(wanted.since), moment(wanted.until)
    return _spelled(since, now - timedelta(days=_DAYS)), _spelled(until, now + timedelta(days=1))


def _spelled(time_unix_nano: int | None, default: datetime) -> str:
    when = default if time_unix_nano is None else datetime.fromtimestamp(time_unix_nano / 1e9, UTC)
    return when.isoformat().replace("+00:00", "Z")


def _by_trace(resource_spans: Iterable[Any]) -> dict[str, list[Any]]:
    """Return the request objects of each trace. Jaeger may join the spans of several traces below one resource."""
    traces: dict[str, list[Any]] = {}
    for each in resource_spans:
        for scope_spans in each.get("scopeSpans") or ():
            spans: dict[str, list[Any]] = {}
            for span in scope_spans.get("spans") or ():
                spans.setdefault(str(span.get("traceId")).lower(), []).append(span)
            for trace_id, own in spans.items():
                if _TRACE_ID.fullmatch(trace_id):
                    scope = {**scope_spans, "spans": own}
                    traces.setdefault(trace_id, []).append({**each, "scopeSpans": [scope]})
    return traces


def _bounded(chunks: Iterable[bytes], address: str) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > _MOST_BYTES:
            limit = f"{_MOST_BYTES >> 20} MB"
            raise TraceFileError(f"{address} returned more than {limit}; --since, --until and --service select less")
        yield chunk


def _reason(error: Exception) -> str:
    """Return what failed, without the connection and the number of the error, which urllib3 puts before it."""
    return re.sub(r"^.*(?:\[Errno -?\d+\] |: )", "", str(error)) or type(error).__name__
