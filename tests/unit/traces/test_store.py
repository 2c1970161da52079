"""Find traces in directories and files."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from lmspan import traces
from lmspan.errors import LmspanError, TraceFileError
from lmspan.traces import Filter, State, Store, database, direct
from lmspan.traces import index as index_module
from lmspan.traces.statistics import KINDS
from support.stored import line, otlp, write

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "m-1",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
    "lmspan.cost.amount": 0.5,
}
FAILED = {"error.type": "shop.Empty"}


def ids(summaries):
    return [each.trace_id[:2] for each in summaries]


@pytest.fixture
def shop(tmp_path):
    """Three traces: aa failed, bb recovered from a failure and belongs to a session, cc is slow."""
    write(
        tmp_path / "traces.jsonl",
        otlp("2", "1", "chat m-1", 10, 11, "aa", {**CHAT, **FAILED}, status=2),
        otlp("1", "", "module answer", 10, 12, "aa", {**FAILED, "lmspan.module.inputs": {"question": "Which tea?"}}, 2),
        otlp("2", "1", "execute_tool find", 20, 21, "bb", {**FAILED, "gen_ai.tool.name": "find"}, 2),
        otlp("3", "1", "chat m-2", 21, 22, "bb", {**CHAT, "gen_ai.request.model": "m-2"}),
        otlp("1", "", "invoke_agent ReAct", 20, 23, "bb", {"session.id": "s-7", "user.id": "u-1"}),
    )
    write(tmp_path / "traces.jsonl", otlp("1", "", "module slow", 30, 90, "cc"), service="batch")
    return tmp_path


def test_a_list_has_one_row_a_trace_the_newest_first(shop):
    slow, agent, failed = Store(shop).list()
    assert (failed.number, failed.trace_id, failed.service, failed.name) == (3, "aa" * 16, "shop", "module answer")
    assert (failed.words, failed.duration_s, failed.state, failed.start.timestamp()) == ("Which tea?", 2, "ended", 10)
    assert (failed.spans, failed.lm_calls, failed.failed, failed.recovered) == (2, 1, 1, 0)
    assert (agent.number, agent.failed, agent.recovered, agent.session) == (2, 0, 1, "s-7")
    assert (agent.input_tokens, agent.output_tokens, agent.cost) == (10, 5, 0.5)
    assert (slow.number, slow.service, slow.spans, slow.lm_calls, slow.cost) == (1, "batch", 1, 0, None)


def test_the_list_counts_as_the_trace_does(tmp_path):
    write(
        tmp_path / "traces.jsonl",
        otlp("3", "2", "chat m-1", 2, 3, "aa", CHAT),
        otlp("2", "1", "chat m-1", 1, 4, "aa", CHAT),
        otlp("5", "4", "chat m-1", 6, 7, "aa", CHAT),
        otlp("4", "1", "chat m-1", 5, 8, "aa"),
        otlp("1", "", "module answer", 0, 9, "aa"),
    )
    stored = Store(tmp_path)
    (listed,) = stored.list()
    total = stored.last().total
    (model,) = stored.statistics("model")
    expected = (2, 20, 10, 1.0)
    assert (listed.lm_calls, listed.input_tokens, listed.output_tokens, listed.cost) == expected
    assert (total.lm_calls, total.input_tokens, total.output_tokens, total.cost) == expected
    assert (model.calls, model.input_tokens, model.output_tokens, model.cost) == expected


def test_a_trace_whose_root_is_in_another_service_has_ended(tmp_path):
    request = {"lmspan.module.inputs": {"question": "From a browser"}}
    write(tmp_path / "traces.jsonl", otlp("1", "cafe", "invoke_workflow serve", 0, 1, "aa", request, flags=0x301))
    write(tmp_path / "traces.jsonl", otlp("2", "gone", "module lost", 2, 3, "bb", request, flags=0x101))
    lost, served = Store(tmp_path).list()
    assert (served.state, served.name, served.words) == (State.ENDED, "invoke_workflow serve", "From a browser")
    assert (lost.state, lost.name) == (State.NOT_ENDED, "module lost")
    assert [each.state for each in (Store(tmp_path).find("aaaa"), Store(tmp_path).find("bbbb"))] == [
        State.ENDED, State.NOT_ENDED,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["cc", "bb", "aa"]),
        ({"failed": True}, ["aa"]),
        ({"slow": "30s"}, ["cc"]),
        ({"slow": 2.5}, ["cc", "bb"]),
        ({"since": 20}, ["cc", "bb"]),
        ({"until": 20}, ["aa"]),
        ({"since": "1970-01-02"}, []),
        ({"since": "2h"}, []),
        ({"service": "batch"}, ["cc"]),
        ({"name": "FIND"}, ["bb"]),
        ({"root": "invoke_agent ReAct"}, ["bb"]),
        ({"root": "execute_tool find"}, []),
        ({"module": "answer"}, ["aa"]),
        ({"module": "answ"}, []),
        ({"module": "ReAct"}, ["bb"]),
        ({"agent": "ReAct"}, ["bb"]),
        ({"agent": "answer"}, []),
        ({"tool": "find"}, ["bb"]),
        ({"tool": "fin"}, []),
        ({"tool": "find", "module": "answer"}, []),
        ({"session": "s-7"}, ["bb"]),
        ({"session": "u-1"}, ["bb"]),
        ({"model": "m-2"}, ["bb"]),
        ({"text": "tea"}, ["aa"]),
        ({"text": "which te"}, ["aa"]),
        ({"text": "shop.Empty"}, ["bb", "aa"]),
        ({"text": "coffee"}, []),
        ({"text": '"*NEAR('}, []),
        ({"text": "???"}, []),
        ({"text": "s-7"}, ["bb"]),
        ({"text": "tea\0 \ud800which"}, ["aa"]),
        ({"text": "s-8"}, []),
        ({"text": "m-2 find"}, ["bb"]),
        ({"since": "9999-12-31"}, []),
        ({"until": "9999-12-31"}, ["cc", "bb", "aa"]),
        ({"since": "99999999999w"}, ["cc", "bb", "aa"]),
        ({"slow": "99999999999w"}, []),
        ({"trace": "bb" * 16}, ["bb"]),
        ({"failed": True, "service": "batch"}, []),
    ],
)
def test_filters_select_traces_that_have_all_properties(shop, wanted, expected):
    assert ids(Store(shop).list(Filter(**wanted))) == expected
    assert ids(traces.list(path=shop, **wanted)) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_the_key_of_a_statistic_is_a_filter_that_finds_its_traces(shop, kind):
    write(shop / "traces.jsonl", otlp("1", "", "chat", 95, 96, "dd"))  # a call of an unknown model
    stored = Store(shop)
    filters = {"user": "session"}
    for each in stored.statistics(kind):
        found = len(stored.list(Filter(**{filters.get(kind, kind): each.key})))
        assert found == each.traces or (kind == "name" and found > each.traces), each  # a part of a name is enough


def test_numbers_do_not_depend_on_the_filter_or_the_limit(shop):
    stored = Store(shop)
    assert [each.number for each in stored.list(Filter(failed=True))] == [3]
    assert [each.number for each in stored.list(limit=2)] == [1, 2]
    assert stored.find(3).trace_id == "aa" * 16


@pytest.mark.parametrize(
    ("reference", "trace"),
    [("last", "cc"), ("last~1", "bb"), ("LAST~2", "aa"), ("1", "cc"), (3, "aa"), ("bbbb", "bb"), ("BB" * 16, "bb")],
)
def test_a_trace_is_found_by_number_id_or_place(shop, reference, trace):
    assert Store(shop).find(reference).trace_id == trace * 16
    assert traces.find(reference, path=shop).trace_id == trace * 16


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("zzz", "'zzz' is neither a file or directory, nor a trace id"),
        ("abcd", "trace abcd: no such trace in "),
        ("4", "there is no trace '4': 3 are stored in "),
        ("last~3", "there is no trace 'last~3': 3 are stored in "),
        ("aa", "'aa' is neither"),
    ],
)
def test_a_reference_that_means_no_trace_is_refused(shop, reference, message):
    with pytest.raises(TraceFileError, match=message):
        Store(shop).find(reference)


def test_traces_that_start_at_once_are_listed_in_the_order_of_their_numbers(tmp_path):
    write(tmp_path / "traces.jsonl", *(otlp("1", trace=trace) for trace in ("cc", "aa", "bb")))
    assert [(each.number, each.trace_id[:2]) for each in Store(tmp_path).list()] == [(1, "aa"), (2, "bb"), (3, "cc")]


@pytest.mark.parametrize("trace_id", ["", "ab", "\ud800x"])
def test_ids_that_are_no_trace_ids_are_not_mixed_with_others(tmp_path, trace_id):
    spans = [otlp("1", end=2, trace="ab"), {**otlp("2", start=1, end=2), "traceId": trace_id}]
    (tmp_path / "traces.jsonl").write_text(line(*spans))
    assert [span.span_id for span in Store(tmp_path).find(1).spans] == ["2"]


def test_two_traces_with_one_beginning_are_not_mixed(tmp_path):
    write(tmp_path / "traces.jsonl", otlp("1", trace="aaaab"), otlp("1", trace="aaaac"))
    with pytest.raises(TraceFileError, match="trace aaaa: 2 traces begin with it"):
        Store(tmp_path).find("aaaa")


def test_an_empty_directory_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(TraceFileError, match="no trace is stored in"):
        Store(tmp_path).last()
    with pytest.raises(TraceFileError, match="nothing cannot be read: No such file"):
        Store(tmp_path / "nothing")
    assert list(Store(tmp_path).list()) == []


@pytest.mark.parametrize("wanted", [{"since": "soon"}, {"slow": "long"}, {"until": "2026-13-45"}])
def test_a_time_without_meaning_is_refused(shop, wanted):
    with pytest.raises(LmspanError, match="write "):
        traces.list(path=shop, **wanted)


def test_a_trace_in_several_files_is_whole_wherever_its_root_is(tmp_path):
    write(tmp_path / "traces-1.jsonl", otlp("2", "1", start=1, trace="aa"), otlp("9", trace="bb"))
    write(tmp_path / "traces-2.jsonl", otlp("3", "2", start=2, trace="aa"))
    write(tmp_path / "traces.jsonl", otlp("1", "", end=9, trace="aa"))
    stored = Store(tmp_path)
    assert [each.span_id for each in stored.find("aaaa").spans] == ["1", "2", "3"]
    assert {each.trace_id[:2]: (each.spans, each.duration_s) for each in stored.list()} == {"aa": (3, 9), "bb": (1, 1)}


def test_what_is_written_later_is_found_and_a_half_line_when_it_is_complete(tmp_path):
    file = write(tmp_path / "traces.jsonl", otlp("2", "1", trace="aa"))
    stored = Store(tmp_path)
    assert [(each.spans, each.state) for each in stored.list()] == [(1, State.NOT_ENDED)]
    whole = line(otlp("1", "", end=5, trace="aa"))
    with file.open("a") as opened:
        opened.write(whole[:50])
        opened.flush()
        assert [each.spans for each in stored.list()] == [1]
        opened.write(whole[50:])
    assert [(each.spans, each.state, each.duration_s) for each in stored.list()] == [(2, State.ENDED, 5)]
    assert stored.troubles == []


def test_a_last_line_without_a_line_break_is_read(tmp_path):
    (tmp_path / "traces.jsonl").write_text(line(otlp("1")).rstrip("\n"))
    assert [each.spans for each in Store(tmp_path).list()] == [1]
    assert [len(trace.spans) for trace in direct.read_file(tmp_path / "traces.jsonl")[0]] == [1]


def test_rotation_renames_a_file_and_loses_nothing(tmp_path):
    file = write(tmp_path / "traces.jsonl", otlp("2", "1", trace="aa"))
    stored = Store(tmp_path)
    stored.list()
    file.rename(tmp_path / "traces-1.jsonl")
    write(tmp_path / "traces.jsonl", otlp("1", "", trace="aa"), otlp("1", "", start=5, end=6, trace="bb"))
    assert [(each.trace_id[:2], each.spans) for each in stored.list()] == [("bb", 1), ("aa", 2)]
    assert sorted(each.span_id for each in stored.find("aaaa").spans) == ["1", "2"]


def test_a_trace_that_grows_is_read_again_where_it_has_grown_only(tmp_path):
    file = write(tmp_path / "traces.jsonl", otlp("2", "1", trace="aa"), otlp("3", "1", start=2, end=3, trace="aa"))
    stored = Store(tmp_path)
    first = stored.find("aaaa")
    file.rename(tmp_path / "traces-1.jsonl")
    write(tmp_path / "traces.jsonl", otlp("1", "", end=9, trace="aa"), otlp("9", trace="bb"))
    second = stored.again(first)
    assert [each.span_id for each in second.spans] == ["1", "2", "3"]
    assert [any(each is one for one in first.spans) for each in second.spans] == [False, True, True]
    (tmp_path / "traces-1.jsonl").unlink()
    assert [each.span_id for each in stored.again(second).spans] == ["1"]
    (tmp_path / "traces.jsonl").unlink()
    with pytest.raises(TraceFileError, match="no such trace"):
        stored.again(second)


def test_the_outline_of_a_trace_has_the_facts_that_the_whole_trace_has(shop):
    write(shop / "open-1-1.jsonl", otlp("1", "", "optimize GEPA", 10, 0, "dd"), otlp("2", "1", "module M", 11, 0, "dd"))
    write(shop / "traces.jsonl", otlp("2", "1", "module M", 11, 12, "dd"))
    stored = Store(shop)
    for each in stored.list():
        rows, opened = stored.outline(each.trace_id)
        trace = stored.find(each.trace_id)
        unended = [span for span in trace.spans if span.state is not State.ENDED]
        assert {row.span_id: row for row in rows} == {
            span_id: row for span_id, row in trace.rows.items() if trace.by_id[span_id] not in unended
        }
        assert [span.span_id for span in opened] == [span.span_id for span in unended]
    assert stored.outline("ee" * 16) == ([], ())


def test_what_is_in_a_removed_file_is_gone_also_for_the_search(shop):
    stored = Store(shop)
    assert ids(stored.list(Filter(text="tea"))) == ["aa"]
    write(shop / "traces-1.jsonl", otlp("1", trace="dd"))
    assert len(stored.list()) == 4
    (shop / "traces.jsonl").unlink()
    assert ids(stored.list()) == ["dd"]
    assert ids(stored.list(Filter(text="tea"))) == []
    tables = sqlite3.connect(shop / "index.sqlite").execute("SELECT name FROM sqlite_master WHERE name LIKE 'words_%'")
    assert {name.split("_")[1] for (name,) in tables} == {"2"}


def test_a_file_that_was_replaced_or_cut_is_read_again(tmp_path):
    file = write(tmp_path / "traces.jsonl", otlp("1", trace="aa"), otlp("1", start=2, end=3, trace="bb"))
    stored = Store(tmp_path)
    assert ids(stored.list()) == ["bb", "aa"]
    file.write_text(line(otlp("1", trace="cc")))  # the same inode
    assert ids(stored.list()) == ["cc"]
    assert stored.find("cccc").spans[0].span_id == "1"


@pytest.mark.parametrize("content", [b"no database", b"", b"SQLite format 3\0" + bytes(4096)])
def test_a_broken_index_is_made_again(shop, content):
    (shop / "index.sqlite").write_bytes(content)
    assert ids(Store(shop).list()) == ["cc", "bb", "aa"]


def spoil_pages(path, first):
    """Overwrite the pages of a database from one on; the page of its header stays."""
    content = path.read_bytes()
    path.write_bytes(content[: first * 4096] + b"\x5a" * (len(content) - first * 4096))


def test_an_index_with_broken_pages_is_made_again(shop):
    with closing(Store(shop)._made_index()) as index:
        index.refresh()
    spoil_pages(shop / "index.sqlite", 1)
    assert ids(Store(shop).list()) == ["cc", "bb", "aa"]
    assert sqlite3.connect(shop / "index.sqlite").execute("SELECT count(*) FROM traces").fetchone() == (3,)


def test_an_index_that_breaks_during_a_query_is_removed_with_an_error(shop):
    stored = Store(shop)
    stored.list()
    with pytest.raises(TraceFileError, match=r"the index of .* is broken and was removed; try again"):
        with stored._refreshed():
            raise sqlite3.DatabaseError("database disk image is malformed")
    assert not (shop / "index.sqlite").exists()
    assert ids(stored.list()) == ["cc", "bb", "aa"]


def test_a_disk_that_is_full_does_not_prevent_a_list(shop, monkeypatch):
    monkeypatch.setattr(database, "_SCHEMA", database._SCHEMA + "PRAGMA max_page_count = 26;")
    for number in range(300):
        write(shop / "traces.jsonl", otlp("1", "", f"module {'x' * 150}", 100 + number, 101 + number, f"{number:04x}"))
    really = database.temporary
    monkeypatch.setattr(database, "temporary", lambda: (monkeypatch.undo(), really())[1])
    assert len(Store(shop).list()) == 303


def test_a_span_that_two_files_hold_stays_when_one_of_them_is_removed(shop):
    copy = shop / "traces-copy.jsonl"
    copy.write_bytes((shop / "traces.jsonl").read_bytes())
    os.utime(shop / "traces.jsonl", (1, 1))  # the older one is indexed first
    stored = Store(shop)
    before = stored.list()
    (shop / "traces.jsonl").unlink()
    assert list(stored.list()) == list(before)


@pytest.mark.parametrize(
    ("wanted", "is_selected"),
    [
        ({}, True),
        ({"name": "optimize"}, True),
        ({"name": "chat"}, True),
        ({"name": "retrieval"}, False),
        ({"root": "optimize GEPA", "agent": "ReAct", "module": "ReAct", "tool": "find"}, True),
        ({"root": "chat m-1"}, False),
        ({"module": "GEPA"}, False),
        ({"agent": "find"}, False),
        ({"tool": "ReAct"}, False),
        ({"text": "zebra tea"}, True),
        ({"text": "zebra coffee"}, False),
        ({"session": "s", "model": "m-1", "service": "shop"}, True),
        ({"failed": True}, True),
        ({"since": 15}, False),
        ({"until": 15}, True),
        ({"slow": 10}, True),
        ({"trace": "aa" * 16}, True),
        ({"trace": "bb" * 16}, False),
    ],
)
def test_a_filter_selects_a_trace_by_what_has_ended_and_by_what_runs(tmp_path, wanted, is_selected):
    facts = {"lmspan.operation.inputs": {"student": "zebra"}, "session.id": "s"}
    write(tmp_path / "open-1-1.jsonl", otlp("1", "", "optimize GEPA", 10, 0, "aa", facts))
    write(tmp_path / "open-1-1.jsonl", otlp("3", "1", "invoke_agent ReAct", 11, 0, "aa"))
    write(tmp_path / "open-1-1.jsonl", otlp("4", "3", "execute_tool find", 12, 0, "aa"))
    said = {**CHAT, **FAILED, "gen_ai.output.messages": '[{"role": "assistant", "content": "tea"}]'}
    write(tmp_path / "traces.jsonl", otlp("2", "1", "chat m-1", 20, 21, "aa", said, status=2))
    assert ids(Store(tmp_path).list(Filter(**wanted), limit=1)) == ["aa"] * is_selected


def test_a_trace_that_has_not_ended_does_not_lend_its_words_to_the_next_one(tmp_path):
    file = write(tmp_path / "traces.jsonl", otlp("1", name="module elephant", end=0, trace="aa"))
    stored = Store(tmp_path)
    assert (ids(stored.list()), stored.count()) == ([], 0)
    write(file, otlp("1", name="module mouse", trace="bb"))
    assert ids(stored.list()) == ["bb"]
    assert ids(stored.list(Filter(text="elephant"))) == []
    write(file, otlp("2", "1", "chat m", trace="aa"))
    assert ids(stored.list(Filter(text="elephant"))) == ["aa"]


def test_an_index_of_another_version_is_made_again(shop):
    Store(shop).list()
    database = sqlite3.connect(shop / "index.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()
    assert ids(Store(shop).list()) == ["cc", "bb", "aa"]
    assert sqlite3.connect(shop / "index.sqlite").execute("PRAGMA user_version").fetchone() != (99,)


def test_the_index_is_readable_for_its_user_only_and_a_link_is_not_followed(shop, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "precious"
    other.write_text("of somebody else")
    (shop / "index.sqlite").symlink_to(other)
    assert ids(Store(shop).list()) == ["cc", "bb", "aa"]
    assert other.read_text() == "of somebody else"
    (shop / "index.sqlite").unlink()
    Store(shop).list()
    assert (shop / "index.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_directory_that_cannot_be_written_is_read_all_the_same(shop, monkeypatch):
    really = os.open

    def refuse(path, *args):
        if os.fspath(path).endswith("index.sqlite"):
            raise PermissionError(13, "Permission denied")
        return really(path, *args)

    monkeypatch.setattr(os, "open", refuse)  # root may write anywhere
    assert ids(Store(shop).list()) == ["cc", "bb", "aa"]
    monkeypatch.undo()
    assert not (shop / "index.sqlite").exists()


def test_an_index_that_another_process_writes_gives_what_it_has(shop, monkeypatch):
    monkeypatch.setattr(database, "_BUSY_S", 0.01)
    stored = Store(shop)
    stored.list()
    other = sqlite3.connect(shop / "index.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    write(shop / "traces.jsonl", otlp("1", start=95, end=96, trace="dd"))
    assert ids(stored.list()) == ["cc", "bb", "aa"]
    assert stored.troubles == ["another process makes the index; the newest traces may be missing"]
    other.execute("ROLLBACK")
    assert ids(stored.list()) == ["dd", "cc", "bb", "aa"]
    assert stored.troubles == []


def test_several_readers_index_the_same_files_at_once_and_agree(tmp_path):
    for number in range(40):
        spans = [
            otlp(f"{n}", "" if not n else "0", start=number, end=number + 1, trace=f"{number:04x}") for n in range(50)
        ]
        write(tmp_path / "traces.jsonl", *spans)
    code = f"from lmspan import traces; print([(t.trace_id[:4], t.spans) for t in traces.list(path={str(tmp_path)!r})])"
    readers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    printed = {reader.communicate()[0] for reader in readers}
    assert printed == {f"{[(f'{number:04x}', 50) for number in reversed(range(40))]}\n"}


def test_a_reader_that_another_one_overtakes_keeps_what_that_one_has_indexed(shop, monkeypatch):
    late, quick = Store(shop), Store(shop)
    late.list()
    write(shop / "traces.jsonl", otlp("1", trace="dd", start=95, end=96))
    really = index_module.open_file
    forgotten = []

    def overtaken(path):
        monkeypatch.undo()
        assert ids(quick.list()) == ["dd", "cc", "bb", "aa"]
        monkeypatch.setattr(index_module.Index, "_forget", lambda _, file: forgotten.append(file))
        return really(path)

    monkeypatch.setattr(index_module, "open_file", overtaken)
    assert ids(late.list()) == ["dd", "cc", "bb", "aa"]
    assert forgotten == []


def test_a_file_that_another_reader_has_just_indexed_is_not_taken_for_a_removed_one(shop, monkeypatch):
    late, quick = Store(shop), Store(shop)
    late.list()
    really = index_module.Index._files

    def overtaken(index):
        yield from list(really(index))
        monkeypatch.undo()
        write(shop / "traces-2.jsonl", otlp("1", trace="dd", start=95, end=96))
        quick.list()

    monkeypatch.setattr(index_module.Index, "_files", overtaken)
    late.list()
    assert quick._index.rows("SELECT name FROM files ORDER BY name").fetchall() == [
        ("traces-2.jsonl",),
        ("traces.jsonl",),
    ]


def test_unreadable_lines_are_named_once_and_the_rest_is_read(shop):
    with (shop / "traces.jsonl").open("a") as file:
        file.write("{broken\n")
    write(shop / "traces.jsonl", otlp("1", start=99, end=100, trace="dd"))
    stored = Store(shop)
    for _ in range(2):
        assert ids(stored.list()) == ["dd", "cc", "bb", "aa"]
        (trouble,) = stored.troubles
        assert trouble.startswith(f"{shop}/traces.jsonl, line 7: no JSON (")


def test_a_directory_of_other_files_has_no_index_beside_it(tmp_path):
    write(tmp_path / "exported.json", otlp("1", trace="aa"))
    write(tmp_path / "more.jsonl", otlp("1", start=2, end=3, trace="bb"))
    assert ids(Store(tmp_path).list()) == ["bb", "aa"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["exported.json", "more.jsonl"]
    assert ids(Store(tmp_path / "more.jsonl").list()) == ["bb"]


def test_a_file_of_one_object_in_several_lines_is_read(tmp_path):
    path = tmp_path / "pretty.json"
    path.write_text(json.dumps(json.loads(line(otlp("1"), otlp("2", "1"))), indent=2))
    (trace,), troubles = direct.read_file(path)
    assert ([each.span_id for each in trace.spans], troubles) == (["1", "2"], [])
    assert [each.spans for each in Store(path).list()] == [2]
    path.write_text("[\n" + line(otlp("1")).rstrip() + ",\n" + line(otlp("2", "1")) + "]")
    assert [each.spans for each in Store(path).list()] == [2]


def test_tables_convert(shop):
    table = Store(shop).list()
    assert table.columns[:4] == ("number", "trace_id", "start", "service")
    assert [each["name"] for each in table.to_dicts()] == ["module slow", "invoke_agent ReAct", "module answer"]
    assert "<td" in table._repr_html_()
    assert "Which tea?" in table._repr_html_()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_pandas_and_polars_take_a_table(shop, library):
    frame = getattr(Store(shop).list(), f"to_{library}")()
    assert list(frame["trace_id"]) == ["cc" * 16, "bb" * 16, "aa" * 16]
    assert list(frame["duration_s"]) == [60, 3, 2]
    assert list(frame.columns) == list(Store(shop).list().columns)


def test_a_line_that_cannot_be_read_is_named_and_the_rest_is_read(tmp_path):
    file = tmp_path / "t.jsonl"
    span = {"traceId": "AB", "spanId": "1", "startTimeUnixNano": "1", "endTimeUnixNano": 2}
    span |= {"kind": "SPAN_KIND_CLIENT", "status": {"code": "STATUS_CODE_ERROR"}}
    good, bad = (
        json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [each]}]}]}) for each in (span, {"traceId": "x"})
    )
    file.write_text(f'{good}\nnonsense\n{{"a": 1}}\n\n[]\n{bad}\n{good}')
    (trace,), troubles = direct.read_file(file)
    assert [(each.trace_id, each.kind, each.failed) for each in trace.spans] == [("ab", 3, True)]
    assert troubles == [
        f"{file}: 4 lines cannot be read; the first is line 2: no JSON (Expecting value: line 1 column 1 (char 0))"
    ]


def test_a_file_is_read_alone_and_a_directory_with_all_its_files(tmp_path):
    write(tmp_path / "traces.jsonl", otlp("1", trace="aa"), otlp("1", trace="cc"))
    write(tmp_path / "traces-1.jsonl", otlp("2", "1", trace="aa"))
    write(tmp_path / "other.jsonl", otlp("1", trace="dd"))
    (tmp_path / "notes.txt").write_text("no trace")

    def read(path):
        return {trace.trace_id[:2]: len(trace.spans) for trace in direct.read_file(path)[0]}

    assert read(tmp_path / "traces.jsonl") == {"aa": 1, "cc": 1}
    assert read(tmp_path) == {"aa": 2, "cc": 1, "dd": 1}
    with pytest.raises(TraceFileError, match=r"none.jsonl cannot be read"):
        direct.read_file(tmp_path / "none.jsonl")


def test_the_default_place_is_that_of_init(shop, monkeypatch):
    monkeypatch.setenv("LMSPAN_DIR", str(shop))
    assert traces.last().trace_id == "cc" * 16
    assert [each.key for each in traces.statistics("service")] == ["shop", "batch"]
    assert Store().path.samefile(shop)
