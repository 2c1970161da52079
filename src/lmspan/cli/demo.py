"""`lmspan demo`: run a DSPy program with a scripted model, and show its trace."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any, Final
from urllib.parse import urlsplit

import click

from lmspan import config
from lmspan.cli.reading import console
from lmspan.content.redaction import Redactor
from lmspan.errors import LmspanError
from lmspan.terminal.tree import render
from lmspan.traces.store import Store

_WHAT_NEXT: Final = """
  lmspan show                      this trace again, with --json as data
  lmspan run YOUR_PROGRAM.py       the same for a program of yours, unchanged
  OTEL_EXPORTER_OTLP_ENDPOINT=...  send it to Jaeger, Grafana or any other backend"""


@click.command()
@click.option("--model", help="Your own model, as DSPy names it (openai/gpt-4o-mini); default: a scripted one.")
@click.option("--api-base", metavar="URL", help="Where that model is served.")
@click.option("--api-key", metavar="KEY", help="Its key; default: what DSPy finds in the environment.")
def demo(model: str | None, api_base: str | None, api_key: str | None) -> int:
    """Run a DSPy program and show its trace; no key needed."""
    import lmspan

    if not model:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")  # DSPy: prices from its package, not the network
    try:
        import dspy
    except ImportError as error:
        raise LmspanError("the demo needs DSPy; install it with: pip install 'lmspan[demo]'") from error
    elsewhere = [name for name in config.exporters_from_environment(os.environ) if name not in ("file", "none")]
    # `exporters_from_environment` returns known names only, typed as str
    session = lmspan.init("lmspan-demo", exporters=["file", *elsewhere])  # type: ignore[list-item]
    if session.trace_directory is None:
        raise LmspanError("the demo cannot record itself; the warning above names the reason")
    failed = ""
    try:
        advice, score = _ask(model, api_base, api_key)
        print(f"advice: {advice}\nscore:  {score:g} %\n")
    except getattr(dspy, "DSPyError", Exception) as error:  # older releases of DSPy have no class for their errors
        redactor = Redactor(environ=os.environ)
        redactor.know(api_key)
        failed = redactor(f"the model could not be asked: {' '.join(str(error).split())}")
    delivered = session.force_flush(5.0)
    trace = Store(session.trace_directory).last()
    console().print(render(trace))
    print(f"stored in {session.trace_directory / 'traces.jsonl'}")
    if elsewhere:
        print(f"{'sent' if delivered else 'NOT delivered'} to your OpenTelemetry endpoint")
        if jaeger := _jaeger():
            print(f"in Jaeger, if your endpoint is Jaeger: {jaeger}/trace/{trace.trace_id}")
    print(_WHAT_NEXT)
    if failed:
        raise LmspanError(failed)
    return 0 if delivered else 1


def _jaeger() -> str:
    """Return the address of Jaeger's web page: `LMSPAN_JAEGER`, or the default beside an endpoint on this machine."""
    configured = os.environ.get("LMSPAN_JAEGER", "").rstrip("/")
    if configured:
        return configured
    endpoint = urlsplit(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""))
    is_local = endpoint.hostname in ("localhost", "127.0.0.1", "::1")
    return "http://localhost:16686" if is_local and endpoint.netloc.endswith((":4317", ":4318")) else ""


def _ask(model: str | None, api_base: str | None, api_key: str | None) -> tuple[str, float]:
    import dspy

    import lmspan
    from lmspan.demo import program, script, server

    with ExitStack() as stack:
        settings: dict[str, Any] = {"api_base": api_base, "api_key": api_key}
        if not model:
            scripted = stack.enter_context(server.ScriptedServer(script.answer))
            settings = {"api_base": scripted.url, "api_key": "no-key-needed", "cache": False}
        named = model or "openai/gpt-4o-mini"
        lm = dspy.LM(named, **{name: value for name, value in settings.items() if value is not None})
        call = stack.enter_context(lmspan.operation("workflow", "demo", inputs={"trip": program.TRIP}))
        advice, score = program.run(lm)
        call.outputs = {"advice": advice, "score": score}
        return advice, score
