"""`lmspan send`: send stored traces to an OpenTelemetry backend."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from lmspan import environment
from lmspan.cli import reading
from lmspan.config import PROTOCOLS, otlp_protocols
from lmspan.errors import ConfigurationError, TraceFileError
from lmspan.terminal.text import safe_text
from lmspan.traces.files import Troubles, newest_first, open_file, pieces, requests_of
from lmspan.traces.spans import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from opentelemetry.sdk.trace import ReadableSpan

    from lmspan.export.sending import Sender

_STDIN: Final = "-"
_VARIABLES: Final = (environment.ENDPOINTS[0], environment.ENDPOINTS[-1])
_LONGEST_REASON: Final = 300


@click.command()
@click.argument("which", default="last", metavar="[TRACE|FILE|DIRECTORY|-]")
@click.option("--endpoint", metavar="URL", help="The base address; default: OTEL_EXPORTER_OTLP_ENDPOINT.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE",
              help="A header such as an API key; repeatable; beside OTEL_EXPORTER_OTLP_HEADERS.")  # fmt: skip
@click.option("--protocol", type=click.Choice(PROTOCOLS), help="Default: OTEL_EXPORTER_OTLP_PROTOCOL, else HTTP.")
def send(which: str, endpoint: str | None, headers: tuple[str, ...], protocol: str | None) -> int:
    """Send stored traces by OTLP to a backend, prompts and answers included.

    TRACE is the beginning of an id, a number of `lmspan list`, 'last' (the default) or 'last~2'; - reads a file from
    stdin. Ids and times stay as recorded: where a backend replaces spans by their ids, sending again changes nothing.
    """
    address = endpoint or next((os.environ[name] for name in _VARIABLES if os.environ.get(name)), None)
    if not address:
        raise ConfigurationError("there is no endpoint; pass --endpoint URL, or set OTEL_EXPORTER_OTLP_ENDPOINT")
    with environment.without_wrong_variables():
        sender = _sender(address, protocol or otlp_protocols(os.environ)[0], _named(headers), is_option=bool(endpoint))
    source = _Source(which)
    with closing(sender):
        for span in source.spans():
            sender.add(span)
            _show_progress(sender)
            if sender.failure:
                break
        sender.flush()
    return _conclude(sender, source)


def _sender(address: str, protocol: str, headers: dict[str, str], *, is_option: bool) -> Sender:
    from lmspan.content.redaction import Redactor
    from lmspan.export.sending import Sender, signal_endpoint

    redactor = Redactor(environ=os.environ)
    for value in headers.values():
        redactor.know(value)
    redactor.know_address(address)
    is_exact = not is_option and bool(os.environ.get(_VARIABLES[0]))  # the address of the signal itself
    return Sender(signal_endpoint(address, protocol, is_exact=is_exact), protocol, redactor.secrets, headers)


def _named(headers: Sequence[str]) -> dict[str, str]:
    pairs = [header.partition("=") for header in headers]
    wrong = next((name for name, equals, _ in pairs if not equals or not name.strip()), None)
    if wrong is not None:
        raise ConfigurationError(f"--header {safe_text(wrong)!r} is no NAME=VALUE")
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


class _Source:
    """The spans that an argument names, with the counts of what is left out."""

    def __init__(self, which: str) -> None:
        self.troubles: list[str] = []
        self.traces: set[int] = set()
        self.not_ended = 0
        self.unfit = 0
        self.reason = ""
        self._wanted = ""
        self._seen: set[tuple[int, int]] = set()
        self._paths = self._located(which)

    def _located(self, which: str) -> list[Path]:
        if which == _STDIN:
            return []
        if reading.is_path(which):
            path = Path(which)
            return _files(path) if path.is_dir() else [path]
        store = reading.store_of(None)
        trace = store.find(which)
        self._wanted = trace.trace_id
        self.not_ended = sum(span.state is not State.ENDED for span in trace.spans)
        return _files(store.path) if store.path.is_dir() else [store.path]

    def spans(self) -> Iterator[ReadableSpan]:
        """Yield each span once. Raises TraceFileError for a file that cannot be opened."""
        with ExitStack() as stack:
            if not self._paths:
                file = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(sys.stdin.buffer, file)
                yield from self._in_file(Path("stdin"), file)
        for path in self._paths:
            try:
                opened = open_file(path)
            except TraceFileError as error:  # rotated or removed just now
                if len(self._paths) == 1:
                    raise
                self.troubles.append(str(error))
                continue
            with closing(opened):
                yield from self._in_file(path, opened)

    def _in_file(self, path: Path, file: BinaryIO) -> Iterator[ReadableSpan]:
        from lmspan.export.otlp_parse import MalformedRequestError, from_json
        from lmspan.export.otlp_requests import decode

        troubles = Troubles(path)
        for piece in pieces(file, containing=self._wanted):
            if piece.trouble:
                troubles.add(piece.number, piece.trouble)
                continue
            try:
                for request in requests_of(piece):
                    decoded = decode(from_json(request))
                    self.unfit += decoded.refused
                    self.reason = self.reason or decoded.reason
                    yield from filter(self._is_new, decoded.spans)
            except MalformedRequestError as error:
                troubles.add(piece.number, f"no OTLP export request ({error})")
        self.troubles += troubles.messages()

    def _is_new(self, span: ReadableSpan) -> bool:
        """Return whether a span is wanted, and not one that a file holds twice."""
        context = span.context
        if context is None or (self._wanted and f"{context.trace_id:032x}" != self._wanted):
            return False
        ids = context.trace_id, context.span_id
        if ids in self._seen:
            return False
        self._seen.add(ids)
        self.traces.add(context.trace_id)
        return True


def _files(directory: Path) -> list[Path]:
    return newest_first(each for pattern in ("*.jsonl", "*.json") for each in directory.glob(pattern))[::-1]


def _show_progress(sender: Sender) -> None:
    if sys.stderr.isatty() and sender.sent:
        click.echo(f"\rsent {sender.sent} spans", err=True, nl=False)


def _conclude(sender: Sender, source: _Source) -> int:
    """Print how many spans were sent and what was left out; return the exit status."""
    if sys.stderr.isatty() and sender.sent:
        click.echo("\r\x1b[K", err=True, nl=False)
    left_out = [*source.troubles]
    if sender.failure:
        left_out.append(f"the rest is not sent: {sender.failure}")
    elif not source.traces and not left_out:
        raise TraceFileError("there are no spans to send")
    if sender.refused:
        left_out.append(f"{_plural(sender.refused, 'span')} refused: {sender.reason}")
    if source.unfit:
        left_out.append(f"{_plural(source.unfit, 'span')} not sent: {source.reason}")
    if source.not_ended:
        left_out.append(f"{_plural(source.not_ended, 'operation')} not sent, not ended")
    click.echo(f"sent {_plural(sender.sent, 'span')} of {_plural(len(source.traces), 'trace')} to {sender.address}")
    for each in left_out:
        print(f"lmspan: {safe_text(each, _LONGEST_REASON)}", file=sys.stderr)
    return 1 if left_out else 0


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
