"""The HTTP transport of the OTLP exporters: it bounds a response in bytes and in time, and accepts only OTLP endpoints.

The official exporters post through a `requests.Session`, which reads a whole response, decompresses it, and bounds only
the time of each single read. An exporter needs only the status and the headers; the transport reads the body so that
the connection can be used again.

    http.client   <-   BoundedResponse: the first 64 KiB of the response, status line and headers included, undecoded,
                       until the deadline of the request
    requests      <-   OtlpAdapter: raises NotDelivered for a redirect or a web page, returns any other response
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import time
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter

from lmspan.export import failures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed import WriteableBuffer

    from lmspan.export.failures import Failure

ANSWER_BYTES: Final = 64 * 1024

# The types of responses of proxies, login pages and web servers. Some receivers send "OK" as text.
_PAGES: Final = ("text/html", "application/xhtml+xml")
_DELIVERED: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)
_PROVIDERS: Final = (
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_{signal}_CREDENTIAL_PROVIDER",
)


class NotDelivered(requests.RequestException):
    """The server that responded is no OTLP endpoint. The exporters do not try again on this error."""


class _Bounded(io.RawIOBase):
    """The bytes of one response from a socket; the timeout of each read is the remaining time of the response."""

    def __init__(self, raw: Any, sock: Any) -> None:
        self._raw = raw
        self._sock = sock
        self._left = ANSWER_BYTES
        timeout = sock.gettimeout()  # urllib3 sets the rest of the request's timeout before it reads a response
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def readable(self) -> bool:
        """Return True, as a buffered reader requires."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read available bytes; the end of the budget looks like the end of the stream."""
        if self._deadline is not None and self._left:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        count: int = self._raw.readinto(memoryview(buffer)[: self._left]) if self._left else 0
        self._left -= count
        return count

    def close(self) -> None:
        """Close this side of the socket."""
        self._raw.close()
        super().close()


class BoundedResponse(http.client.HTTPResponse):
    """A response that reads through `_Bounded`."""

    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        whole: Any = self.fp
        self.fp: Any = io.BufferedReader(_Bounded(whole.detach(), sock))


@functools.cache
def _bounded(connection: type) -> type:
    """Return a subclass of a connection class whose responses are bounded."""
    return type(connection.__name__, (connection,), {"response_class": BoundedResponse})


class OtlpAdapter(HTTPAdapter):
    """Sends the requests of one exporter, on one thread at a time.

    `failure` is the failure of the last response, until the next response or until the owner resets it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failure: Failure | None = None
        self.answer: bytes = b""
        """The body of the last response, empty if it was incomplete."""

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """Return the pool of a host; its connections bound their responses."""
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        if getattr(pool.ConnectionCls, "response_class", None) is not BoundedResponse:
            pool.ConnectionCls = _bounded(pool.ConnectionCls)
        return pool

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        """Send a request and return the response, with an empty body.

        Raises:
            NotDelivered: the response is a redirect or a web page.
            requests.RequestException: as `requests` does.
        """
        del stream
        request.headers["Accept-Encoding"] = "identity"
        url = str(request.url)
        whole: Any = urllib3.Timeout(total=timeout) if isinstance(timeout, int | float) else timeout
        self.failure = self.failure or failures.Failure(f"no answer yet from {failures.address(url)}")
        try:
            response = super().send(request, stream=True, timeout=whole, verify=verify, cert=cert, proxies=proxies)
        except Exception as error:
            self.failure = failures.of_error(error, url)
            raise
        body = _read(response)
        self.answer = body or b""
        self.failure = _judge(response, url, is_empty=body == b"")
        if self.failure is not None and response.ok:  # the exporters would report success
            raise NotDelivered(self.failure.reason)
        return response


class _Session(requests.Session):
    """A session for which the certificate authority of the exporter counts more than `REQUESTS_CA_BUNDLE`."""

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Return the settings of a request. The exporter sets its authority on the session, not on the request."""
        own = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, own, cert)


def session(adapter: OtlpAdapter, signal: str, environ: Mapping[str, str]) -> requests.Session:
    """Return a session for one exporter, from the credential provider that the environment names if it names one.

    Raises:
        LookupError: no provider of this name is installed.
    """
    variables = (name.format(signal=signal.upper()) for name in _PROVIDERS)
    provider = next((environ[name] for name in variables if environ.get(name)), None)
    new: requests.Session = _Session() if provider is None else _provided(provider)
    new.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # an endpoint could fill the jar without end
    for scheme in ("http://", "https://"):
        new.mount(scheme, adapter)
    return new


def _provided(provider: str) -> Any:
    entry = next(iter(entry_points(group="opentelemetry_otlp_credential_provider", name=provider)), None)
    if entry is None:
        raise LookupError(f"no credential provider {provider!r} is installed")
    return entry.load()()


def _read(response: requests.Response) -> bytes | None:
    """Read and return the body, None for an incomplete one, after which the connection is closed."""
    body: bytes | None = None
    with contextlib.suppress(urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
        body = response.raw.read(ANSWER_BYTES, decode_content=False)
    response.close()
    response._content = b""  # noqa: SLF001 - `requests` reads this attribute first
    response._content_consumed = True  # noqa: SLF001 - the same
    return body


def _judge(response: requests.Response, url: str, *, is_empty: bool) -> Failure | None:
    """Return the failure that a response reports, or None if it reports success."""
    status = response.status_code
    delivered = status in _DELIVERED
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    answer = f"{failures.named(status)} from {failures.address(url)}"
    if status in _REDIRECTS:
        target = failures.address(response.headers.get("Location", ""), base=url)
        return failures.Failure(failures.with_hint(f"{answer}: a redirect to {target}, which is not followed"))
    if delivered and kind in _PAGES and not is_empty:
        return failures.Failure(failures.with_hint(f"{answer}: a web page ({kind}) answered, no OTLP endpoint"))
    return None if delivered else failures.of_status(status, url, response.headers.get("Retry-After"))
