"""Two traces side by side: what is the same by name, with the figures of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan.traces.statistics import statistics

if TYPE_CHECKING:
    from lmspan.traces.statistics import Statistic
    from lmspan.traces.trace import Trace

_KINDS: Final = ("model", "module", "tool", "name")
_COLUMNS: Final = ("calls", "failed", "recovered", "retries", "input_tokens", "output_tokens", "cost", "total_s",
                   "p50_s", "p95_s")  # fmt: skip


def tables(left: Trace, right: Trace) -> dict[str, Any]:
    """Return by kind of group the figures of both traces; the groups of the left one come first."""
    compared = {}
    for kind in _KINDS:
        before, after = _groups(left, kind), _groups(right, kind)
        compared[kind] = [{"key": key, "left": before.get(key), "right": after.get(key)} for key in {**before, **after}]
    return compared


def _groups(trace: Trace, kind: str) -> dict[str, Any]:
    return {each.key: _figures(each) for each in statistics(trace.rows.values(), kind)}


def _figures(statistic: Statistic) -> dict[str, Any]:
    return {name: getattr(statistic, name) for name in _COLUMNS}
