"""DSPy's candidates.

One seam serves nearly all optimizers of DSPy: they score a candidate by `Evaluate`, called right under their
`compile`. So such a call is wrapped in a `candidate` span, and its result is an event on the optimizer's span.
GEPA and SIMBA know more, or work otherwise: see `gepa` and `simba`.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Final

from lmspan.context.current import current_call
from lmspan.instrumentation.dspy.describe import predictors
from lmspan.instrumentation.dspy.lm import is_lm
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Hook
from lmspan.instrumentation.kit.candidates import conclude, describe, fail, finish, start
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
    """Return the search of an optimizer run that begins with this program."""
    return Search(functools.partial(_parts, content), student)


def _parts(content: Content, program: Any) -> dict[str, Part]:
    if not issubclass(type(program), sys.modules["dspy.primitives.module"].Module):
        return {}
    return {name: _part(content, stored(each)) for name, each in predictors(program).items()}


def _part(content: Content, fields: dict[str, Any]) -> Part:
    signature, demos, lm = fields.get("signature"), fields.get("demos"), fields.get("lm")
    described = getattr(signature, "fields", {}) if issubclass(type(signature), type) else {}
    extras = {name: getattr(field, "json_schema_extra", None) or {} for name, field in described.items()}
    return Part(
        instructions=text(getattr(signature, "instructions", "")),
        fields=content.json({name: [extra.get("prefix"), extra.get("desc")] for name, extra in extras.items()}),
        demos=content.json(demos) if demos else "[]",
        demo_count=len(demos) if type(demos) is list else 0,
        model=text(stored(lm).get("model")) if is_lm(lm) else "",
    )


def begin(recorder: Recorder, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start a candidate around `Evaluate(...)(program, ...)`, where an optimizer makes the call."""
    optimizer = current_call()
    if optimizer is not None and optimizer.name in _COLLECTORS:
        return None
    call = start(recorder, argument(args, kwargs, 0, "program"))
    own, metadata = kept(call, CandidateKept), kwargs.get("callback_metadata")
    if own is not None and type(metadata) is dict and metadata.get("metric_key") == "eval_minibatch":
        own.scope = "minibatch"
    return call


def begin_avatar(recorder: Recorder, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start a candidate around `AvatarOptimizer._get_pos_neg_results(actor, trainset)`, its own evaluation."""
    return start(recorder, argument(args, kwargs, 0, "actor"))


def finish_avatar(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the mean score, the first of `(score, positive, negative)`."""
    conclude(recorder, call, number(outputs[0]))


CANDIDATE: Final = Hook(begin, describe, finish, fail)
AVATAR: Final = Hook(begin_avatar, describe, finish_avatar, fail)
