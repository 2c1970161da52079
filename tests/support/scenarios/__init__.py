"""DSPy programs of every kind, each with the whole tree that its trace must be.

The suite asserts them (`tests/integration/test_scenarios.py`), and `benchmarks/scenarios.py` runs the same programs
under other instrumentations.
"""

from support.scenarios import programs, threads, agents, retrieval, optimizers  # noqa: I001 - the order of the table
from support.scenarios.core import ALL, NATIVE, available, execute

__all__ = ["ALL", "NATIVE", "agents", "available", "execute", "optimizers", "programs", "retrieval", "threads"]
