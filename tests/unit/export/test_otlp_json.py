"""The file sink and its OTLP JSON."""

import json
import multiprocessing
import os

import pytest
from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.trace.export import SpanExportResult

from lmspan.export.file import FileSink
from lmspan.export.ids import UniqueIds
from lmspan.export.otlp_json import lines
from lmspan.traces.direct import read_file
from support.spans import some_spans


def official(spans):
    """The spans as the official encoder writes them, with ids in the spelling of OTLP JSON."""
    import base64  # noqa: PLC0415

    data = json_format.MessageToDict(encode_spans(spans))
    for resource in data["resourceSpans"]:
        resource["resource"]["attributes"].sort(key=lambda each: each["key"])
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for each in (span, *span.get("links", ())):
                    for name in ("traceId", "spanId", "parentSpanId"):
                        if name in each:
                            each[name] = base64.b64decode(each[name]).hex()
    return data


def test_a_line_equals_that_of_the_official_encoder():
    spans = some_spans(2)
    ((line, ids),) = lines(spans)
    assert sorted(ids) == sorted(span.context.span_id for span in spans)
    ours = json_format.MessageToDict(json_format.ParseDict(with_base64(json.loads(line)), TracesData()))
    theirs = official(spans)
    ours = official_ids(ours)
    for data in (ours, theirs):
        for span in data["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            span.pop("flags", None)  # the official one also says whether the parent is remote
            for link in span.get("links", ()):
                link.pop("flags", None)
        data["resourceSpans"][0]["resource"]["attributes"].sort(key=lambda each: each["key"])
    assert ours == theirs


def with_base64(data):
    """Protobuf's JSON spells bytes in base64."""
    import base64  # noqa: PLC0415

    return _mapped(data, lambda text: base64.b64encode(bytes.fromhex(text)).decode())


def official_ids(data):
    import base64  # noqa: PLC0415

    return _mapped(data, lambda text: base64.b64decode(text).hex())


def _mapped(value, change):
    if isinstance(value, dict):
        return {
            key: change(item) if key in ("traceId", "spanId", "parentSpanId") else _mapped(item, change)
            for key, item in value.items()
        }
    return [_mapped(item, change) for item in value] if isinstance(value, list) else value


def test_lines_are_ascii_one_request_each_and_bounded():
    made = [line.text for line in lines(some_spans(20, text="x" * 1000), max_bytes=5_000)]
    assert all(line.isascii() and line.endswith("\n") and line.count("\n") == 1 for line in made)
    assert len(made) > 5
    assert max(map(len, made)) < 7_000


def test_the_reader_returns_the_written_spans(tmp_path):
    spans = some_spans(3)
    assert FileSink(tmp_path / "deep").export(spans) is SpanExportResult.SUCCESS
    traces, troubles = read_file(tmp_path / "deep" / "traces.jsonl")
    assert troubles == []
    read = {span.span_id: span for each in traces for span in each.spans}
    assert len(read) == 6
    for span in spans:
        stored = read[f"{span.context.span_id:016x}"]
        expected = {key: list(value) if isinstance(value, tuple) else value for key, value in span.attributes.items()}
        assert stored.attributes == expected
        assert (stored.name, stored.kind, stored.service) == (span.name, span.kind.value + 1, "shop")
        assert (stored.start_unix_nano, stored.end_unix_nano) == (span.start_time, span.end_time)
        assert [(event.name, event.attributes) for event in stored.events] == [
            (e.name, dict(e.attributes)) for e in span.events
        ]


def test_a_full_file_is_rotated_and_old_ones_are_removed(tmp_path):
    sink = FileSink(tmp_path, max_bytes=10, keep_files=2)
    for _ in range(5):
        sink.export(some_spans())
    assert len(list(tmp_path.glob("traces-*.jsonl"))) == 2
    assert (tmp_path / "traces.jsonl").exists()
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_an_old_file_is_rotated(tmp_path):
    FileSink(tmp_path).export(some_spans())
    FileSink(tmp_path, max_age_s=0.0).export(some_spans())
    assert len(list(tmp_path.glob("traces-*.jsonl"))) == 1


def _write_many(directory):
    sink = FileSink(directory, max_bytes=20_000)
    for _ in range(20):
        sink.export(some_spans(2, text="y" * 500))


def test_several_processes_append_without_mixing_lines(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_many, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found = [read_file(path) for path in tmp_path.glob("traces*.jsonl")]
    assert [trouble for _, troubles in found for trouble in troubles] == []
    assert sum(len(each.spans) for traces, _ in found for each in traces) <= 3 * 20 * 4
    assert all(len(each.spans) == 2 for traces, _ in found for each in traces)


@pytest.mark.parametrize("obstacle", ["file in the way", "symbolic link"])
def test_an_unwritable_directory_loses_the_batch_and_nothing_else(tmp_path, obstacle):
    sink = FileSink(tmp_path / "traces")
    if obstacle == "file in the way":
        (tmp_path / "traces").write_text("")
    else:
        (tmp_path / "traces").mkdir()
        (tmp_path / "elsewhere").write_text("")
        (tmp_path / "traces" / "traces.jsonl").symlink_to(tmp_path / "elsewhere")
    assert sink.export(some_spans()) is SpanExportResult.FAILURE
    assert str(tmp_path) in sink.trouble


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_ids_differ_in_a_forked_child():
    ids = UniqueIds()
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(write, str(ids.generate_trace_id()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert int(os.read(read, 100)) != ids.generate_trace_id()
