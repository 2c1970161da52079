"""Figures as a person reads them: durations, money, tokens, times."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lmspan.traces.figures import Figures

_ASTRONOMIC: Final = 1e9


def duration(seconds: float) -> str:
    """Return a duration with its unit, and with a decimal below 10."""
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (60, 1, "s")):
        if seconds < limit:
            value = seconds * factor
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"  # noqa: PLR2004 - two digits
    minutes = int(seconds // 60)
    # 60 minutes are an hour
    return f"{minutes} min {int(seconds % 60)} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004


def money(amount: float) -> str:
    """Return an amount in dollars; small amounts have more digits."""
    if amount >= _ASTRONOMIC:
        return f"${amount:.3g}"
    return f"${amount:.2f}" if amount >= 1 else f"${amount:.6f}".rstrip("0").ljust(5, "0")


def tokens(sent: int, received: int) -> str:
    """Return input and output tokens."""
    return f"{sent} → {received}"


def number(value: float) -> str:
    """Return a score with at most four significant digits."""
    return f"{value:.4g}"


def count(amount: int, noun: str) -> str:
    """Return an amount and its noun, in the plural unless it is 1."""
    return f"{amount} {noun}{'' if amount == 1 else 's'}"


def clock(time_unix_nano: int, *, date: bool = True) -> str:
    """Return the local time, with or without the date; "" for a time that no calendar has."""
    try:
        local = datetime.fromtimestamp(time_unix_nano / 1e9).astimezone()
    except (OverflowError, ValueError, OSError):
        return ""
    return local.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S")


def sums(figures: Figures) -> list[str]:
    """Return the sums over spans that are not 0, as texts."""
    texts = [count(figures.lm_calls, "LM call")] if figures.lm_calls else []
    if figures.cache_hits:
        texts.append(f"{figures.cache_hits} from cache")
    if figures.input_tokens or figures.output_tokens:
        texts.append(f"{tokens(figures.input_tokens, figures.output_tokens)} tokens")
    if figures.cost is not None:
        unknown = f" + {figures.unknown_costs} unknown" if figures.unknown_costs else ""
        texts.append(money(figures.cost) + unknown)
    if figures.retries:
        waited = f", {duration(figures.retry_wait_s)} waited" if figures.retry_wait_s else ""
        retries = "1 retry" if figures.retries == 1 else f"{figures.retries} retries"
        texts.append(retries + waited)
    return texts
