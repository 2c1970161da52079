"""Every optimizer of DSPy and LogiLLM with and without lmspan: `docs/reference/optimizers.md` is what these tests see.

An optimizer runs twice with the same seeds on a model that now and then fails or answers nothing readable: once without
lmspan, once recorded. `TEST_LMSPAN_WRITE_TABLE=1 pytest tests/contract/test_optimizers.py` writes the page again.
"""

import os
from collections import Counter
from pathlib import Path

import dspy.teleprompt
import logillm.optimizers
import pytest

from lmspan import guard
from lmspan import semconv as sc
from lmspan.testing import recording, totals_of
from support.scenarios.core import NATIVE
from support.searches import DSPY, LOGILLM, ledger

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "optimizers.md"
WRITE = "TEST_LMSPAN_WRITE_TABLE"
ENDED_BY_A_FAILURE = () if NATIVE else ("GEPA",)
"""DSPy 3.3 ends GEPA when a call fails, with lmspan and without: it has no output for such an example."""
SEARCHES = [
    *(("dspy", name) for name in DSPY if name not in ENDED_BY_A_FAILURE),
    *(("logillm", name) for name in LOGILLM),
]
REFUSED = "TypeError"
"""The error of a call that LogiLLM's client refuses before it is sent: it knows no `top_k`."""
ROWS = {}


def class_of(search):
    return search.partition(" ")[0]


class Trace:
    """What the trace of one run of an optimizer has."""

    def __init__(self, recorded, optimizer):
        self.totals = Counter()
        for root in recorded.roots():
            self.totals.update({name: value for name, value in totals_of(root).items() if type(value) in (int, float)})
        self.spans = recorded.spans
        run = next(span for span in self.spans if span.name == f"optimize {optimizer}")
        self.run = dict(run.attributes)
        own = [span for span in self.spans if span.parent and span.parent.span_id == run.context.span_id]
        found = [dict(span.attributes) for span in own if span.name == "candidate"]
        self.candidates = [facts for facts in found if sc.CANDIDATE_SCORE in facts]
        self.calls = [dict(span.attributes) for span in self.spans if span.name.startswith("chat ")]

    def scores(self, scope=None, *, accepted=None):
        wanted = {sc.CANDIDATE_SCOPE: scope, sc.CANDIDATE_ACCEPTED: accepted}
        facts = {name: value for name, value in wanted.items() if value is not None}
        return [each[sc.CANDIDATE_SCORE] for each in self.candidates if facts.items() <= each.items()]


@pytest.fixture(scope="module", params=SEARCHES, ids=" ".join)
def search(request):
    """A search: without lmspan, recorded, and its trace."""
    library, name = request.param
    run = (DSPY if library == "dspy" else LOGILLM)[name]
    guard.failures.clear()
    without = run()
    with recording() as recorded:
        within = run()
    trace = Trace(recorded, class_of(name))
    ROWS[library, name] = (within, trace)
    return without, within, recorded, trace


def _answers(call):
    """How many answers of the server a call has: DSPy 3.4 sends a request for each of n candidates."""
    return len(call[sc.RESPONSE_FINISH_REASONS]) if NATIVE else 1


def _attempts(call):
    """How many requests a failed call has: LiteLLM, which DSPy 3.3 calls, sends it again."""
    return call.get(sc.ATTEMPT_COUNT, 1)


def near(values):
    """Scores that may be rounded: DSPy reports two digits of a hundredfold."""
    return sorted(round(each, 4) for each in values)


def test_state_prompts_and_results_are_the_same_with_and_without_lmspan(search):
    without, within, _, _ = search
    assert within.state == without.state
    assert within.prompts == without.prompts
    assert within.reported == without.reported
    assert guard.failures.total() == 0


def test_the_trace_has_what_the_server_was_asked_for_and_has_billed(search):
    _, within, recorded, trace = search
    recorded.assert_conventions()
    billed = ledger(within.exchanges)
    assert trace.totals["input_tokens"] == billed.input_tokens
    assert trace.totals["output_tokens"] == billed.output_tokens
    answers = sum(_answers(each) for each in trace.calls if sc.ERROR_TYPE not in each)
    failed = sum(_attempts(each) for each in trace.calls if each.get(sc.ERROR_TYPE, REFUSED) != REFUSED)
    assert (answers, failed) == (billed.requests - billed.failed, billed.failed)
    assert trace.totals["llm_calls"] == len(trace.calls)
    assert trace.totals["nodes"] == len(trace.spans)
    assert (trace.totals["orphans"], len(recorded.trace_ids())) == (0, len(recorded.roots()))


def test_the_trace_has_the_candidates_and_scores_that_the_optimizer_reports(search):
    _, within, _, trace = search
    reported = within.reported
    if reported.full is not None and reported.whole:
        assert near(trace.scores("full")) == near(reported.full)
    elif reported.full is not None:
        assert Counter(near(reported.full)) <= Counter(near(trace.scores()))
    if reported.minibatch is not None and reported.whole:
        assert near(trace.scores("minibatch")) == near(reported.minibatch)
    if reported.accepted is not None:
        assert near(trace.scores("full", accepted=True)) == near(reported.accepted)
    if reported.evaluations is not None:
        assert trace.run[sc.OPTIMIZER_EVALUATION_COUNT] == reported.evaluations
    if reported.first is not None:
        assert near([trace.run[sc.OPTIMIZER_FIRST_SCORE]]) == near([reported.first])
    if reported.best is not None:
        assert near([trace.run[sc.OPTIMIZER_BEST_SCORE]]) == near([reported.best])
    decided = [each[sc.CANDIDATE_SCOPE] for each in trace.candidates if each.get(sc.CANDIDATE_ACCEPTED)]
    assert "minibatch" not in decided


def test_an_example_whose_metric_raises_has_failed(search):
    """Its program has not failed, and the result is on the program's span."""
    _, within, recorded, _ = search
    succeeded = [span for span in recorded.spans if sc.ERROR_TYPE not in span.attributes]
    labels = [event.attributes.get(sc.EVALUATION_LABEL) for span in succeeded for event in span.events]
    assert labels.count("failed") == within.raised


def test_no_optimizer_is_left_out():
    """GRPO tunes weights by a provider of reinforcement learning, which cannot be had here; it is not exported."""
    base = dspy.teleprompt.Teleprompter
    kinds = {name: getattr(dspy.teleprompt, name) for name in dspy.teleprompt.__all__}
    exported = {name for name, kind in kinds.items() if type(kind) is type and issubclass(kind, base)}
    tried = {class_of(name) for name in DSPY}
    assert exported - tried == set()
    names = {name for name in logillm.optimizers.__all__ if name.endswith("Optimizer")}
    assert names - {"Optimizer", "PromptOptimizer"} - set(LOGILLM) == set()


def _row(library, name):
    within, trace = ROWS[library, name]
    reported, billed = within.reported, ledger(within.exchanges)
    full, small = trace.scores("full"), trace.scores("minibatch")
    first, best = (trace.run.get(each) for each in (sc.OPTIMIZER_FIRST_SCORE, sc.OPTIMIZER_BEST_SCORE))
    return (
        {"dspy": "DSPy", "logillm": "LogiLLM"}[library],
        f"`{class_of(name)}`{name.removeprefix(class_of(name))}",
        "same",
        f"{billed.requests} ({billed.failed})",
        f"{billed.input_tokens} → {billed.output_tokens}",
        f"{len(full)} + {len(small)}" if trace.candidates else "none",
        f"{first:.4g} → {best:.4g}" if best is not None else "",
        reported.source or "it reports none",
    )


@pytest.mark.skipif(not NATIVE, reason="the page states what DSPy 3.4 does")
@pytest.mark.skipif(set(DSPY) < {"MIPROv2"}, reason="the page needs optuna")
def test_the_page_says_what_the_tests_see(search):
    if len(ROWS) < len(SEARCHES):
        return
    begin, end = "<!-- made by tests/contract/test_optimizers.py -->", "<!-- end -->"
    titles = (
        "library", "optimizer", "state, scores, prompts", "requests (failed)", "tokens", "evaluations", "score",
        "compared with",
    )  # fmt: skip
    rows = [titles, ("---",) * len(titles), *(_row(*each) for each in SEARCHES)]
    before, _, rest = PAGE.read_text().partition(begin)
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    page = f"{before}{begin}\n\n{table}\n\n{end}{rest.partition(end)[2]}"
    if os.environ.get(WRITE):
        PAGE.write_text(page)
    assert PAGE.read_text() == page
