"""The file sink with half-written lines, full disks, other processes, and other objects at its path."""

import multiprocessing
import os
import resource
import stat

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lmspan.directories import trace_directory
from lmspan.export import file as file_sink
from lmspan.export.file import FileSink
from lmspan.traces.files import open_file, pieces, spans_in

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


def spans(*names, **attributes):
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    for name in names:
        provider.get_tracer("scope").start_span(name, attributes=attributes).end()
    return memory.get_finished_spans()


def stored(directory):
    """The names of the readable spans, and the number of unreadable lines."""
    read = []
    for path in directory.glob("traces*.jsonl"):
        with open_file(path) as file:
            read += [spans_in(piece) for piece in pieces(file)]
    return sorted(span.name for spans, _ in read for span in spans), sum(bool(trouble) for _, trouble in read)


HALF = '{"resourceSpans":[{"resource":{"attri'


@pytest.mark.parametrize(
    ("before", "unreadable"),
    [("", 0), (HALF, 1), (HALF + "\n" + HALF, 2), ("\n", 0), ("\n\n" + HALF, 1), (HALF + "\r", 1), ("\0" * 5000, 0)],
)
def test_a_half_written_line_loses_no_other_line(before, unreadable, tmp_path):
    (tmp_path / "traces.jsonl").write_text(before)
    sink = FileSink(tmp_path)
    assert [sink.export(spans("a", "b")), sink.export(spans("c"))] == [SUCCESS, SUCCESS]
    assert stored(tmp_path) == (["a", "b", "c"], unreadable)


def test_a_half_line_of_another_process_loses_no_other_line(tmp_path, monkeypatch):
    path = tmp_path / "traces.jsonl"

    def interrupted(batch):
        for each in batch:
            with path.open("a") as other:
                other.write(HALF)
            yield from plain([each])

    plain = file_sink.lines
    monkeypatch.setattr(file_sink, "lines", interrupted)
    assert FileSink(tmp_path).export(spans("a", "b", "c")) is SUCCESS
    assert stored(tmp_path) == (["a", "b", "c"], 3)


def _export_with_a_limit(directory, limit, queue):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    sink = FileSink(directory)
    before = [sink.export(spans(f"before {n}", text="x" * 500)) for n in range(20)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    after = [sink.export(spans(f"after {n}", text="x" * 500)) for n in range(5)]
    queue.put(([each is SUCCESS for each in before], [each is SUCCESS for each in after]))


@pytest.mark.parametrize("limit", [1, 5_000, 5_001, 5_100, 5_400])
def test_a_full_disk_is_reported_and_the_next_spans_are_readable(limit, tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_export_with_a_limit, args=(tmp_path, limit, queue))
    process.start()
    before, after = queue.get(timeout=30)
    process.join()
    assert after == [True] * 5
    written = sum(before)
    assert before == [True] * written + [False] * (20 - written)
    names, unreadable = stored(tmp_path)
    assert names == sorted([f"after {n}" for n in range(5)] + [f"before {n}" for n in range(written)])
    assert unreadable <= 1


def _rotate_much(directory, number):
    sink = FileSink(directory, max_bytes=3_000, keep_files=10_000)
    results = [sink.export(spans(f"{number}-{n}", text="y" * 400)) for n in range(200)]
    os._exit(sum(each is FAILURE for each in results))


def test_processes_that_rotate_the_same_file_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_rotate_much, args=(tmp_path, number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert stored(tmp_path) == (sorted(f"{number}-{n}" for number in range(4) for n in range(200)), 0)


def test_a_file_that_another_process_has_rotated_is_not_rotated_again(tmp_path, monkeypatch):
    path = tmp_path / "traces.jsonl"
    sink = FileSink(tmp_path, max_bytes=10)
    sink.export(spans("first"))
    full = path.stat()
    path.rename(tmp_path / "traces-2026-other.jsonl")
    FileSink(tmp_path).export(spans("of the other"))
    sink._rotate(full)
    assert [each.name for each in sorted(tmp_path.iterdir())] == ["traces-2026-other.jsonl", "traces.jsonl"]
    path.unlink()
    sink._rotate(full)
    assert [each.name for each in tmp_path.iterdir()] == ["traces-2026-other.jsonl"]


def modes(*paths):
    return [oct(stat.S_IMODE(path.stat().st_mode)) for path in paths]


@pytest.fixture
def no_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_new_files_and_directories_are_for_the_user_only_whatever_the_umask(tmp_path, no_umask):
    directory = tmp_path / "state" / "lmspan" / "traces"
    FileSink(directory).export(spans("a"))
    made = (directory.parent.parent, directory.parent, directory, directory / "traces.jsonl")
    assert modes(*made) == ["0o700"] * 3 + ["0o600"]


@pytest.mark.parametrize("named", [False, True])
def test_the_default_directory_is_private_and_one_that_the_user_names_keeps_its_mode(named, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    directory = trace_directory({})
    directory.mkdir(parents=True)
    (directory / "traces.jsonl").touch()
    place = directory.rename(tmp_path / "named") if named else directory
    place.chmod(0o777)
    (place / "traces.jsonl").chmod(0o644)
    assert FileSink(place).export(spans("a")) is SUCCESS
    assert modes(place, place / "traces.jsonl") == (["0o777", "0o644"] if named else ["0o700", "0o600"])


@pytest.mark.parametrize("obstacle", ["fifo", "fifo with a reader", "directory", "symbolic link", "device"])
def test_anything_but_a_regular_file_is_refused_at_once(obstacle, tmp_path):
    path = tmp_path / "traces.jsonl"
    reader = None
    if obstacle.startswith("fifo"):
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if "reader" in obstacle else None
    elif obstacle == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/null" if obstacle == "device" else tmp_path / "elsewhere")
    sink = FileSink(tmp_path)
    assert sink.export(spans("a")) is FAILURE
    assert sink.trouble.startswith(f"{path}: ")
    if reader is not None:
        os.close(reader)
    assert not (tmp_path / "elsewhere").exists()


def test_the_age_of_a_file_is_the_age_of_its_first_span_also_behind_a_half_line(tmp_path):
    old = '{"endTimeUnixNano":"1000000000"}\n'
    (tmp_path / "traces.jsonl").write_text(HALF + "\n" + old)
    FileSink(tmp_path).export(spans("a"))
    assert len(list(tmp_path.glob("traces-*.jsonl"))) == 1
    assert stored(tmp_path)[0] == ["a"]


def test_a_batch_does_not_read_the_file_again(tmp_path, monkeypatch):
    FileSink(tmp_path).export(spans("a"))
    sink = FileSink(tmp_path)
    read = []
    monkeypatch.setattr(file_sink, "_first_end", lambda file: read.append(file) or 0.0)
    for _ in range(3):
        sink.export(spans("b"))
    assert len(read) == 1


def test_spans_of_another_time_do_not_rotate_the_file_that_they_begin(tmp_path):
    """`lmspan ui` writes what it receives: a rotation for each batch would remove the user's traces."""
    old = ReadableSpan("old", trace.SpanContext(1, 1, is_remote=False), start_time=1, end_time=2)
    sink = FileSink(tmp_path)
    assert [sink.export([old]) for _ in range(20)] == [SUCCESS] * 20
    assert [path.name for path in tmp_path.iterdir()] == ["traces.jsonl"]
    assert FileSink(tmp_path, max_bytes=10).export([old]) is SUCCESS  # and in the file after a rotation
    assert len(list(tmp_path.iterdir())) == 2


def test_the_second_attempt_of_a_batch_writes_only_the_missing_spans(tmp_path):
    batch = spans("a", "b", "c", text="x" * 600_000)  # a line each
    sink = FileSink(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        assert [sink.export(batch), sink.export(batch)] == [FAILURE, FAILURE]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sink.export((*batch, *spans("d"))) is SUCCESS
    assert stored(tmp_path)[0] == ["a", "b", "c", "d"]
    assert [sink.export(batch), stored(tmp_path)[0]] == [SUCCESS, ["a", "a", "b", "b", "c", "c", "d"]]
