"""When the file sink turns to another file, which old files it keeps, and what it asks of the file that is there."""

import os
import time

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from lmspan.directories import trace_directory
from lmspan.export import file as file_sink
from lmspan.export.file import FileSink
from support.spans import some_spans

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
DAY_S = 24 * 3600


@pytest.fixture(autouse=True)
def _no_file_stays_open(monkeypatch):
    opened, plain_open, plain_close = set(), os.open, os.close

    def open_(path, *args, **options):
        file = plain_open(path, *args, **options)
        opened.add(file)
        return file

    def close(file):
        opened.discard(file)
        plain_close(file)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", open_)
        patched.setattr(os, "close", close)
        yield
    assert opened == set()


def files(directory):
    return sorted(path.name for path in directory.glob("traces*.jsonl"))


def turned(directory):
    return [name for name in files(directory) if name != "traces.jsonl"]


def aged(path, text, ended_s=None):
    """Write a file whose first span ended at a time, and that was written then."""
    path.write_text(text if ended_s is None else f'{{"endTimeUnixNano":"{int(ended_s * 1e9)}"}}\n')
    if ended_s is not None:
        os.utime(path, (ended_s, ended_s))


# the directory -------------------------------------------------------------------------------------------------------


def test_the_directory_is_the_one_that_the_variable_names_or_the_platforms(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert trace_directory({"LMSPAN_DIR": "~/mine"}) == tmp_path / "mine"
    assert trace_directory({"LMSPAN_DIR": ""}) == trace_directory({})
    assert trace_directory({}).parts[-2:] == ("lmspan", "traces")


def test_a_sink_has_no_trouble_until_it_fails(tmp_path):
    sink = FileSink(tmp_path)
    assert (sink.trouble, sink.batch_refused, sink.path) == ("", False, tmp_path / "traces.jsonl")
    assert sink.export(some_spans()) is SUCCESS
    (tmp_path / "traces.jsonl").rename(tmp_path / "moved")
    (tmp_path / "traces.jsonl").symlink_to(tmp_path / "moved")
    assert sink.export(some_spans()) is FAILURE
    assert sink.trouble.startswith(f"{tmp_path / 'traces.jsonl'}: ")
    assert sink.force_flush() is True


# size and age --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "turns"), [(99, 0), (100, 1), (101, 1), (0, 0)])
def test_a_file_is_turned_when_it_has_reached_its_size(size, turns, tmp_path):
    (tmp_path / "traces.jsonl").write_text("x" * max(size - 1, 0) + "\n" * bool(size))
    assert FileSink(tmp_path, max_bytes=100).export(some_spans()) is SUCCESS
    assert len(turned(tmp_path)) == turns
    for name in turned(tmp_path):
        assert (tmp_path / name).stat().st_size == size


def test_an_empty_file_is_never_turned(tmp_path):
    (tmp_path / "traces.jsonl").touch()
    os.utime(tmp_path / "traces.jsonl", (1, 1))
    assert FileSink(tmp_path, max_bytes=0, max_age_s=0).export(some_spans()) is SUCCESS
    assert files(tmp_path) == ["traces.jsonl"]


@pytest.mark.parametrize(("age_s", "turns"), [(50, 0), (150, 1)])
def test_a_file_is_turned_when_its_first_span_has_reached_its_age(age_s, turns, tmp_path):
    aged(tmp_path / "traces.jsonl", "", time.time() - age_s)
    assert FileSink(tmp_path, max_age_s=100).export(some_spans()) is SUCCESS
    assert len(turned(tmp_path)) == turns


@pytest.mark.parametrize(("age_s", "turns"), [(50, 0), (150, 1)])
def test_a_file_without_spans_is_as_old_as_its_last_change(age_s, turns, tmp_path):
    path = tmp_path / "traces.jsonl"
    path.write_text("no span\n")
    os.utime(path, (time.time() - age_s,) * 2)
    assert FileSink(tmp_path, max_age_s=100).export(some_spans()) is SUCCESS
    assert len(turned(tmp_path)) == turns


def test_the_age_of_another_file_under_the_name_is_read_anew(tmp_path):
    sink = FileSink(tmp_path, max_age_s=100)
    sink.export(some_spans())
    sink.export(some_spans())
    (tmp_path / "traces.jsonl").rename(tmp_path / "moved")
    aged(tmp_path / "traces.jsonl", "", time.time() - 150)
    sink.export(some_spans())
    assert len(turned(tmp_path)) == 1


def test_the_defaults_are_64_mib_a_day_and_16_files(tmp_path):
    sink = FileSink(tmp_path)
    assert (sink._max_bytes, sink._max_age_s, sink._keep_files) == (64 * 1024 * 1024, DAY_S, 16)


# old files -----------------------------------------------------------------------------------------------------------


def test_the_latest_turned_files_are_kept_and_those_that_are_older_than_30_days_are_not(tmp_path):
    now = time.time()
    ages = {"a": 29 * DAY_S, "b": 31 * DAY_S, "c": 5, "d": 4, "e": 3, "f": 28 * DAY_S}
    for name, age_s in ages.items():
        aged(tmp_path / f"traces-{name}.jsonl", "", now - age_s)
    (tmp_path / "other.jsonl").write_text("not ours")
    os.utime(tmp_path / "other.jsonl", (1, 1))
    aged(tmp_path / "traces.jsonl", "", now)
    assert FileSink(tmp_path, max_bytes=1, keep_files=5).export(some_spans()) is SUCCESS
    kept = [name for name in turned(tmp_path) if len(name) == len("traces-a.jsonl")]
    assert kept == [f"traces-{name}.jsonl" for name in "cdef"]
    assert len(turned(tmp_path)) == 5
    assert (tmp_path / "other.jsonl").exists()


def test_files_are_kept_30_days_though_there_is_room_for_more(tmp_path):
    now = time.time()
    for name, age_s in {"a": 29 * DAY_S, "b": 31 * DAY_S}.items():
        aged(tmp_path / f"traces-{name}.jsonl", "", now - age_s)
    aged(tmp_path / "traces.jsonl", "", now)
    FileSink(tmp_path, max_bytes=1).export(some_spans())
    assert [name for name in turned(tmp_path) if len(name) == len("traces-a.jsonl")] == ["traces-a.jsonl"]


def test_a_file_that_another_process_removes_meanwhile_is_no_failure(tmp_path, monkeypatch):
    aged(tmp_path / "traces-a.jsonl", "", 1)
    aged(tmp_path / "traces-b.jsonl", "", 1)
    aged(tmp_path / "traces.jsonl", "", time.time())
    plain = file_sink.write_time

    def written(path):
        if path.name == "traces-a.jsonl":
            path.unlink()
            assert plain(path) == 0.0
            return 1.0
        return plain(path)

    monkeypatch.setattr(file_sink, "write_time", written)
    assert FileSink(tmp_path, max_bytes=1).export(some_spans()) is SUCCESS
    assert len(turned(tmp_path)) == 1


def test_the_name_of_a_turned_file_says_when_it_was_turned_and_by_which_process(tmp_path):
    sink = FileSink(tmp_path, max_bytes=1)
    before = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    for _ in range(4):
        assert sink.export(some_spans()) is SUCCESS
    after = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    names = turned(tmp_path)
    assert len(names) == 3
    for name in names:
        _, stamp, process, _, _ = name.removesuffix(".jsonl").split("-")
        assert before <= stamp <= after
        assert process == str(os.getpid())


def test_an_old_file_that_another_process_removes_first_is_no_failure(tmp_path, monkeypatch):
    aged(tmp_path / "traces-a.jsonl", "", 1)
    aged(tmp_path / "traces.jsonl", "", time.time())
    plain = file_sink.write_time

    def written(path):
        at = plain(path)
        if path.name == "traces-a.jsonl":
            path.unlink()
        return at

    monkeypatch.setattr(file_sink, "write_time", written)
    assert FileSink(tmp_path, max_bytes=1).export(some_spans()) is SUCCESS


def test_a_directory_that_another_process_makes_first_is_no_failure(tmp_path, monkeypatch):
    directory = tmp_path / "state" / "traces"
    plain = type(tmp_path).exists

    def exists(path):
        there = plain(path)
        if path == directory.parent:
            path.mkdir()
        return there

    monkeypatch.setattr(type(tmp_path), "exists", exists)
    file_sink.make_private(directory)
    monkeypatch.undo()
    assert directory.is_dir()


# the file that is there ----------------------------------------------------------------------------------------------


def test_a_file_in_a_directory_that_is_there_is_the_users_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        FileSink(tmp_path).export(some_spans())
    finally:
        os.umask(before)
    assert oct((tmp_path / "traces.jsonl").stat().st_mode & 0o777) == "0o600"


def test_a_line_that_the_disk_does_not_take_is_a_lack_of_space(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", lambda file, line: 0)
    sink = FileSink(tmp_path)
    assert sink.export(some_spans()) is FAILURE
    assert sink.trouble == f"{tmp_path / 'traces.jsonl'}: No space left on device"


def test_a_file_of_another_user_is_refused(tmp_path, monkeypatch):
    (tmp_path / "traces.jsonl").touch()
    monkeypatch.setattr(os, "getuid", lambda: (tmp_path / "traces.jsonl").stat().st_uid + 1)
    sink = FileSink(tmp_path)
    assert sink.export(some_spans()) is FAILURE
    assert sink.trouble == f"{tmp_path / 'traces.jsonl'}: is not a regular file of this user"
    assert (tmp_path / "traces.jsonl").read_text() == ""


def test_a_place_of_ours_that_is_closed_to_others_is_not_changed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    sink = FileSink(trace_directory({}))
    assert sink.export(some_spans()) is SUCCESS
    changed = []
    monkeypatch.setattr(os, "fchmod", lambda *args: changed.append(args))
    monkeypatch.setattr(type(sink.path), "chmod", lambda *args: changed.append(args))
    assert sink.export(some_spans()) is SUCCESS
    assert changed == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o602])
def test_each_right_of_others_is_taken_away_from_a_file_of_ours(mode, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    sink = FileSink(trace_directory({}))
    sink.export(some_spans())
    sink.path.chmod(mode)
    sink.export(some_spans())
    assert oct(sink.path.stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize(
    ("text", "end_s"),
    [
        ('{"endTimeUnixNano":"1500000000"}', 1.5),
        ('{"startTimeUnixNano":"1","endTimeUnixNano":"2000000000"}\n{"endTimeUnixNano":"1"}', 2.0),
        ('{"endTimeUnixNano":""}', 0.0),
        ("", 0.0),
        ("x" * 65_536 + '{"endTimeUnixNano":"1500000000"}', 0.0),
    ],
    ids=["one", "the first", "empty", "nothing", "too far"],
)
def test_the_first_end_is_looked_for_at_the_beginning_of_a_file(text, end_s, tmp_path):
    (tmp_path / "f").write_text(text)
    file = os.open(tmp_path / "f", os.O_RDONLY)
    os.lseek(file, 3, os.SEEK_SET)
    assert file_sink._first_end(file) == end_s
    os.close(file)
