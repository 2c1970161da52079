"""A budget has a limit, and counts the calls of a run by itself."""

import pytest

import lmspan
from lmspan.testing import recording


def ask(times):
    with lmspan.operation("agent", "desk"):
        for _ in range(times):
            with lmspan.operation("lm", "m"):
                pass


def test_a_budget_without_a_limit_is_refused():
    with pytest.raises(lmspan.CallbackError, match="say at least one"):
        lmspan.Budget()


def test_each_of_two_budgets_counts_the_calls_of_a_run_once():
    with recording(instrument=()), lmspan.subscribe(lmspan.Budget(max_lm_calls=3)):
        with lmspan.subscribe(lmspan.Budget(max_lm_calls=4)):
            ask(3)
            with pytest.raises(lmspan.StopRun, match="the budget of 3 LM calls is spent"):
                ask(4)


def test_a_budget_keeps_no_run_that_has_ended_once_another_starts():
    budget = lmspan.Budget(max_lm_calls=3)
    with recording(instrument=()), lmspan.subscribe(budget):
        for _ in range(5):
            ask(2)
    assert list(budget._lm_calls.values()) == [2]
