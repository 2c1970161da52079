"""A search that is longer than the SDK's limit of events on a span: its candidates' own spans have all of it."""

import pytest

from lmspan import semconv as sc
from lmspan.traces import direct
from support.processes import run_lmspan, run_python
from support.stored import otlp, write

TRIALS = 100
LONGEST = 128  # the SDK's limit

SEARCH = f"""
import asyncio, sys
import lmspan
from opentelemetry.sdk.trace import TracerProvider
provider = TracerProvider() if sys.argv[1] == "theirs" else None
session = lmspan.init("search", exporters="file", tracer_provider=provider)
import logillm.optimizers as optimizers
from support.logillm_programs import DATA, METRIC, mock, predict, _space
search = optimizers.HyperparameterOptimizer(metric=METRIC, search_space=_space(), n_trials={TRIALS}, seed=1)
asyncio.run(search.optimize(predict(mock()), DATA[:1]))
session.shutdown()
"""


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_no_candidate_and_no_choice_of_a_long_search_is_lost(whose, tmp_path):
    environ = {"LMSPAN_DIR": str(tmp_path)}
    done = run_python(SEARCH, whose, environ=environ)
    assert done.returncode == 0, done.stderr
    (trace,), _ = direct.read_file(tmp_path)
    (run,) = trace.optimizer_runs
    assert len(run.candidates) == run.evaluation_count == TRIALS + 1
    assert [each.score for each in run.candidates] == [1.0] * (TRIALS + 1)
    chosen = [each.facts.get(f"{sc.HYPERPARAMETER}temperature") for each in run.candidates]
    assert [type(each) for each in chosen] == [float] * TRIALS + [type(None)]
    assert all(each.span is not None for each in run.candidates)
    made = 2 * TRIALS + 2  # a choice and a result for each trial, the last evaluation, and the end of the trace
    assert (len(run.span.events), run.span.dropped_events) == (LONGEST, made - LONGEST)
    shown = run_lmspan("show", environ={**environ, "COLUMNS": "140"}).stdout
    assert f"{TRIALS + 1} evaluations of" in shown
    number = trace.spans.index(run.span) + 1
    shown = run_lmspan("show", "last", str(number), environ={**environ, "COLUMNS": "140"}).stdout
    assert f"{made - LONGEST} earlier events were dropped: the span's limit is {LONGEST}" in shown


def test_the_table_says_how_many_evaluations_are_not_stored(tmp_path):
    """A queue that was full, or a sampler, may have dropped spans of candidates."""
    optimizer = {sc.OPTIMIZER_NAME: "COPRO", sc.OPTIMIZER_EVALUATION_COUNT: 3}
    candidate = {sc.CANDIDATE_ID: "a", sc.CANDIDATE_INDEX: 0, sc.CANDIDATE_SCORE: 0.5, sc.CANDIDATE_SCOPE: "full"}
    run = otlp("01" * 8, name="optimize COPRO", attributes=optimizer, end=9)
    write(tmp_path / "traces.jsonl", run, otlp("02" * 8, "01" * 8, name="candidate", attributes=candidate))
    shown = run_lmspan("show", environ={"LMSPAN_DIR": str(tmp_path), "COLUMNS": "140"}).stdout
    assert "optimize COPRO  3 evaluations of 1 candidate, 2 of them not stored" in shown
