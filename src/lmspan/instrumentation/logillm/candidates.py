"""LogiLLM's candidates: the variants of a program that an optimizer evaluates."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.kit import candidates
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.examples import number
from lmspan.instrumentation.kit.facts import stored, text
from lmspan.instrumentation.kit.kept import CandidateKept, OptimizeKept, kept
from lmspan.instrumentation.kit.search import Part, Search
from lmspan.instrumentation.kit.structure import walk
from lmspan.instrumentation.logillm.describe import as_dict, base, instructions, signature_fields, signature_of
from lmspan.instrumentation.logillm.errors import root_cause
from lmspan.instrumentation.logillm.optimizers import choose

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.content.payload import Content
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

_SETTINGS: Final = (str, int, float, bool)


def search(content: Content, student: Any) -> Search:
    """Return the search of an optimizer run that starts from this program."""
    return Search(functools.partial(_parts, content), student)


def _parts(content: Content, program: Any) -> dict[str, Part]:
    """Return the parts of a program: itself, and its predictors."""
    if not issubclass(type(program), base()):
        return {}
    modules = walk(program, base())
    return {path or "self": _part(content, each) for path, each in modules if not path or _predicts(type(each))}


def _predicts(kind: type) -> bool:
    return "Predict" in (each.__name__ for each in kind.__mro__)


def _part(content: Content, module: Any) -> Part:
    fields = stored(module)
    signature = signature_of(module)
    parameters = {name: stored(each).get("value") for name, each in as_dict(fields.get("parameters")).items()}
    demos = _demos(parameters.get("demonstrations"), parameters.get("demos"), fields.get("demo_manager"))
    settings = {name: value for name, value in parameters.items() if type(value) in _SETTINGS and name != "instruction"}
    adapter = type(fields["adapter"]).__name__ if fields.get("adapter") is not None else ""
    descriptions = {name: getattr(field, "description", None) for name, field in signature_fields(signature).items()}
    return Part(
        instructions=text(parameters.get("instruction")) or instructions(signature),
        fields=content.json(descriptions),
        demos=content.json(demos),
        demo_count=len(demos),
        model=text(stored(fields.get("provider")).get("model")),
        config=content.json({**_settings(fields.get("config")), **settings, "adapter": adapter}),
    )


def _demos(*places: Any) -> list[Any]:
    """Return the demonstrations from the first place that has some, without their times."""
    for place in places:
        demos = stored(place).get("demos", place) if type(place) is not list else place
        if type(demos) is list and demos:
            return [_demo(each if type(each) is dict else stored(each)) for each in demos]
    return []


def _demo(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: fields.get(name) for name in ("inputs", "outputs")}


def _settings(config: Any) -> dict[str, Any]:
    """Return the settings of a module: a dict, or the parameters that an optimizer puts in its place."""
    return config if type(config) is dict else as_dict(stored(config).get("_params"))


def start(recorder: Recorder, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start a candidate around an optimizer's evaluation of a program."""
    optimizer = kept(current_call(), OptimizeKept)
    call = candidates.start(recorder, argument(args, kwargs, 0, "module", "avatar"))
    own = kept(call, CandidateKept)
    data = argument(args, kwargs, 1, "dataset")
    if own is not None and optimizer is not None and optimizer.data_size is not None and type(data) is list:
        own.scope = "full" if len(data) >= optimizer.data_size else "minibatch"
    return call


def whole_data(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Keep the data set of MIPROv2's search, `_bayesian_optimize(module, valset)`: most trials are on a part of it."""
    _keep_size(argument(args, kwargs, 1, "valset"))
    return wrapped(*args, **kwargs)


@guarded
def _keep_size(data: Any) -> None:
    optimizer = kept(current_call(), OptimizeKept)
    if optimizer is not None and type(data) is list:
        optimizer.data_size = len(data)


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the score: the first of `(score, ...)`, or the result itself."""
    candidates.conclude(recorder, call, number(outputs[0] if type(outputs) is tuple and outputs else outputs))


def start_format(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start a candidate of `FormatOptimizer`: `_adaptive_evaluate(module, dataset, format, model_id)`."""
    _keep_size(argument(args, kwargs, 1, "dataset"))
    choose(recorder, {"format": stored(argument(args, kwargs, 2, "format")).get("_value_")})
    return start(recorder, instance, args, kwargs)


def succeed_format(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the score of a format; the optimizer takes as many examples as it needs to compare formats."""
    own = kept(call, CandidateKept)
    optimizer = kept(call.parent, OptimizeKept)
    if own is not None and optimizer is not None and own.example_count < (optimizer.data_size or 0):
        own.scope = "minibatch"
    succeed(recorder, call, outputs)


def succeed_objectives(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the scores of all objectives, `{"accuracy": ..., "latency": ...}`, and their weighted sum."""
    parent = call.parent
    weights = as_dict(stored(parent.instance).get("weights")) if parent is not None else {}
    scores = {name: value for name, score in as_dict(outputs).items() if (value := number(score)) is not None}
    weighted = sum((number(weights.get(name)) or 0.0) * score for name, score in scores.items())
    own = kept(call, CandidateKept)
    if own is not None:
        own.scores = [(None, scores)]
    candidates.conclude(recorder, call, weighted)


CANDIDATE: Final = Steps(start, candidates.describe, succeed, candidates.fail, cause=root_cause)
FORMAT: Final = Steps(start_format, candidates.describe, succeed_format, candidates.fail, cause=root_cause)
OBJECTIVES: Final = Steps(start, candidates.describe, succeed_objectives, candidates.fail, cause=root_cause)
