"""What the page asks for, over HTTP."""

import json

import pytest

from lmspan.page import tree
from lmspan.page.reader import Reader
from support.page import entered
from support.stored import otlp, write

A, B = "aa" * 16, "bb" * 16
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5, "lmspan.cost.amount": 0.25}  # fmt: skip
EVALUATION = "gen_ai.evaluation.score.value"


@pytest.fixture
def directory(tmp_path):
    prompt = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Which tea?"}]}])
    write(
        tmp_path / "traces.jsonl",
        otlp("3", "2", "chat m", 1, 2, "aa", {**CHAT, "gen_ai.input.messages": prompt}),
        otlp("4", "2", "parse ChatAdapter", 2, 2.5, "aa"),
        otlp("2", "1", "module Predict", 1, 3, "aa", {"lmspan.module.path": "answer"}),
        otlp("1", "", "invoke_workflow shop", 0, 4, "aa", {"lmspan.operation.inputs": {"question": "Which tea?"}}),
        otlp("1", "", "execute_tool find", 5, 6, "bb", {"error.type": "shop.Empty"}, status=2,
             events=[("exception", 5.5, {"exception.type": "shop.Empty", "exception.message": "no tea"})]),
    )  # fmt: skip
    return tmp_path


def test_the_list_pages_and_filters(directory):
    with entered(directory) as client:
        both = client.get("/api/traces").json()
        assert [(each["trace_id"], each["words"], each["failed"], each["start"]) for each in both["traces"]] == [
            (B, "", 1, 5000.0), (A, "Which tea?", 0, 0.0),
        ]  # fmt: skip
        assert (both["more"], both["stored"], both["path"], both["troubles"]) == (False, 2, str(directory), [])

        def ids(query):
            answer = client.get(f"/api/traces?{query}").json()
            return [each["trace_id"] for each in answer["traces"]], answer["more"]

        assert ids("limit=1") == ([B], True)
        assert ids("limit=1&offset=1") == ([A], False)
        assert ids("failed=1") == ([B], False)
        assert ids("text=which+te") == ([A], False)
        assert ids("model=m&slow=3s") == ([A], False)
        assert ids("text=nothing") == ([], False)


def test_the_list_is_sorted_over_all_of_its_pages(directory):
    write(directory / "traces.jsonl", otlp("1", "", "chat m", 9, 9.5, "cc", {**CHAT, "lmspan.cost.amount": 0.5}))
    with entered(directory) as client:

        def ids(query):
            answer = client.get(f"/api/traces?{query}").json()
            return [each["trace_id"][:2] for each in answer["traces"]], answer["more"]

        assert ids("") == ids("sort=") == ids("sort=start") == (["cc", "bb", "aa"], False)
        assert ids("sort=cost") == (["cc", "aa", "bb"], False)
        assert [ids(f"sort=cost&limit=1&offset={at}") for at in range(3)] == [
            (["cc"], True), (["aa"], True), (["bb"], False),
        ]  # fmt: skip
        assert ids("sort=cost&ascending=1&limit=2") == (["aa", "cc"], True)
        assert ids("sort=duration&limit=1&model=m") == (["aa"], True)


def test_a_trace_is_columns_depth_first(directory):
    with entered(directory) as client:
        trace = client.get(f"/api/traces/{A}").json()
        columns, texts, flags = trace["columns"], trace["texts"], trace["flags"]
        rows = list(zip(columns["id"], columns["depth"], [texts[name] for name in columns["name"]], strict=True))
        assert rows == [
            ("1", 0, "invoke_workflow shop"), ("2", 1, "module Predict"), ("3", 2, "chat m"),
            ("4", 2, "parse ChatAdapter"),
        ]  # fmt: skip
        assert [texts[label] for label in columns["label"]] == ["", "answer", "", ""]
        assert columns["start"] == [0, 1_000_000, 1_000_000, 2_000_000]
        assert columns["duration"] == [4_000_000, 2_000_000, 1_000_000, 500_000]
        assert columns["cost"] == [0.25, 0.25, 0.25, None]
        assert columns["flags"] == [0, 0, 0, flags["phase"]]
        assert (trace["length"], trace["name"], trace["state"]) == (4_000_000, "invoke_workflow shop", "ended")
        (failure,) = client.get(f"/api/traces/{B}/results").json()["failures"]
        assert failure == {"span": "1", "name": "execute_tool find", "type": "shop.Empty", "message": "no tea",
                           "recovered": False, "times": 1, "place": ""}  # fmt: skip


def large(directory):
    """A trace whose tree comes from the index, with a call in a call, a failure, a cycle, and two spans that run."""
    spans = [otlp(f"{number:x}", "aaa1", f"module {number % 7}", number, number + 1) for number in range(1, 2500)]
    write(
        directory / "traces.jsonl",
        *spans,
        otlp("aaa1", "", "invoke_workflow shop", 0, 3000),
        otlp("aaa2", "1", "chat m", 1, 2, "ab", {**CHAT, "error.type": "shop.Empty"}, status=2),
        otlp("aaa3", "aaa2", "chat m", 1, 2, "ab", {**CHAT, "gen_ai.usage.input_tokens": 99}),
        otlp("aaa4", "aaa5", "module cycle", 7, 8),
        otlp("aaa5", "aaa4", "module cycle", 7, 8),
    )
    write(directory / "open-1-1.jsonl", otlp("aaa6", "aaa1", "execute_tool find", 5, 0), otlp("aaa7", "aaa6", end=0))
    return directory


def test_the_tree_of_a_large_trace_comes_without_its_content(tmp_path):
    reader = Reader(large(tmp_path))
    summary = reader.summary("ab" * 16)
    from_index = tree.document(reader.outline(summary))
    assert summary.spans == len(from_index["columns"]["id"]) == 2506
    assert not reader.last_read
    assert from_index == tree.document(tree.outline(reader.trace(summary.trace_id)))
    reader.close()


def test_spans_of_a_file_that_have_not_ended_are_in_the_tree_when_the_content_is_read(tmp_path):
    write(large(tmp_path) / "traces.jsonl", otlp("aaa8", "aaa1", "module lost", 9, 0))
    with entered(tmp_path) as client:
        address = f"/api/traces/{'ab' * 16}"
        assert "aaa8" not in client.get(address).json()["columns"]["id"]
        assert client.get(f"{address}/results").json()["spans"] == 2507
        assert "aaa8" in client.get(address).json()["columns"]["id"]


def test_a_span_in_full(directory):
    with entered(directory) as client:
        span = client.get(f"/api/traces/{A}/spans/3").json()
        assert span["conversation"] == [
            {"role": "user", "parts": [{"kind": "text", "name": "", "text": "Which tea?", "facts": []}]}
        ]  # fmt: skip
        assert span["above"] == [{"span": "1", "name": "invoke_workflow shop"}, {"span": "2", "name": "module Predict"}]
        assert span["attributes"]["lmspan.cost.amount"] == 0.25
        failed = client.get(f"/api/traces/{B}/spans/1").json()
        assert failed["error"] == {"type": "shop.Empty", "message": "no tea", "stack": "", "place": ""}


def test_a_trace_names_the_run_before_it(tmp_path):
    for trace, name, start in (("aa", "module M", 0), ("bb", "module N", 1), ("cc", "module M", 2)):
        write(
            tmp_path / "traces.jsonl",
            otlp("1", "", name, start, start + 9, trace),
            otlp("2", "1", "module M", 3, 4, trace),
        )
    write(tmp_path / "traces.jsonl", otlp("1", "", "module M", 1, 2, "dd"), service="other")
    with entered(tmp_path) as client:
        before = {
            each: client.get(f"/api/traces/{each * 16}/results").json()["before"] for each in ("aa", "bb", "cc", "dd")
        }
        assert before == {"aa": None, "bb": None, "cc": A, "dd": None}


def test_statistics_over_time_are_those_of_a_group_or_of_all_traces(directory):
    with entered(directory) as client:

        def periods(query=""):
            answer = client.get(f"/api/statistics/periods?{query}").json()["periods"]
            return [
                (each["from"], each["length_s"], each["calls"], each["input_tokens"], each["p95_s"]) for each in answer
            ]

        assert periods() == [(0.0, 0.1, 1, 10, 4.0), (5.0, 0.1, 1, 0, 1.0)]
        assert periods("by=module&key=answer") == [(1.0, 0.1, 1, 10, 2.0)]
        assert periods("by=module&key=nothing") == []
        assert periods("service=nothing") == []
        assert client.get("/api/statistics/periods?by=nothing").status_code == 400


def test_what_a_response_does_not_hold_is_said(tmp_path):
    conversation = [{"role": "user", "parts": [{"type": "text", "content": str(number)}]} for number in range(2000)]
    parts = [{"type": "text", "content": str(number)} for number in range(300)]
    facts = {
        "gen_ai.input.messages": json.dumps(conversation),
        "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": parts}]),
        "numbers": [1] * 100_000, **{f"fact.{number}": number for number in range(600)},
    }  # fmt: skip
    events = [("tick", 0.5, {})] * 1000
    write(tmp_path / "traces.jsonl", otlp("1", "", "chat m", 0, 1, "aa", facts, events=events))
    with entered(tmp_path) as client:
        span = client.get(f"/api/traces/{A}/spans/1").json()
    assert span["omitted"] == [
        "The first and the last 250 of 2,001 messages are shown.",
        "The first and the last 50 of 300 parts of a message are shown.",
        "The first 500 of 603 attributes are shown.",
        "The first 500 of 1,000 events are shown.",
    ]
    texts = [part["text"] for message in span["conversation"] for part in message["parts"]]
    assert texts == [
        *map(str, range(250)),
        *map(str, range(1751, 2000)),
        *map(str, range(50)),
        *map(str, range(250, 300)),
    ]
    assert span["attributes"]["numbers"].endswith("… (300,000 characters)")
    assert (len(span["attributes"]), len(span["events"])) == (500, 500)


def test_an_optimizer_run_and_the_difference_between_its_candidates(tmp_path):
    def candidate(number, score, instructions, **more):
        facts = {"index": number, "id": f"c{number}", "score": score, "scope": "full",
                 "instructions": {"answer": instructions}, **more}  # fmt: skip
        return {f"lmspan.optimizer.candidate.{name}": value for name, value in facts.items()}

    write(
        tmp_path / "traces.jsonl",
        otlp("1", "", "optimize GEPA", 0, 9, "aa"),
        otlp("2", "1", "candidate #0", 1, 2, "aa", candidate(0, 0.5, "Answer briefly.")),
        otlp("3", "1", "candidate #1", 3, 4, "aa", candidate(1, 0.75, "Answer kindly.", parent_ids=["c0"])),
        otlp("4", "3", "evaluate exact", 3, 4, "aa", {EVALUATION: 0.75}),
        otlp("5", "4", "example", 3, 4, "aa", {EVALUATION: 0.0, "lmspan.evaluation.example.index": 7}),
    )
    with entered(tmp_path) as client:
        run = client.get(f"/api/traces/{A}/runs/1").json()
        assert (run["name"], run["first_score"], run["best_score"], run["best"]) == ("GEPA", 0.5, 0.75, 1)
        assert [(each["index"], each["score"], each["parent"], each["evaluation"]) for each in run["candidates"]] == [
            (0, 0.5, None, None), (1, 0.75, 0, "4"),
        ]  # fmt: skip
        difference = client.get(f"/api/traces/{A}/runs/1/difference?before=0&after=1").json()
        assert difference["instructions"] == [
            {"name": "answer", "changes": [[" ", "Answer "], ["-", "briefly"], ["+", "kindly"], [" ", "."]]}
        ]
        assert client.get(f"/api/traces/{A}/runs/1/difference?after=2").status_code == 404
        assert client.get(f"/api/traces/{A}/runs/2").status_code == 404
        evaluation = client.get(f"/api/traces/{A}/evaluations/4").json()
        assert [(each["span"], each["index"], each["score"]) for each in evaluation["examples"]] == [("5", 7, 0.0)]
        assert (evaluation["score"], evaluation["run"]) == (0.75, "1")


def test_statistics_and_two_traces_side_by_side(directory):
    with entered(directory) as client:
        tables = client.get("/api/statistics?by=model&by=tool").json()["tables"]
        assert [(each["key"], each["calls"], each["cost"]) for each in tables["model"]] == [("m", 1, 0.25)]
        assert [(each["key"], each["failed"]) for each in tables["tool"]] == [("find", 1)]
        both = client.get(f"/api/compare?left={A}&right={B}").json()
        assert (both["left"]["trace_id"], both["right"]["trace_id"]) == (A, B)
        assert [(each["key"], each["left"] is None, each["right"] is None) for each in both["tables"]["tool"]] == [
            ("find", True, False)
        ]


@pytest.mark.parametrize(("path", "status"), [
    (f"/api/traces/{'cc' * 16}", 404), (f"/api/traces/{A}/spans/9", 404), (f"/api/traces/{A}/evaluations/9", 404),
    ("/api/traces/last", 400), ("/api/traces/aa", 400), (f"/api/traces/{A.upper()}", 400), (f"/api/traces/{A}g", 400),
    (f"/api/traces/{A}%0a", 400), (f"/api/traces/{A}/spans/%27", 400),
    (f"/api/traces/{A}/spans/<script>", 400), ("/api/traces?slow=never", 400), ("/api/traces?since=soon", 400),
    ("/api/traces?limit=-1", 400), ("/api/traces?limit=99999999", 400), ("/api/traces?offset=x", 400),
    ("/api/traces?text=" + "x" * 2000, 400), ("/api/traces?limit=٣", 400), ("/api/statistics?by=nothing", 400),
    ("/api/traces?sort=price", 400), ("/api/traces?sort=cost+DESC", 400),
    ("/api/compare?left=1&right=2", 400), (f"/api/compare?left={A}", 400), ("/api/nothing", 404),
    ("/api/traces?text=%00%22%27%2a", 200), ("/api/traces?service=%27%20OR%201%3d1", 200),
    ("/api/traces?text=%ff", 200),
    (f"/api/traces/{A}/runs/1/difference?before=1", 404),
])  # fmt: skip
def test_a_wrong_query_is_an_error_of_the_client_as_json(directory, path, status):
    with entered(directory) as client:
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
        assert ("error" in answer.json()) is (status != 200)


def test_an_unchanged_answer_is_not_sent_again(directory):
    with entered(directory) as client:
        first = client.get(f"/api/traces/{A}")
        again = client.get(f"/api/traces/{A}", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        write(directory / "traces.jsonl", otlp("9", "1", "chat n", 1, 2, "aa"))
        grown = client.get(f"/api/traces/{A}", headers={"If-None-Match": first.headers["etag"]})
        assert (grown.status_code, len(grown.json()["columns"]["id"])) == (200, 5)


def test_the_version_changes_with_the_files(directory):
    with entered(directory) as client:
        versions = [client.get("/api/version").json()["version"] for _ in range(2)]
        write(directory / "traces.jsonl", otlp("1", trace="cc"))
        assert versions[0] == versions[1] != client.get("/api/version").json()["version"]


def test_content_of_any_kind_is_text_in_json(tmp_path):
    hostile = "</script><img src=x onerror=alert(1)>\u202e\x1b[31m\ud800"
    write(
        tmp_path / "traces.jsonl",
        otlp("1", "", hostile, 0, 1, "aa", {"x": float("nan"), "gen_ai.input.messages": "[[[", "y": hostile}),
        otlp("2", "2", "module own parent", 0, 1, "aa"),
    )
    with entered(tmp_path) as client:
        assert client.get("/api/traces").json()["traces"][0]["name"] == hostile.replace("\ud800", "?")
        assert client.get(f"/api/traces/{A}").json()["columns"]["depth"] == [0, 0]
        assert client.get(f"/api/traces/{A}/spans/1").json()["attributes"]["x"] == "NaN"


def test_nothing_stored_yet(tmp_path):
    with entered(tmp_path) as client:
        assert client.get("/api/traces").json() == {
            "traces": [], "more": False, "path": str(tmp_path), "troubles": [], "stored": 0,
        }  # fmt: skip
