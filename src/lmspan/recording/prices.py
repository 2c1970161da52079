"""The cost of a model call that the program's library does not price, from genai-prices if that is installed.

The price list is the one in the installed release, and nothing is downloaded. It is imported when the first call needs
it, on the thread of that call.
"""

from __future__ import annotations

import datetime
import functools
import importlib
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.guard import guarded
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall

# operation -> the counts without which its cost is unknown
_REQUIRED: Final = {
    Operation.LM: (sc.USAGE_INPUT_TOKENS, sc.USAGE_OUTPUT_TOKENS),
    Operation.EMBEDDING: (sc.USAGE_INPUT_TOKENS,),
}
PRICED: Final = frozenset(_REQUIRED)
"""The operations that cost money."""

# attribute -> genai-prices' name of the count, and of the price without which these tokens would be free or too cheap
_COUNTS: Final = (
    (sc.USAGE_INPUT_TOKENS, "input_tokens", "input_mtok"),
    (sc.USAGE_OUTPUT_TOKENS, "output_tokens", "output_mtok"),
    (sc.USAGE_CACHE_READ_TOKENS, "cache_read_tokens", ""),
    (sc.USAGE_CACHE_WRITE_TOKENS, "cache_write_tokens", ""),
    (sc.USAGE_REASONING_TOKENS, "output_reasoning_tokens", ""),
    (sc.USAGE_AUDIO_INPUT_TOKENS, "input_audio_tokens", "input_audio_mtok"),
    (sc.USAGE_AUDIO_OUTPUT_TOKENS, "output_audio_tokens", "output_audio_mtok"),
)
# gen_ai.provider.name -> genai-prices' id, where it does not know the former
_PROVIDERS: Final = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "fireworks_ai": "fireworks",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
}


@guarded
def add_cost(call: LiveCall) -> None:
    """Add the cost of an ended call of one of `PRICED` with known tokens and no cost, or why it stays unknown."""
    facts = {**call.facts, **call.late_facts}
    if not _may_be_priced(call.operation, facts):
        return
    library = _library()
    if library is None:
        return
    model = facts.get(sc.RESPONSE_MODEL) or facts.get(sc.REQUEST_MODEL, "")
    source = f"genai-prices {library.__version__}"
    amount = _amount(library, facts, model, call.start_time_unix_nano)
    if amount is not None:
        call.late_facts.pop(sc.COST_UNKNOWN_REASON, None)
        call.late_facts.update({sc.COST_AMOUNT: amount, sc.COST_UNIT: "USD", sc.COST_SOURCE: source})
    else:
        reason = f"{source} has no price for {model} of {facts[sc.PROVIDER_NAME]}"
        call.late_facts.setdefault(sc.COST_UNKNOWN_REASON, reason)


def _may_be_priced(operation: Operation, facts: dict[str, Any]) -> bool:
    """Return whether the provider and the necessary counts are known, and the cost is not."""
    if sc.COST_AMOUNT in facts or facts.get(sc.CACHE_HIT):
        return False
    return facts.get(sc.PROVIDER_NAME, sc.UNKNOWN_PROVIDER) != sc.UNKNOWN_PROVIDER and all(
        name in facts for name in _REQUIRED[operation]
    )


def _amount(library: Any, facts: dict[str, Any], model: str, time_unix_nano: int) -> float | None:
    counts = {key: facts[name] for name, key, _ in _COUNTS if facts.get(name)}
    provider = facts[sc.PROVIDER_NAME]
    if not _is_known(library, model, _PROVIDERS.get(provider, provider)):
        return None
    asked = datetime.datetime.fromtimestamp(time_unix_nano / 1e9, datetime.UTC)
    try:
        price = library.calc_price(
            library.Usage(**counts),
            model,
            provider_id=_PROVIDERS.get(provider, provider),
            genai_request_timestamp=asked,
        )
    except (LookupError, ValueError):  # an unknown model or provider; counts that contradict each other
        return None
    needed = [name for _, key, name in _COUNTS if name and key in counts]
    if any(getattr(price.model_price, name) is None for name in needed):
        return None
    return float(price.total_price)


@functools.lru_cache(1024)
def _is_known(library: Any, model: str, provider: str) -> bool:
    """Return whether the library has prices for a model; its search for an unknown one takes as long as a span."""
    try:
        library.calc_price(library.Usage(input_tokens=1), model, provider_id=provider)
    except LookupError:
        return False
    except ValueError:
        return True
    return True


@functools.cache
def _library() -> Any:
    """Return the module, None if it is not installed or broken: that is logged once."""
    return _imported()


@guarded
def _imported() -> Any:
    try:
        return importlib.import_module("genai_prices")
    except ImportError:
        return None
