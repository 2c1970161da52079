"""LLMProc as a source: wrappers around a run, around a tool call, and where every event of a process passes.

`LLMProcess.trigger_event` gets every event with its process, whether or not callbacks are registered, for all three
providers. What LLMProc does not announce (attempts, errors, cancellation, ids, lineage) is recorded where it happens.
The current call identifies a process, never the runtime context, which all processes of a program share.
"""

from __future__ import annotations

from typing import ClassVar, Final

from lmspan.instrumentation.kit.instrumentor import Classes, Instrumentor, Parts
from lmspan.instrumentation.llmproc import clients, events, runs, tools

METHODS: Final[Classes] = (
    (
        "llmproc.llm_process",
        "LLMProcess",
        {"_async_run": runs.RUN, "call_tool": tools.TOOL, "trigger_event": events.trigger_event},
    ),
    ("llmproc.process_forking", "ProcessForkingMixin", {"_fork_process": runs.fork}),
)


class LLMProcInstrumentor(Instrumentor):
    """Record LLMProc programs: sync and async processes, before or after the import of the library."""

    name = "LLMProc"
    module = "llmproc"
    requirement = "llmproc>=0.9.5,<0.10"
    tested: ClassVar[tuple[str, ...]] = ("0.9.5",)
    methods: ClassVar[Classes] = METHODS
    parts: ClassVar[Parts] = (tools.patch, clients.patch)
