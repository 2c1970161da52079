"""DSPy as a source: wrappers around the methods that DSPy announces to its own callbacks, and a few beside them.

Why wrappers and not a DSPy callback: docs/adr/0002-dspy-by-direct-wrappers.md. Each seam is looked for, never assumed
by version: what a DSPy release does not have is not patched, and the rest is still heard.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from lmspan.guard import guarded
from lmspan.instrumentation.dspy import (
    adapters,
    candidates,
    describe,
    embeddings,
    evaluation,
    examples,
    interpreters,
    lm,
    modules,
    optimizers,
    retrieval,
    rivals,
    seams,
    tools,
)
from lmspan.instrumentation.kit.instrumentor import Instrumentor, Seams

if TYPE_CHECKING:
    from collections.abc import Collection

logger: Final = logging.getLogger("lmspan")

TESTED: Final = ("3.1", "3.2", "3.3", "3.4")

# module, class -> the methods that are wrapped where the class itself defines them
METHODS: Final[Seams] = (
    ("dspy.primitives.module", "Module", {"__call__": modules.MODULE, "acall": modules.MODULE}),
    ("dspy.retrievers.retrieve", "Retrieve", {"__call__": retrieval.RETRIEVE}),
    ("dspy.retrievers.embeddings", "Embeddings", {"__call__": retrieval.LOCAL}),
    ("dspy.predict.knn", "KNN", {"__call__": retrieval.LOCAL}),
    ("dspy.dsp.colbertv2", "ColBERTv2", {"__call__": retrieval.COLBERT}),
    ("dspy.clients.embedding", "Embedder", {"__call__": embeddings.EMBED, "acall": embeddings.EMBED}),
    ("dspy.clients.typesafe", "TypeSafe", {"__call__": lm.LM, "acall": lm.LM}),
    ("dspy.adapters.types.tool", "Tool", {"__call__": tools.TOOL, "acall": tools.TOOL}),
    ("dspy.evaluate.evaluate", "Evaluate", {"__call__": evaluation.EVALUATE}),
    ("dspy.evaluate.evaluate", "Evaluate", {"__call__": candidates.CANDIDATE}),  # around the evaluation
    ("dspy.teleprompt.bootstrap", "BootstrapFewShot", {"_bootstrap_one_example": examples.BOOTSTRAP}),
    ("dspy.teleprompt.avatar_optimizer", "AvatarOptimizer", {"process_example": examples.AVATAR}),
    ("dspy.teleprompt.avatar_optimizer", "AvatarOptimizer", {"_get_pos_neg_results": candidates.AVATAR}),
    ("dspy.primitives.python_interpreter", "PythonInterpreter", interpreters.METHODS),
    ("dspy.primitives.local_interpreter", "LocalInterpreter", interpreters.METHODS),
)
# The same for a base class and every subclass, present and future, that defines the method again.
FAMILIES: Final[Seams] = (
    ("dspy.clients.base_lm", "BaseLM", {"__call__": lm.LM, "acall": lm.LM}),
    ("dspy.adapters.base", "Adapter", {"format": adapters.FORMAT, "parse": adapters.PARSE}),
    ("dspy.teleprompt.teleprompt", "Teleprompter", {"compile": optimizers.OPTIMIZE}),
)


class DSPyInstrumentor(Instrumentor):
    """Record DSPy programs. Works whatever the program configures, from any thread, before or after its import."""

    module = "dspy"

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the DSPy versions that this instrumentor is made for."""
        return ("dspy >= 3.1",)

    def patch(self, library: Any) -> None:
        """Put the wrappers on an imported DSPy."""
        version = str(getattr(library, "__version__", "unknown"))
        if not version.startswith(TESTED):
            logger.warning(
                "lmspan: DSPy %s was not tested (%s were); what it still announces is recorded", version, TESTED
            )
        describe.register()
        rivals.reset()
        self.wrap_methods(METHODS)
        self.wrap_families(FAMILIES)
        for part in (seams, tools, examples, optimizers, embeddings):
            guarded(part.patch)(self.patches)  # a seam that is not there must not cost the others
