"""The list of spans that a query selects, over HTTP."""

import os

import pytest

from lmspan.liveness import lock
from support.page import entered
from support.stored import otlp, write

A, B, D = "aa" * 16, "bb" * 16, "dd" * 16


def chat(span_id, start, end, cost, trace="aa", **facts):
    known = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1", "lmspan.cost.amount": cost, **facts}
    return otlp(span_id, "2", "chat m-1", start, end, trace, known)


@pytest.fixture
def directory(tmp_path):
    write(
        tmp_path / "traces.jsonl",
        chat("3", 1, 2, 0.25, **{"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5}),
        chat("4", 2, 2.5, 0.5, **{"lmspan.lm.attempt_count": 3, "lmspan.lm.cache.hit": True}),
        otlp("2", "1", "module Predict", 1, 3, "aa", {"lmspan.module.path": "answer"}),
        otlp("1", "", "invoke_workflow shop", 0, 4, "aa", {"shop.items": 3, "session.id": "anna"}),
        otlp("5", "", "execute_tool find", 5, 6, "bb", {"error.type": "shop.Empty"}, 2),
    )
    return tmp_path


def test_a_row_has_the_facts_of_the_span_and_times_in_milliseconds(directory):
    with entered(directory) as client:
        found = client.get("/api/spans?query=cached").json()
        assert found == {
            "spans": [{
                "trace_id": A, "span_id": "4", "start": 2000.0, "service": "shop", "name": "chat m-1",
                "operation": "lm", "duration_s": 0.5, "state": "ended", "failed": False, "error": "", "model": "m-1",
                "module": "", "tool": "", "session": "", "user": "", "input_tokens": None, "output_tokens": None,
                "cost": 0.5, "first_chunk_s": None, "retries": 2, "cached": True, "score": None,
                "parent": "module Predict",
            }],
            "more": False, "path": str(directory), "troubles": [], "stored": 2,
        }  # fmt: skip


@pytest.fixture
def ids(directory):
    with entered(directory) as client:

        def asked(**query):
            answer = client.get("/api/spans", params=query).json()
            return [each["span_id"] for each in answer["spans"]], answer["more"]

        yield asked


def test_a_query_selects_the_spans_of_all_traces_the_newest_first(ids):
    assert ids() == ids(query="", sort="", limit="") == (["5", "4", "2", "3", "1"], False)
    assert ids(query="model:m cost>0.3") == (["4"], False)
    assert ids(query="failed or retries>1") == (["5", "4"], False)
    assert ids(query="under:answer") == (["4", "3"], False)
    assert ids(query=".shop.items>2") == (["1"], False)
    assert ids(query="nothing") == ([], False)


def test_the_filters_of_the_list_select_the_traces_of_the_spans(ids):
    assert ids(session="anna", query="operation=lm") == (["4", "3"], False)
    assert ids(failed="1") == (["5"], False)
    assert ids(since="1970-01-01 00:00:05+00:00") == (["5"], False)
    assert ids(where="cost>0.3", query="operation=module") == (["2"], False)
    assert ids(trace=B) == (["5"], False)


def test_spans_are_sorted_over_all_of_their_parts(ids):
    assert ids(sort="cost") == (["4", "3", "5", "2", "1"], False)
    assert ids(sort="cost", ascending="1") == (["3", "4", "5", "2", "1"], False)
    assert [ids(query="operation=lm", sort="duration", limit="1", offset=at) for at in range(3)] == [
        (["3"], True), (["4"], False), ([], False),
    ]  # fmt: skip


def test_the_list_of_traces_takes_a_query_for_spans(directory):
    with entered(directory) as client:

        def traces(query):
            return [each["trace_id"] for each in client.get("/api/traces", params={"where": query}).json()["traces"]]

        assert traces("cost>0.3") == [A]
        assert traces("failed") == [B]
        assert traces("not cached") == [B, A]
        tables = client.get("/api/statistics", params={"where": "failed", "by": "tool"}).json()["tables"]
        assert [each["key"] for each in tables["tool"]] == ["find"]


def test_a_span_that_runs_is_among_them(directory):
    journal = write(directory / "open-1-1.jsonl", otlp("6", "", "chat m-1", 7, 0, "dd"))
    with entered(directory) as client:

        def running():
            return [
                (each["trace_id"], each["state"])
                for each in client.get("/api/spans", params={"query": "name:chat not cost>0"}).json()["spans"]
            ]

        file = os.open(journal, os.O_RDWR)
        assert lock(file)
        assert running() == [(D, "running")]
        os.close(file)
        assert running() == [(D, "not ended")]


@pytest.mark.parametrize(("query", "message"), [
    ({"query": "model:gpt ("}, "a term is expected in the query at its end"),
    ({"query": "prize>1"}, "'prize' is no field of a query; the fields are name, service, "),
    ({"query": 'tea "cup'}, "a quotation mark of the query has no second one"),
    ({"query": "x" * 1001}, "query is longer than 1,000 characters"),
    ({"where": "cost>much"}, "'much' is no number; write for example cost>0.5 or cost>10k"),
    ({"where": "x" * 1001}, "where is longer than 1,000 characters"),
    ({"sort": "price"}, "spans cannot be sorted by 'price'; sort is one of start, duration, "),
    ({"since": "soon"}, "'soon' is no time; "),
    ({"limit": "-1"}, "limit is no number"),
])  # fmt: skip
def test_a_query_that_cannot_be_read_is_an_error_with_a_message(directory, query, message):
    with entered(directory) as client:
        answer = client.get("/api/spans", params=query)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith(message)


@pytest.mark.parametrize("query", [
    "%00", "%ff", "'); DROP TABLE spans; --", '"<img src=x onerror=1>"', "name:%", "\u202e", "\ud7ff", "a" * 1000,
    "not " * 15 + "failed", "cost>1e99", "duration<99999999999w", "tokens>-1e9M", ".a=1 .b:c .d!=e",
])  # fmt: skip
def test_no_query_is_an_error_of_the_server(directory, query):
    with entered(directory) as client:
        for path, name in (("spans", "query"), ("traces", "where")):
            answer = client.get(f"/api/{path}", params={name: query})
            assert answer.status_code in (200, 400)
            assert ("error" in answer.json()) is (answer.status_code == 400)
