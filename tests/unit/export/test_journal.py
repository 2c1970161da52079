"""The journal of operations that have not ended: its lines, its file, its lock."""

import itertools
import json
import logging
import multiprocessing
import os
import resource
import stat
import threading
import time

import pytest
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from lmspan import liveness
from lmspan.content.payload import CAPTURE_MODES, Content
from lmspan.export import journal as journals
from lmspan.export.journal import Journal, remove_dead
from lmspan.export.local import OpenCalls
from lmspan.lifecycle import Operation
from lmspan.liveness import JOURNAL_GLOB, is_alive
from lmspan.recording.recorder import Recorder
from lmspan.subscribers.sampling import ListeningSampler

ALREADY_S = 5


@pytest.fixture(autouse=True)
def _every_turn_is_due(monkeypatch):
    monkeypatch.setattr(journals, "_TURN_S", 0.0)
    monkeypatch.setattr(journals, "_AGAIN_BYTES_PER_S", float("inf"))


@pytest.fixture(autouse=True)
def _nothing_is_current():
    token = otel_context.attach(otel_context.Context())
    yield
    otel_context.detach(token)


class Program(SpanProcessor):
    """A recorder whose open calls a journal can write."""

    def __init__(self, *, capture="local", sampler=None):
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        provider.add_span_processor(self)
        self.calls = OpenCalls()
        self.recorder = Recorder(provider.get_tracer("test"), content=Content(CAPTURE_MODES[capture]))

    def on_start(self, span, parent_context=None):
        self.calls.note(span, parent_context)

    def on_end(self, span):
        self.calls.take(span.context.span_id)

    def start(self, name, seconds=ALREADY_S, **facts):
        """Start an operation some seconds ago."""
        begin = time.time_ns() - int(seconds * 1e9)
        return self.recorder.start(Operation.TOOL, name, "test", facts, start_time=begin)


def turn(journal, program, *, settled=True):
    journal.write(program.calls.open(), settled=settled)


def stored(path):
    """The spans of each line of a file."""
    return [
        [
            span
            for resource_spans in json.loads(line)["resourceSpans"]
            for scope in resource_spans["scopeSpans"]
            for span in scope["spans"]
        ]
        for line in path.read_text().splitlines()
    ]


def names(path):
    return [[span["name"] for span in line] for line in stored(path)]


def test_an_operation_that_is_open_for_a_second_is_written_with_what_is_known_of_it(tmp_path):
    program, journal = Program(), Journal(tmp_path)
    outer = program.start("outer")
    program.recorder.capture(outer, {"gen_ai.tool.call.arguments": {"query": "tea"}})
    inner = program.start("inner")
    program.start("young", seconds=0)
    turn(journal, program)
    [[first, second]] = stored(journal.path)
    assert [each["endTimeUnixNano"] for each in (first, second)] == ["0", "0"]
    assert (first["name"], second["name"]) == ("execute_tool outer", "execute_tool inner")
    assert second["parentSpanId"] == first["spanId"] == outer.call_id
    assert (second["spanId"], second["startTimeUnixNano"]) == (inner.call_id, str(inner.start_time_unix_nano))
    assert {"key": "gen_ai.tool.call.arguments", "value": {"stringValue": '{"query":"tea"}'}} in first["attributes"]


def test_the_file_is_one_for_each_process_and_for_the_user_alone(tmp_path):
    program, journal = Program(), Journal(tmp_path / "state" / "traces")
    program.start("outer")
    before = os.umask(0)
    try:
        turn(journal, program)
    finally:
        os.umask(before)
    assert [path.name for path in (tmp_path / "state" / "traces").iterdir()] == [journal.path.name]
    assert journal.path.match(JOURNAL_GLOB)
    assert journal.path.name.startswith(f"open-{os.getpid()}-")
    modes = [oct(stat.S_IMODE(each.stat().st_mode)) for each in (journal.path, journal.path.parent)]
    assert modes == ["0o600", "0o700"]


def test_an_operation_is_written_again_only_when_it_has_changed(tmp_path):
    program, journal = Program(), Journal(tmp_path, again_s=0)
    outer = program.start("outer")
    turn(journal, program)
    turn(journal, program)
    assert names(journal.path) == [["execute_tool outer"]]
    program.recorder.add_event(outer, "progress", {"step": 1})
    program.start("inner")
    turn(journal, program)
    turn(journal, program)
    assert names(journal.path) == [["execute_tool outer"], ["execute_tool outer", "execute_tool inner"]]
    assert [event["name"] for event in stored(journal.path)[1][0]["events"]] == ["lmspan.progress"]


def test_an_operation_that_changes_all_the_time_is_written_every_few_seconds(tmp_path):
    program, journal = Program(), Journal(tmp_path)
    outer = program.start("outer")
    for step in range(20):
        program.recorder.add_event(outer, "progress", {"step": step})
        turn(journal, program)
    assert names(journal.path) == [["execute_tool outer"]]


UNSAMPLED = ListeningSampler(ALWAYS_OFF, lambda: True)


@pytest.mark.parametrize(("capture", "sampler"), [("none", None), ("local", UNSAMPLED)])
def test_the_journal_has_no_more_than_the_trace_file_would_have(capture, sampler, tmp_path):
    program, journal = Program(capture=capture, sampler=sampler), Journal(tmp_path)
    outer = program.start("outer")
    if program.recorder.captures(outer):
        program.recorder.capture(outer, {"gen_ai.tool.call.arguments": {"query": "tea"}})
    turn(journal, program)
    assert journal.path.exists() is (sampler is None)
    assert sampler is not None or "tea" not in journal.path.read_text()


def test_the_file_is_emptied_when_all_that_it_names_has_ended_and_is_exported(tmp_path):
    program, journal = Program(), Journal(tmp_path)
    outer = program.start("outer")
    inner = program.start("inner")
    turn(journal, program)
    program.recorder.end(inner)
    turn(journal, program)
    program.recorder.end(outer)
    sizes = []
    for settled in (True, False, False, True):
        turn(journal, program, settled=settled)
        sizes.append(journal.path.stat().st_size > 0)
    assert sizes == [True, True, True, False]
    program.start("next")
    turn(journal, program)
    assert (names(journal.path), is_alive(journal.path)) == ([["execute_tool next"]], True)


@pytest.mark.parametrize("remove", [True, False])
def test_closing_removes_the_file_or_leaves_it_without_its_lock(remove, tmp_path):
    program, journal = Program(), Journal(tmp_path)
    program.start("outer")
    turn(journal, program)
    assert is_alive(journal.path)
    journal.close(remove=remove)
    turn(journal, program)
    assert (journal.path.exists(), is_alive(journal.path)) == (not remove, False)


def test_a_large_file_is_replaced_by_one_with_the_open_operations(tmp_path):
    program, journal = Program(), Journal(tmp_path, max_bytes=20_000)
    stays = program.start("stays", text="x" * 1_000)
    inodes = set()
    for number in range(200):
        call = program.start(f"passes {number}", text="x" * 1_000)
        turn(journal, program)
        program.recorder.end(call)
        inodes.add(journal.path.stat().st_ino)
        assert journal.path.stat().st_size < 25_000
        assert is_alive(journal.path)
    assert len(inodes) > 1
    last = {span["spanId"] for line in stored(journal.path) for span in line}
    assert stays.call_id in last
    assert [path.name for path in tmp_path.iterdir()] == [journal.path.name]


def test_operations_that_are_larger_than_the_limit_do_not_replace_the_file_each_time(tmp_path):
    program, journal = Program(), Journal(tmp_path, max_bytes=1_000)
    inodes = []
    for number in range(64):
        program.start(f"stays {number}", text="x" * 1_000)
        turn(journal, program)
        inodes.append(journal.path.stat().st_ino)
    changes = sum(one != other for one, other in itertools.pairwise(inodes))
    assert changes < 10


def test_a_reader_never_sees_the_journal_of_a_running_process_without_a_lock(tmp_path):
    program, journal = Program(), Journal(tmp_path, max_bytes=1)
    program.start("outer")
    turn(journal, program)
    states, done = [], threading.Event()

    def read():
        while not done.is_set():
            states.append(is_alive(journal.path))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        program.recorder.end(program.start(f"passes {number}", text="x" * 100))
        program.start(f"stays {number}")
        turn(journal, program)
    done.set()
    reader.join()
    assert set(states) == {True}


def test_a_file_that_somebody_removes_is_written_again_with_all_that_is_open(tmp_path):
    program, journal = Program(), Journal(tmp_path / "traces")
    program.start("outer")
    turn(journal, program)
    journal.path.unlink()
    journal.path.parent.rmdir()
    program.start("inner")
    turn(journal, program)
    assert names(journal.path) == [["execute_tool outer", "execute_tool inner"]]
    assert is_alive(journal.path)


def test_without_locks_the_time_of_the_last_write_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(liveness, "fcntl", None)
    monkeypatch.setattr(liveness, "TOUCH_S", 0.0)
    program, journal = Program(), Journal(tmp_path, max_bytes=2_000)
    program.start("outer")
    turn(journal, program)
    assert (names(journal.path), is_alive(journal.path)) == ([["execute_tool outer"]], True)
    os.utime(journal.path, (1, 1))
    assert not is_alive(journal.path)
    turn(journal, program)
    assert is_alive(journal.path)
    for number in range(20):
        program.start(f"stays {number}")
        turn(journal, program)
    assert len({span["spanId"] for line in stored(journal.path) for span in line}) == 21
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written_is_reported_once(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(journals, "_FAILED_PAUSE_S", 0.0)
    (tmp_path / "traces").write_text("a file")
    program, journal = Program(), Journal(tmp_path / "traces")
    program.start("outer")
    for _ in range(3):
        turn(journal, program)
    journal.close()
    trouble = f"lmspan: file: operations that have not ended cannot be written ({journal.path}: Not a directory)"
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(logging.WARNING, trouble)]


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    monkeypatch.setattr(journals, "_FAILED_PAUSE_S", 0.0)
    program, journal = Program(), Journal(tmp_path)
    program.start("outer")
    turn(journal, program)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 100, before[1]))
    try:
        program.start("inner", text="x" * 1_000)
        turn(journal, program)
        assert names(journal.path) == [["execute_tool outer"]]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    turn(journal, program)
    assert names(journal.path) == [["execute_tool outer"], ["execute_tool outer", "execute_tool inner"]]


def _hold(path, locked, release):
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(file, b"x")
    liveness.lock(file)
    locked.set()
    release.wait(30)


def test_only_journals_of_ended_processes_are_removed_the_empty_the_old_and_the_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(journals, "_MOST_DEAD", 4)
    context = multiprocessing.get_context("spawn")
    locked, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path / "open-1-1.jsonl", locked, release))
    holder.start()
    assert locked.wait(30)
    now = time.time()
    for number, (text, age_s) in enumerate([("", 0), ("x", 10), ("x", 20), ("x", 5_000), ("x", 30), ("x", 40)], 2):
        path = tmp_path / f"open-{number}-1.jsonl"
        path.write_text(text)
        os.utime(path, (now - age_s, now - age_s))
    os.utime(tmp_path / "open-1-1.jsonl", (1, 1))
    for name, age_s in (("open-8-1.jsonl.new", 10_000), ("open-9-1.jsonl.new", 0)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (now - age_s, now - age_s))
    (tmp_path / "traces.jsonl").touch()
    remove_dead(tmp_path, now - 1_000)
    release.set()
    holder.join()
    left = [f"open-{number}-1.jsonl" for number in (1, 3, 4, 6)] + ["open-9-1.jsonl.new", "traces.jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left


@pytest.mark.parametrize("obstacle", ["missing", "directory", "fifo", "symbolic link", "unreadable"])
def test_anything_but_a_journal_is_of_no_running_process(obstacle, tmp_path):
    path = tmp_path / "open-1-1.jsonl"
    if obstacle == "directory":
        path.mkdir()
    elif obstacle == "fifo":
        os.mkfifo(path)
    elif obstacle == "symbolic link":
        path.symlink_to(tmp_path / "elsewhere")
    elif obstacle == "unreadable":
        path.touch(mode=0)
    assert is_alive(path) is False
