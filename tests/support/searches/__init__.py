"""Every optimizer of DSPy and LogiLLM on a model that errs, each with what the optimizer reports of its search."""

from support.searches.core import Reported, Run, answer, ledger
from support.searches.dspy_searches import DSPY
from support.searches.logillm_searches import LOGILLM

__all__ = ["DSPY", "LOGILLM", "Reported", "Run", "answer", "ledger"]
