"""A list of traces in the order of its columns."""

import pytest

from lmspan import traces
from lmspan.errors import LmspanError
from lmspan.traces import Filter, Store
from lmspan.traces.order import COLUMNS, Order
from support.stored import otlp, write

FAILED = {"error.type": "shop.Empty"}


def chat(tokens, cost=None, **more):
    facts = {"gen_ai.request.model": "m-1", "gen_ai.usage.input_tokens": tokens, "gen_ai.usage.output_tokens": 1}
    return {**facts, **({} if cost is None else {"lmspan.cost.amount": cost}), **more}


def ids(summaries):
    return [each.trace_id[:2] for each in summaries]


@pytest.fixture
def shop(tmp_path):
    """Traces aa to ff, from the oldest to the newest; the costs of bb, ee and ff are unknown."""
    score = "gen_ai.evaluation.score.value"
    write(
        tmp_path / "traces.jsonl",
        otlp("1", "", "chat a", 10, 13, "aa", chat(10, 0.5)),
        otlp("1", "", "chat b", 20, 21, "bb", chat(30, **FAILED), status=2),
        otlp("2", "1", "chat c", 30, 31, "cc", chat(30, 2.0)),
        otlp("3", "1", "chat c", 31, 32, "cc", chat(30, 0.0)),
        otlp("1", "", "evaluate exact", 30, 34, "cc", {score: 0.25}),
        otlp("1", "", "chat d", 40, 41, "dd", chat(20, 0.5)),
        otlp("3", "2", "execute_tool find", 50, 51, "ee", FAILED, 2),
        otlp("2", "1", "module recovers", 50, 52, "ee"),
        otlp("1", "", "evaluate exact", 50, 59, "ee", {score: 0.75}),
        otlp("1", "", "module f", 60, 60.5, "ff"),
    )
    return tmp_path


ORDERS = {
    # by start where the figure is the same; a trace without it is last
    ("start", False): "ff ee dd cc bb aa",
    ("start", True): "aa bb cc dd ee ff",
    ("duration", False): "ee cc aa dd bb ff",
    ("duration", True): "ff dd bb aa cc ee",
    ("calls", False): "cc dd bb aa ff ee",
    ("calls", True): "ff ee dd bb aa cc",
    ("tokens", False): "cc bb dd aa ff ee",
    ("tokens", True): "ff ee aa dd bb cc",
    ("cost", False): "cc dd aa ff ee bb",
    ("cost", True): "dd aa cc ff ee bb",
    ("score", False): "ee cc ff dd bb aa",
    ("score", True): "cc ee ff dd bb aa",
    ("failed", False): "bb ee ff dd cc aa",
    ("failed", True): "ff dd cc aa ee bb",
}


def test_each_column_has_an_order():
    assert {sort for sort, _ in ORDERS} == set(COLUMNS)


@pytest.mark.parametrize(("sort", "ascending"), ORDERS)
def test_a_list_is_in_the_order_of_a_column(shop, sort, ascending):
    expected = ORDERS[sort, ascending].split()
    stored = Store(shop)
    assert ids(stored.list(sort=sort, ascending=ascending)) == expected
    assert ids(traces.list(path=shop, sort=sort, ascending=ascending)) == expected
    for limit in range(7):
        assert ids(stored.list(limit=limit, sort=sort, ascending=ascending)) == expected[:limit]


@pytest.mark.parametrize(("sort", "ascending"), ORDERS)
def test_the_order_in_memory_is_that_of_the_index(shop, sort, ascending):
    oldest_first = Store(shop).list(ascending=True)
    assert ids(sorted(oldest_first, key=Order(sort, ascending=ascending).key)) == ORDERS[sort, ascending].split()


def test_the_numbers_of_a_sorted_list_are_those_that_name_a_trace(shop):
    stored = Store(shop)
    listed = stored.list(sort="cost", limit=3)
    assert [(each.number, each.trace_id[:2]) for each in listed] == [(4, "cc"), (3, "dd"), (6, "aa")]
    assert ids(stored.find(each.number) for each in listed) == ["cc", "dd", "aa"]


def test_filters_select_before_the_limit(shop):
    assert ids(Store(shop).list(Filter(model="m-1"), sort="tokens", limit=2)) == ["cc", "bb"]
    assert ids(Store(shop).list(Filter(until=30, text="chat"), sort="duration", limit=1)) == ["aa"]


def test_traces_that_run_are_where_their_figures_so_far_put_them(shop):
    """A trace of two ended calls at 45, and one of which nothing has ended; a killed program has left both."""
    write(shop / "traces.jsonl", otlp("2", "1", "chat g", 46, 47, "ad", chat(500, 0.5)))
    write(shop / "traces.jsonl", otlp("3", "1", "chat g", 47, 48, "ad", chat(1, 0.75, **FAILED), status=2))
    write(shop / "open-1-1.jsonl", otlp("1", "", "module g", 45, 0, "ad"), otlp("1", "", "module h", 55, 0, "ae"))
    stored = Store(shop)
    assert ids(stored.list()) == ["ff", "ae", "ee", "ad", "dd", "cc", "bb", "aa"]
    assert ids(stored.list(sort="start", ascending=True)) == ["aa", "bb", "cc", "dd", "ad", "ee", "ae", "ff"]
    assert ids(stored.list(sort="duration", limit=3)) == ["ad", "ae", "ee"]  # until the program was killed
    assert ids(stored.list(sort="tokens")) == ["ad", "cc", "bb", "dd", "aa", "ff", "ae", "ee"]
    assert ids(stored.list(sort="cost")) == ["cc", "ad", "dd", "aa", "ff", "ae", "ee", "bb"]
    assert ids(stored.list(sort="cost", ascending=True)) == ["dd", "aa", "ad", "cc", "ff", "ae", "ee", "bb"]
    assert ids(stored.list(sort="calls", limit=2)) == ["ad", "cc"]
    for sort, ascending in ORDERS:
        whole = ids(stored.list(sort=sort, ascending=ascending))
        assert sorted(whole) == sorted(["aa", "ad", "ae", "bb", "cc", "dd", "ee", "ff"])
        for limit in range(9):
            assert ids(stored.list(sort=sort, ascending=ascending, limit=limit)) == whole[:limit]


def test_a_page_begins_where_the_one_before_it_ends(tmp_path):
    costs = [number % 7 / 4 for number in range(40)]
    spans = [otlp("1", "", "chat m", number, number + 1, f"{number + 16:02x}", chat(1, cost))
             for number, cost in enumerate(costs)]  # fmt: skip
    write(tmp_path / "traces.jsonl", *spans)
    stored = Store(tmp_path)
    expected = [f"{number + 16:02x}" for number in sorted(range(40), key=lambda each: (-costs[each], -each))]
    assert ids(stored.list(sort="cost")) == expected
    assert [ids(stored.list(sort="cost", limit=end)) for end in range(41)] == [expected[:end] for end in range(41)]


@pytest.mark.parametrize("sort", ["", "Cost", "price", "cost DESC", "trace_id"])
def test_a_column_that_is_not_known_is_refused_with_those_that_are(shop, sort):
    known = "is one of start, duration, calls, tokens, cost, score, failed$"
    with pytest.raises(LmspanError, match=known):
        traces.list(path=shop, sort=sort)
