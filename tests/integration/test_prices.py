"""The cost of calls that the program's library does not price, by genai-prices: its name and version are the source."""

import subprocess
import sys
import threading

import openai
import pytest

import lmspan
from lmspan import guard
from lmspan import semconv as sc
from lmspan.demo.server import Reply
from lmspan.recording import prices
from lmspan.testing import recording
from support import logillm_programs
from support.llmproc import asking, program
from support.programs import KEY, model
from support.wires import serving, tokens

genai_prices = pytest.importorskip("genai_prices")
pytestmark = pytest.mark.usefixtures("price_list")

SOURCE = f"genai-prices {genai_prices.__version__}"
CLAUDE = {"provider": "anthropic", "model": "claude-sonnet-4-5"}
MINI_USD = pytest.approx((80 * 0.15 + 20 * 0.075 + 50 * 0.6) / 1e6)  # gpt-4o-mini, 20 of 100 tokens cached
CLAUDE_USD = pytest.approx((75 * 3 + 20 * 0.3 + 5 * 3.75 + 50 * 15) / 1e6)  # 20 read from the cache, 5 written to it


@pytest.fixture
def price_list():
    """Ask for the price list, which other tests do not have."""


def cost(recorded, name):
    found = recorded.attributes(name)
    return tuple(found.get(each) for each in (sc.COST_AMOUNT, sc.COST_UNIT, sc.COST_SOURCE, sc.COST_UNKNOWN_REASON))


def priced(amount):
    return (amount, "USD", SOURCE, None)


def stated(settings=CLAUDE, kind="lm", **facts):
    with recording(instrument=()) as recorded, lmspan.operation(kind, "asked", **settings):
        lmspan.add_response(**facts)
    recorded.assert_conventions()
    return recorded, cost(recorded, recorded.spans[0].name)


def test_tokens_that_the_program_states_are_priced_by_kind():
    recorded, found = stated(input_tokens=100, output_tokens=50, cache_read_tokens=20, cache_write_tokens=5)
    assert found == priced(CLAUDE_USD)
    totals = recorded.totals("chat asked")
    assert (totals["cost.amount"], totals["cost.sources"]) == (CLAUDE_USD, (SOURCE,))


def test_a_response_of_a_client_is_priced_by_the_model_that_the_server_names():
    @lmspan.lm
    def think():
        client = openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0)
        return client.chat.completions.create(model="cheap", messages=[{"role": "user", "content": "?"}])

    reply = Reply("so", usage=tokens(100, 50, cache_read=20), model="gpt-4o-mini-2024-07-18")
    with serving(reply) as server, recording(instrument=()) as recorded:
        think()
    assert cost(recorded, "chat think") == priced(MINI_USD)


def test_an_embedding_needs_input_tokens_only():
    settings = {"provider": "openai", "model": "text-embedding-3-small"}
    _, found = stated(settings, "embedding", input_tokens=1_000)
    assert found == priced(pytest.approx(0.02 / 1_000))


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("gemini", "gemini-2.5-pro"), ("vertex_ai", "gemini-2.5-pro"), ("azure", "gpt-4o"), ("xai", "grok-4"),
        ("mistral", "mistral-large-latest"), ("groq", "llama-3.3-70b-versatile"),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ],
)  # fmt: skip
def test_the_providers_of_the_conventions_have_prices(provider, name):
    _, (amount, *rest) = stated({"provider": provider, "model": name}, input_tokens=1_000, output_tokens=100)
    assert amount > 0
    assert rest == ["USD", SOURCE, None]


def test_the_programs_own_cost_stays():
    _, found = stated(input_tokens=100, output_tokens=50, cost_usd=0.25)
    assert found == (0.25, "USD", "program", None)


NO_PRICE = f"{SOURCE} has no price for "


@pytest.mark.parametrize(
    ("settings", "facts", "reason"),
    [
        ({"provider": "openai", "model": "tiny-1"}, {}, "tiny-1 of openai"),
        ({"provider": "own", "model": "gpt-4o"}, {}, "gpt-4o of own"),
        (CLAUDE, {"model": "tiny-1"}, "tiny-1 of anthropic"),  # the server has another model than the requested one
        ({"provider": "openai", "model": "whisper-1"}, {}, "whisper-1 of openai"),  # it has a price for seconds only
        (CLAUDE, {"cache_read_tokens": 2_000}, "claude-sonnet-4-5 of anthropic"),  # more than all input tokens
        ({}, {}, None),  # no provider, so no price list applies
    ],
)
def test_an_unknown_cost_is_absent_with_the_reason(settings, facts, reason):
    recorded, found = stated(settings, input_tokens=100, output_tokens=50, **facts)
    assert found == (None, None, None, reason and NO_PRICE + reason)
    assert recorded.totals(recorded.spans[0].name)["cost.unknown_calls"] == 1


def test_without_counts_there_is_neither():
    _, found = stated(input_tokens=100)
    assert found == (None, None, None, None)


def test_a_model_that_dspy_does_not_price():
    reply = Reply("tea", usage=tokens(100, 50))
    with serving(reply) as server, recording() as recorded:
        model(server)("?")
        lm = model(server)
        lm.model = "openai/gpt-4-32k"
        lm("?")
    assert cost(recorded, "chat gpt-4o-mini")[2].split()[0] in ("dspy", "litellm")  # LiteLLM prices for DSPy 3.3
    assert cost(recorded, "chat gpt-4-32k") == priced(pytest.approx((100 * 60 + 50 * 120) / 1e6))


async def test_what_logillm_does_not_price():
    reply = Reply("tea", usage=tokens(100, 50, cache_read=20, cache_write=5))
    messages = [{"role": "user", "content": "?"}]
    with serving(reply) as server, recording() as recorded:
        await logillm_programs.openai(server).complete(messages)
        provider = logillm_programs.anthropic(server)
        provider.model = "claude-sonnet-4-5"
        async for _ in provider.stream(messages):
            pass
    assert cost(recorded, "chat gpt-4o-mini")[2] == "logillm"
    assert cost(recorded, "chat claude-sonnet-4-5") == priced(CLAUDE_USD)


async def test_what_llmproc_does_not_price():
    reply = Reply("tea", usage=tokens(100, 50, cache_read=20))
    with serving(reply) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        for provider, name in (("openai", "gpt-4o-mini"), ("anthropic", "claude-sonnet-4-5"), ("openai", "tiny-1")):
            process = await program(provider=provider, model=name).start()
            await process.run("?")
            await process.aclose()
    assert cost(recorded, "chat gpt-4o-mini") == priced(MINI_USD)
    assert cost(recorded, "chat claude-sonnet-4-5")[2] == "llmproc list prices"
    assert cost(recorded, "chat tiny-1") == (None, None, None, "llmproc has no price for this model")


def test_nothing_is_downloaded_and_no_thread_starts():
    before = set(threading.enumerate())
    _, found = stated(input_tokens=100, output_tokens=50)
    assert found[0] is not None
    assert set(threading.enumerate()) == before
    assert genai_prices.data_snapshot.get_snapshot().from_auto_update is False


PROGRAM = """
import sys
import lmspan
from lmspan.testing import recording

with recording(instrument=()), lmspan.operation("lm", provider="openai", model="gpt-4o"):
    lmspan.add_response(input_tokens=1, output_tokens=1, cost_usd=0.5)
assert "genai_prices" not in sys.modules
"""


def test_it_is_imported_when_a_call_needs_it():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)


@pytest.fixture
def not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    prices._library.cache_clear()
    yield
    prices._library.cache_clear()


def test_a_release_that_cannot_be_imported_costs_the_price_and_is_tried_once(monkeypatch, tmp_path, not_installed):
    (tmp_path / "genai_prices.py").write_text("raise RuntimeError('broken')")
    monkeypatch.delitem(sys.modules, "genai_prices")
    monkeypatch.syspath_prepend(tmp_path)
    before = guard.failures.total()
    for _ in range(2):
        _, found = stated(input_tokens=100, output_tokens=50)
        assert found == (None, None, None, None)
    assert guard.failures.total() == before + 1


@pytest.mark.usefixtures("not_installed")
def test_without_the_extra_the_cost_is_absent():
    _, found = stated(input_tokens=100, output_tokens=50)
    assert found == (None, None, None, None)
