"""The command line: `lmspan demo`, `lmspan run`, `lmspan show`, `lmspan replay`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lmspan import config
from lmspan._version import __version__
from lmspan.errors import LmspanError, TraceFileError
from lmspan.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmspan.viewer.trace import Trace

_WIDEST = 10_000
_DESCRIPTION = "OpenTelemetry for LLM programs: record one, and look at what it did."
_WHAT = "default: the last trace; a FILE is read alone, of a directory all *.jsonl files"
_WHAT_NEXT = """
  lmspan show                      this trace again, with --json as data
  lmspan run YOUR_PROGRAM.py       the same for a program of yours, unchanged
  OTEL_EXPORTER_OTLP_ENDPOINT=...  send it to Jaeger, Grafana or what you have"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status. A mistake is one line on stderr, and status 2."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _never_fail_to_encode(sys.stdout)
    try:
        return int(options.command(options))
    except LmspanError as error:
        print(f"lmspan: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `lmspan show | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lmspan", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"lmspan {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="run a DSPy program and show its trace; no key needed")
    demo.add_argument("--model", help="your own model, as DSPy names it (openai/gpt-4o-mini); default: a scripted one")
    demo.add_argument("--api-base", help="where that model is served")
    demo.add_argument("--api-key", help="its key; default: what DSPy finds in the environment")
    demo.set_defaults(command=_demo)

    run = commands.add_parser("run", help="run a program, recorded, without changing it")
    run.add_argument("-m", dest="as_module", action="store_true", help="PROGRAM is a module")
    run.add_argument(
        "program", metavar="PROGRAM", help="a script, directory or archive, as for python; with -m a module"
    )
    arguments = run.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGS", help="the program's arguments")
    arguments.required = False  # else "the following arguments are required" names ARGS, too
    run.set_defaults(command=_run)

    show = commands.add_parser("show", help="show a trace as a tree")
    show.add_argument("what", nargs="?", default="last", metavar="last|TRACE|FILE", help=_WHAT)
    show.add_argument("--json", action="store_true", help="print the spans as JSON, one object a line")
    show.add_argument("--width", type=_columns, help="columns to use; default: the terminal's")
    show.set_defaults(command=_show)

    replay = commands.add_parser("replay", help="play a stored trace to a callback")
    replay.add_argument("what", nargs="?", default="last", metavar="last|TRACE|FILE", help=_WHAT)
    replay.add_argument(
        "--callback",
        required=True,
        action="append",
        metavar="MODULE:OBJECT",
        help="a class is called first; repeatable",
    )
    replay.add_argument("--dialect", help="the system that it is written for, where it could be several")
    replay.set_defaults(command=_replay)
    return parser


def _columns(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < _WIDEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of columns")
    return int(text)


def _demo(options: argparse.Namespace) -> int:
    import lmspan  # noqa: PLC0415

    if not options.model:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")  # DSPy: prices from its package, not the network
    try:
        import dspy  # noqa: PLC0415
    except ImportError as error:
        raise LmspanError("the demo needs DSPy; install it with: pip install 'lmspan[demo]'") from error
    from lmspan.viewer import store  # noqa: PLC0415

    elsewhere = [name for name in config.exporters_from_environment(os.environ) if name not in ("file", "none")]
    session = lmspan.init("lmspan-demo", exporters=["file", *elsewhere])
    failed = ""
    try:
        advice, score = _run_demo(options)
        print(f"advice: {advice}\nscore:  {score:g} %\n")
    except getattr(dspy, "DSPyError", Exception) as error:  # an older DSPy has no class for its own
        redactor = Redactor(environ=os.environ)
        redactor.know(options.api_key)
        failed = redactor(f"the model could not be asked: {' '.join(str(error).split())}")
    delivered = session.force_flush(5.0)
    trace, _ = store.find(session.trace_directory)
    _print(trace, width=None)
    print(f"stored in {session.trace_directory / 'traces.jsonl'}")
    if elsewhere:
        print(f"{'sent' if delivered else 'NOT delivered'} to your OpenTelemetry endpoint")
        if jaeger := _jaeger():
            print(f"in Jaeger, if it goes there: {jaeger}/trace/{trace.trace_id}")
    print(_WHAT_NEXT)
    if failed:
        raise LmspanError(failed)
    return 0 if delivered else 1


def _jaeger() -> str:
    """Return where the web page of Jaeger is: where `LMSPAN_JAEGER` says, else beside this machine's usual endpoint."""
    said = os.environ.get("LMSPAN_JAEGER", "").rstrip("/")
    endpoint = urlsplit(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""))
    usual = endpoint.hostname in ("localhost", "127.0.0.1", "::1") and endpoint.netloc.endswith((":4317", ":4318"))
    return said or ("http://localhost:16686" if usual else "")


def _run_demo(options: argparse.Namespace) -> tuple[str, float]:
    from contextlib import ExitStack  # noqa: PLC0415

    import dspy  # noqa: PLC0415

    import lmspan  # noqa: PLC0415
    from lmspan.demo import program, script, server  # noqa: PLC0415

    with ExitStack() as stack:
        given = {"api_base": options.api_base, "api_key": options.api_key}
        if not options.model:
            scripted = stack.enter_context(server.ScriptedServer(script.answer))
            given = {"api_base": scripted.url, "api_key": "no-key-needed", "cache": False}
        model = options.model or "openai/gpt-4o-mini"
        lm = dspy.LM(model, **{name: value for name, value in given.items() if value is not None})
        call = stack.enter_context(lmspan.operation("workflow", "demo", inputs={"trip": program.TRIP}))
        advice, score = program.run(lm)
        call.outputs = {"advice": advice, "score": score}
        return advice, score


def _run(options: argparse.Namespace) -> int:
    from lmspan.launch.command import run_program  # noqa: PLC0415

    if not options.as_module and not Path(options.program).exists():
        raise LmspanError(
            f"run: there is no program {options.program!r}; for a module say: lmspan run -m {options.program}"
        )
    return run_program(options.program, options.arguments, as_module=options.as_module)


def _traces(what: str) -> tuple[list[Trace], list[str]]:
    """Return the traces that an argument names, in order of time, and what was wrong with their files."""
    from lmspan.export.file import trace_directory  # noqa: PLC0415
    from lmspan.viewer import store  # noqa: PLC0415
    from lmspan.viewer.text import safe_text  # noqa: PLC0415

    path = Path(what)
    if what != "last" and (path.exists() or "/" in what or path.suffix in (".jsonl", ".json")):
        reading = store.read_file(path)
        traces, troubles = list(reading.traces.values()), reading.troubles
    else:
        trace, troubles = store.find(trace_directory(), what)
        traces = [trace]
    for trouble in troubles:
        print(f"lmspan: {safe_text(trouble, 500)}", file=sys.stderr)
    if not traces:
        raise TraceFileError(f"{path} holds no spans")
    return sorted(traces, key=lambda each: each.start_unix_nano), troubles


def _show(options: argparse.Namespace) -> int:
    traces, troubles = _traces(options.what)
    for trace in traces:
        if options.json:
            for span in sorted(trace.spans, key=lambda each: each.start_unix_nano):
                print(span.as_json())
        else:
            _print(trace, options.width)
    return 1 if troubles else 0


def _replay(options: argparse.Namespace) -> int:
    from lmspan.callbacks import delivery, replay, subscriptions  # noqa: PLC0415

    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `python -m` does
    for name in options.callback:
        subscriptions.subscribe(_callback(name), dialect=options.dialect)
    traces, troubles = _traces(options.what)
    for trace in traces:
        replay.replay(trace.spans)
    delivery.drain(60.0)
    return 1 if troubles else 0


def _callback(name: str) -> Any:
    """Return the object that `module:object` names; of a class, one made without arguments."""
    module, colon, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise LmspanError(f"replay: {name!r} is no MODULE:OBJECT that can be imported ({error})") from error
    return found() if colon and isinstance(found, type) else found


def _print(trace: Trace, width: int | None) -> None:
    from rich.console import Console  # noqa: PLC0415

    from lmspan.viewer.tree import render  # noqa: PLC0415

    unseen: Any = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
    Console(width=width or unseen, highlight=False).print(render(trace))


def _never_fail_to_encode(stream: Any) -> None:
    """Have a stream write what its encoding lacks as characters that resemble it, unless the user says otherwise."""
    from lmspan.viewer.text import PLAIN  # noqa: PLC0415

    if getattr(stream, "errors", "") == "strict" and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors=PLAIN)


if __name__ == "__main__":
    sys.exit(main())
