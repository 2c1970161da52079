"""LogiLLM as a source: wrappers around what its own callbacks announce, and around what they leave out.

LogiLLM's callbacks are not used: they announce no end of an operation that raises or is cancelled, and no tools,
adapters, streams and most optimizers; LogiLLM's deep copies replace registered callbacks. They work as before, and its
`disable()` turns off only them.
"""

from __future__ import annotations

from typing import ClassVar, Final

from lmspan.instrumentation.kit import simba as kit_simba
from lmspan.instrumentation.kit.instrumentor import Classes, Functions, Instrumentor, Parts
from lmspan.instrumentation.logillm import (
    adapters,
    assertions,
    candidates,
    describe,
    embeddings,
    errors,
    evaluation,
    examples,
    lm,
    modules,
    optimizers,
    requests,
    simba,
    tools,
    wire,
)

_OPTIMIZERS: Final = "logillm.optimizers"

METHODS: Final[Classes] = (
    ("logillm.core.modules", "Module", {"__call__": modules.MODULE, "batch_process": errors.gathering}),
    ("logillm.core.avatar", "Avatar", {"_update_actor_signature": modules.update_signature}),
    ("logillm.core.adapters", "AdapterChain", adapters.PHASES),
    ("logillm.optimizers.format_adapter_base", "Adapter", adapters.PHASES),
    ("logillm.core.assertions", "AssertionContext", {"check_all": assertions.check_all}),
    ("logillm.core.knn", "KNN", {"retrieve": embeddings.RETRIEVE}),
    ("logillm.providers.base", "Provider", {"__init__": requests.init_provider}),
    (
        "logillm.evaluate.evaluator",
        "Evaluate",
        {"__call__": evaluation.EVALUATE, "_evaluate_example": examples.EXAMPLE},
    ),
    ("logillm.evaluate.evaluator", "Evaluate", {"_parallel_evaluate": errors.gathering}),
    ("logillm.core.optimizers", "Trace", {"__init__": examples.trace}),
    (f"{_OPTIMIZERS}.hyperparameter", "HyperparameterOptimizer", {"_evaluate_module": evaluation.LOOP}),
    (f"{_OPTIMIZERS}.hyperparameter", "HyperparameterOptimizer", {"_evaluate_module": candidates.CANDIDATE}),
    (f"{_OPTIMIZERS}.miprov2", "MIPROv2Optimizer", {"_evaluate_module": evaluation.LOOP}),
    (f"{_OPTIMIZERS}.miprov2", "MIPROv2Optimizer", {"_evaluate_module": candidates.CANDIDATE}),
    (f"{_OPTIMIZERS}.miprov2", "MIPROv2Optimizer", {"_bayesian_optimize": candidates.whole_data}),
    (
        f"{_OPTIMIZERS}.multi_objective",
        "MultiObjectiveOptimizer",
        {
            "_evaluate_all_objectives": candidates.OBJECTIVES,
            "evaluate_with_metric": evaluation.LOOP,
            "_evaluate_latency": evaluation.objective("latency"),
            "_evaluate_cost": evaluation.objective("cost"),
            "_evaluate_consistency": evaluation.objective("consistency"),
        },
    ),
    (
        f"{_OPTIMIZERS}.format_optimizer",
        "FormatOptimizer",
        {"_adaptive_evaluate": candidates.FORMAT, "_fixed_evaluate": candidates.FORMAT},
    ),
    (f"{_OPTIMIZERS}.simba", "SIMBA", {"_evaluate_batch": simba.evaluate_batch}),
    (f"{_OPTIMIZERS}.simba", "SIMBA", {"_evaluate_batch": errors.gathering}),
    (
        f"{_OPTIMIZERS}.avatar_optimizer",
        "AvatarOptimizer",
        {
            "optimize": optimizers.optimize(candidates.search),
            "_get_pos_neg_results": candidates.CANDIDATE,
            "_evaluate_avatar": evaluation.EVALUATE,
            "_process_example": examples.EXAMPLE,
        },
    ),
)
FAMILIES: Final[Classes] = (
    ("logillm.providers.base", "Provider", {"complete": lm.attempt}),
    (
        "logillm.providers.base",
        "Provider",
        {
            "complete": lm.LM,  # around the attempt
            "complete_with_retry": lm.LM,
            "stream": lm.STREAM,
            "embed": embeddings.HOSTED,
            "_get_cached": wire.get_cached,
            "_prepare_params": wire.prepare_params,
        },
    ),
    ("logillm.core.adapters.base", "BaseAdapter", adapters.PHASES),
    ("logillm.core.tools.base", "Tool", {"__call__": tools.TOOL, "acall": tools.TOOL}),
    ("logillm.core.embedders", "Embedder", {"embed": embeddings.LOCAL}),
    ("logillm.core.optimizers", "Metric", {"__call__": examples.metric}),
    ("logillm.core.optimizers", "Optimizer", {"evaluate": evaluation.LOOP}),
    (
        "logillm.core.optimizers",
        "Optimizer",
        {"evaluate": candidates.CANDIDATE, "optimize": optimizers.optimize(candidates.search)},
    ),
    (f"{_OPTIMIZERS}.search_strategies", "SearchStrategy", {"suggest_next": optimizers.suggest_next}),
)
FUNCTIONS: Final[Functions] = (
    (f"{_OPTIMIZERS}.simba", "prepare_models_for_resampling", kit_simba.prepare),
    (f"{_OPTIMIZERS}.simba", "wrap_program", kit_simba.wrap_program),
)


class LogiLLMInstrumentor(Instrumentor):
    """Record LogiLLM programs, on every thread, before or after its import, whatever its callbacks are set to."""

    name = "LogiLLM"
    module = "logillm"
    requirement = "logillm>=0.2.17,<0.3"
    tested: ClassVar[tuple[str, ...]] = ("0.2.17",)
    methods: ClassVar[Classes] = METHODS
    families: ClassVar[Classes] = FAMILIES
    functions: ClassVar[Functions] = FUNCTIONS
    parts: ClassVar[Parts] = (describe.patch, wire.patch)
