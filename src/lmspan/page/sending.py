"""Send a trace to a backend from the page: `lmspan send` in a process of its own.

The variables of the server, keys included, are those of the endpoint that they configure. For another endpoint the
process has none of the headers.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from lmspan.errors import LmspanError

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

PATH: Final = "/api/traces/{trace}/send"
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SECRET: Final = re.compile(r"OTEL_\w*(?:HEADERS|CREDENTIAL_PROVIDER|CLIENT_KEY|CLIENT_CERTIFICATE)")
_LONGEST_BODY: Final = 4_000
_LONGEST_S: Final = 300
_one: Final = asyncio.Lock()


def is_sending(request: Request) -> bool:
    """Return whether a request is to send a trace, from a page: a browser states the origin of each POST."""
    path = request.url.path.split("/")
    fits = len(path) == len(PATH.split("/")) and f"{'/'.join(path[:3])}/{{trace}}/{path[-1]}" == PATH
    return request.method == "POST" and fits and "origin" in request.headers


def configured() -> str:
    """Return the endpoint of the environment without its credentials, or ""."""
    from lmspan.export.failures import address  # noqa: PLC0415 - takes long to import, and few traces are sent

    found = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    return address(found) if found else ""


async def send(directory: Path, request: Request) -> dict[str, Any]:
    """Send the trace that a request names to the endpoint in its body; return the lines of the command.

    Raises:
        LmspanError: the request names no trace or no endpoint.
    """
    trace_id, endpoint = request.path_params["trace"], await _endpoint(request)
    if not _TRACE_ID.fullmatch(trace_id):
        raise LmspanError("this is no id of a trace")
    if not directory.is_dir():  # noqa: ASYNC240 - one look at the local disk
        raise LmspanError(f"the page shows a file; send it with: lmspan send {directory}")
    environ, options = dict(os.environ), []
    if endpoint != configured():
        environ = {name: value for name, value in environ.items() if not _SECRET.fullmatch(name)}
        options = [f"--endpoint={endpoint}"]
    command = [sys.executable, "-m", "lmspan", "send", trace_id, *options]
    async with _one:
        status, lines = await _run(command, {**environ, "LMSPAN_DIR": str(directory)})
    return {"sent": status == 0, "lines": lines}


async def _endpoint(request: Request) -> str:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_BODY:
            raise LmspanError("the body is too long")
    try:
        endpoint = json.loads(body)["endpoint"]
    except (ValueError, KeyError, TypeError, RecursionError):
        endpoint = None
    if type(endpoint) is not str or not endpoint.strip():
        raise LmspanError("there is no endpoint; type one such as http://localhost:4318")
    return endpoint.strip()


async def _run(command: list[str], environ: dict[str, str]) -> tuple[int, list[str]]:
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _LONGEST_S)
    except TimeoutError:
        process.kill()
        return 1, [f"not sent within {_LONGEST_S} s"]
    return process.returncode or 0, output.decode("utf-8", "replace").splitlines()
