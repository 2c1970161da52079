"""LLMProc as a source: a wrapper around a run and around a tool call, and one where every event of a process passes.

`LLMProcess.trigger_event` sees every event, with the process it is of, whether or not callbacks are registered, and
for all three providers. What LLMProc does not tell (attempts, errors, cancellation, ids, lineage) is taken where it
passes. A process is known by the current call, never by the runtime context that all processes of a program share.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from lmspan.guard import guarded
from lmspan.instrumentation.kit.instrumentor import Instrumentor, Seams
from lmspan.instrumentation.llmproc import clients, events, runs, tools

if TYPE_CHECKING:
    from collections.abc import Collection

logger: Final = logging.getLogger("lmspan")

TESTED: Final = ("0.9.5",)

METHODS: Final[Seams] = (("llmproc.llm_process", "LLMProcess", {"_async_run": runs.RUN, "call_tool": tools.TOOL}),)


class LLMProcInstrumentor(Instrumentor):
    """Record LLMProc programs: sync and async processes, before or after the import of the library."""

    module = "llmproc"

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the LLMProc versions that this instrumentor is made for."""
        return ("llmproc >= 0.9.5, < 0.10",)

    def patch(self, library: Any) -> None:
        """Put the wrappers on an imported LLMProc."""
        version = str(getattr(library, "__version__", "unknown"))
        if not version.startswith(TESTED):
            logger.warning(
                "lmspan: LLMProc %s was not tested (%s was); what it still announces is recorded", version, TESTED[0]
            )
        self.wrap_methods(METHODS)
        for part in (events, tools, runs, clients):
            guarded(part.patch)(self.patches)  # a seam that is not there must not cost the others
