"""DSPy's candidates.

Nearly all optimizers of DSPy score a candidate by `Evaluate`, called directly under their `compile`. So a `candidate`
span is put around such a call, and its result is an event on the optimizer's span. GEPA announces more, and SIMBA works
in another way: see `gepa` and `simba`.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Final

from lmspan.context.current import current_call
from lmspan.instrumentation.dspy.describe import predictors
from lmspan.instrumentation.dspy.evaluation import mean_score
from lmspan.instrumentation.dspy.lm import is_lm
from lmspan.instrumentation.kit import candidates
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.examples import number
from lmspan.instrumentation.kit.facts import stored, text
from lmspan.instrumentation.kit.kept import CandidateKept, kept
from lmspan.instrumentation.kit.search import Part, Search

if TYPE_CHECKING:
    from lmspan.content.payload import Content
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

# Optimizers that evaluate in order to collect data, not to compare programs.
_COLLECTORS: Final = ("BootstrapFinetune", "GRPO")


def search(content: Content, student: Any) -> Search:
    """Return the search of an optimizer run that starts from this program."""
    return Search(functools.partial(_parts, content), student)


def _parts(content: Content, program: Any) -> dict[str, Part]:
    if not issubclass(type(program), sys.modules["dspy.primitives.module"].Module):
        return {}
    return {name: _part(content, stored(each)) for name, each in predictors(program).items()}


def _part(content: Content, fields: dict[str, Any]) -> Part:
    signature = fields.get("signature")
    demos = fields.get("demos")
    lm = fields.get("lm")
    described = getattr(signature, "fields", {}) if issubclass(type(signature), type) else {}
    extras = {name: getattr(field, "json_schema_extra", None) or {} for name, field in described.items()}
    return Part(
        instructions=text(getattr(signature, "instructions", "")),
        fields=content.json({name: [extra.get("prefix"), extra.get("desc")] for name, extra in extras.items()}),
        demos=content.json(demos) if demos else "[]",
        demo_count=len(demos) if type(demos) is list else 0,
        model=text(stored(lm).get("model")) if is_lm(lm) else "",
    )


def start(recorder: Recorder, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start a candidate around `Evaluate(...)(program, ...)`, if an optimizer makes the call."""
    optimizer = current_call()
    if optimizer is not None and optimizer.name in _COLLECTORS:
        return None
    call = candidates.start(recorder, argument(args, kwargs, 0, "program"))
    own = kept(call, CandidateKept)
    metadata = kwargs.get("callback_metadata")
    if own is not None and type(metadata) is dict and metadata.get("metric_key") == "eval_minibatch":
        own.scope = "minibatch"
    return call


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the score of `Evaluate`."""
    candidates.conclude(recorder, call, mean_score(outputs))


def start_avatar(recorder: Recorder, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start a candidate around `AvatarOptimizer._get_pos_neg_results(actor, trainset)`, which evaluates an actor."""
    return candidates.start(recorder, argument(args, kwargs, 0, "actor"))


def succeed_avatar(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the mean score, the first of `(score, positive, negative)`."""
    candidates.conclude(recorder, call, number(outputs[0]))


CANDIDATE: Final = Steps(start, candidates.describe, succeed, candidates.fail)
AVATAR: Final = Steps(start_avatar, candidates.describe, succeed_avatar, candidates.fail)
