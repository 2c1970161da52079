"""DSPy as a source: wrappers around the methods that DSPy announces to its own callbacks, and around a few others.

Why wrappers and not a DSPy callback: docs/adr/0002-dspy-by-direct-wrappers.md. The instrumentor looks for each class
and method, whatever the version: what a release of DSPy does not have is not patched, and the rest is recorded.
"""

from __future__ import annotations

from typing import ClassVar, Final

from lmspan.instrumentation.dspy import (
    adapters,
    candidates,
    describe,
    embeddings,
    evaluation,
    examples,
    execution,
    gepa,
    interpreters,
    lm,
    modules,
    optimizers,
    retrieval,
    rivals,
    simba,
    tools,
    wire,
)
from lmspan.instrumentation.kit import simba as kit_simba
from lmspan.instrumentation.kit.instrumentor import Classes, Functions, Instrumentor, Parts

_MIPROS_CHOICE: Final = "_select_and_insert_instructions_and_demos"

METHODS: Final[Classes] = (
    ("dspy.primitives.module", "Module", {"__call__": modules.MODULE, "acall": modules.MODULE}),
    ("dspy.primitives.base_module", "BaseModule", {"deepcopy": modules.deepcopy}),
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
    ("dspy.teleprompt.mipro_optimizer_v2", "MIPROv2", {_MIPROS_CHOICE: optimizers.select}),
    ("dspy.predict.parallel", "Parallel", {"__call__": simba.parallel}),
    ("dspy.primitives.python_interpreter", "PythonInterpreter", interpreters.METHODS),
    ("dspy.primitives.local_interpreter", "LocalInterpreter", interpreters.METHODS),
)
FAMILIES: Final[Classes] = (
    ("dspy.clients.base_lm", "BaseLM", {"__call__": lm.LM, "acall": lm.LM}),
    ("dspy.adapters.base", "Adapter", {"format": adapters.FORMAT, "parse": adapters.PARSE}),
    ("dspy.teleprompt.teleprompt", "Teleprompter", {"compile": optimizers.OPTIMIZE}),
)


FUNCTIONS: Final[Functions] = (
    ("dspy.teleprompt.simba", "prepare_models_for_resampling", kit_simba.prepare),
    ("dspy.teleprompt.simba", "wrap_program", kit_simba.wrap_program),
)


class DSPyInstrumentor(Instrumentor):
    """Record DSPy programs, whatever they configure, on every thread, before or after the import of DSPy."""

    name = "DSPy"
    module = "dspy"
    requirement = "dspy>=3.1"
    tested: ClassVar[tuple[str, ...]] = ("3.1", "3.2", "3.3", "3.4")
    methods: ClassVar[Classes] = METHODS
    families: ClassVar[Classes] = FAMILIES
    functions: ClassVar[Functions] = FUNCTIONS
    parts: ClassVar[Parts] = (
        describe.patch,
        rivals.patch,
        execution.patch,
        wire.patch,
        tools.patch,
        examples.patch,
        gepa.patch,
        embeddings.patch,
    )
