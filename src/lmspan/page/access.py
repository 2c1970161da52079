"""Refuse every request that does not come from a page of this server, opened with its token.

A web site that the user visits can send requests to a server on this machine, also under a name of its own that
resolves to 127.0.0.1. Therefore the Host has to be exactly that of the server, a request that another site has caused
is refused, and each request carries a token that only the printed address has. The first request exchanges it for a
cookie.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from lmspan.page.document import digest, style
from lmspan.page.sending import is_sending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src 'self'; style-src {digest(style())}; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_METHODS: Final = ("GET", "HEAD")
_SITES: Final = ("same-origin", "none")


class Access:
    """Middleware that refuses foreign requests and sets the security headers of every response."""

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._hosts = hosts(port)
        self._cookie = f"lmspan-{port}"  # cookies do not know ports: two servers have two cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            return
        request = Request(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer = self._refusal(request) or self._entrance(request) or self._app
        await answer(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        if request.method not in _METHODS and not is_sending(request):
            return error(405, f"{request.method} is not allowed; GET is", {"Allow": ", ".join(_METHODS)})
        refusal = foreign(request, self._hosts)
        return error(403, refusal) if refusal else None

    def _entrance(self, request: Request) -> Response | None:
        """Return the response to a request without the cookie."""
        if self._is_token(request.cookies.get(self._cookie, "")):
            return None
        if request.url.path == "/" and self._is_token(request.query_params.get("token", "")):
            answer = RedirectResponse("/", 303, {"Cache-Control": "no-store"})
            answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
            return answer
        return error(403, "the token is missing; open the address that `lmspan ui` has printed")

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "replace"), self._token.encode())


def hosts(port: int) -> tuple[str, str]:
    """Return the values of Host that name a port of this machine."""
    return f"127.0.0.1:{port}", f"localhost:{port}"


def foreign(request: Request, own: Sequence[str]) -> str:
    """Return why a request is refused: it has another Host than its `own`, or a page of another site has caused it."""
    headers = request.headers
    named = headers.getlist("host")
    if len(named) != 1 or named[0] not in own:
        return f"the Host is not {own[0]}"
    if any(origin != f"http://{named[0]}" for origin in headers.getlist("origin")):
        return "a page of another origin has sent the request"
    if any(site not in _SITES for site in headers.getlist("sec-fetch-site")):
        return "another site has caused the request; type the address, or copy it"
    return ""


def error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error as JSON."""
    return JSONResponse({"error": message}, status, {"Cache-Control": "no-store", **(headers or {})})
