"""The command line, as a person uses it, with a mistake or two."""

import json
import os
import subprocess
import sys

import pytest

from lmspan.cli import demo
from support.otlp import http_receiver
from support.processes import ASK, run_lmspan
from support.programs import KEY, Reply, serving
from support.stored import otlp, write


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "shop.py"
    path.write_text(
        f"import sys\n{ASK}\nif __name__ == '__main__':\n    print(ask(*sys.argv[1:]), __file__.endswith('shop.py'))\n"
    )
    return path


def test_demo_prints_the_trace_where_it_is_and_what_next(tmp_path):
    done = run_lmspan("demo", environ={"LMSPAN_DIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    out = done.stdout
    assert "advice: Take the train" in out
    for name in (
        "invoke_workflow demo",
        "invoke_agent ReAct",
        "execute_tool weather",
        "chat gpt-4o-mini",
        "evaluate mentions_vehicle",
    ):
        assert name in out
    assert "20 LM calls" in out
    assert "$" in out
    assert f"stored in {tmp_path}/traces.jsonl" in out
    assert "lmspan show" in out
    shown = run_lmspan("show", environ={"LMSPAN_DIR": str(tmp_path)})
    assert shown.returncode == 0
    assert out.split("\n\n")[1].splitlines()[0] == shown.stdout.splitlines()[0]


def test_demo_sends_to_the_endpoint_that_is_set_and_still_shows_the_trace(tmp_path):
    with http_receiver() as (endpoint, received):
        done = run_lmspan("demo", environ={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "LMSPAN_DIR": str(tmp_path)})
    assert done.returncode == 0
    assert "\nsent to your OpenTelemetry endpoint\n" in done.stdout
    assert "invoke_agent ReAct" in done.stdout
    assert len(received.spans) == 125
    assert "Lisbon" not in "".join(str(request) for request in received.requests)


def test_demo_with_a_model_that_cannot_be_asked_shows_what_happened_and_not_the_key(tmp_path):
    with serving(Reply(f"Incorrect API key provided: {KEY}", status=401)) as server:
        asked = ["--model", "openai/mine", "--api-base", server.url, "--api-key", KEY]
        done = run_lmspan("demo", *asked, environ={"LMSPAN_DIR": str(tmp_path)})
    assert done.returncode == 2
    assert "chat mine" in done.stdout
    assert "\nlmspan: the model could not be asked: " in f"\n{done.stderr}"
    assert KEY not in done.stdout + done.stderr


def test_run_records_a_program_that_was_not_changed(program, tmp_path):
    environ = {"LMSPAN_DIR": str(tmp_path / "t")}
    done = run_lmspan("run", str(program), "why?", environ=environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a secret answer True\n", "")
    shown = run_lmspan("show", "--json", environ=environ)
    spans = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [span["name"] for span in spans] == [
        "module Predict",
        "format ChatAdapter",
        "chat gpt-4o-mini",
        "parse ChatAdapter",
    ]
    assert {span["service"] for span in spans} == {"shop"}
    assert KEY not in shown.stdout
    trace = spans[0]["trace_id"]
    assert trace in run_lmspan("show", trace[:8], environ=environ).stdout
    assert trace in run_lmspan("show", str(tmp_path / "t" / "traces.jsonl"), environ=environ).stdout


@pytest.mark.parametrize(
    ("environ", "link"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, "http://localhost:16686"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}, "http://localhost:16686"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:6006"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otlp.example.com"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:port"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://x.example.com", "LMSPAN_JAEGER": "https://j/"}, "https://j"),
        ({}, ""),
    ],
)
def test_where_the_demo_says_that_jaeger_is(environ, link, monkeypatch):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert demo._jaeger() == link


def test_run_runs_a_module(program, tmp_path):
    environ = {"LMSPAN_DIR": str(tmp_path / "t"), "PYTHONPATH": os.pathsep.join([str(program.parent)])}
    done = run_lmspan("run", "-m", "shop", environ={**environ, "PYTHONPATH": f"{program.parent}{os.pathsep}tests"})
    assert (done.returncode, done.stdout) == (0, "a secret answer True\n"), done.stderr


def test_run_passes_the_programs_exit_status_and_traceback(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("raise ValueError('of the program')")
    done = run_lmspan("run", str(path))
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("ValueError: of the program")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show"], "no trace is stored in"),
        (["show", "nothing.jsonl"], "nothing.jsonl cannot be read: No such file or directory"),
        (["show", "zz"], "'zz' is neither a file or directory, nor a trace id"),
        (["run", "nothing.py"], "there is no program 'nothing.py'; for a module: lmspan run -m nothing.py"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, tmp_path):
    done = run_lmspan(*arguments, environ={"LMSPAN_DIR": str(tmp_path)})
    assert done.returncode == 2
    assert done.stderr.startswith("lmspan: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_broken_line_is_named_and_the_rest_is_shown(program, tmp_path):
    environ = {"LMSPAN_DIR": str(tmp_path)}
    run_lmspan("run", str(program), environ=environ)
    file = tmp_path / "traces.jsonl"
    file.write_text("{broken\n" + file.read_text())
    done = run_lmspan("show", str(file))
    assert done.returncode == 1
    assert f"{file}, line 1: no JSON" in done.stderr
    assert "chat gpt-4o-mini" in done.stdout


def test_a_pipe_that_closes_early_is_no_error(tmp_path):
    run_lmspan("demo", environ={"LMSPAN_DIR": str(tmp_path)})
    command = f"{sys.executable} -m lmspan show | head -n 1"
    done = subprocess.run(
        command,
        shell=True,
        capture_output=True,
        text=True,
        env={**os.environ, "LMSPAN_DIR": str(tmp_path)},
        check=False,
    )
    assert done.stdout.startswith("trace ")
    assert done.stderr == ""


HOSTILE = {
    "traceId": "\x1b[2J\ud800", "spanId": "1", "name": "chat \x9b31m[/red]\u202e", "startTimeUnixNano": "1",
    "endTimeUnixNano": "9000000000", "status": {"code": 2, "message": "\x1b"},
    "attributes": [
        {"key": "gen_ai.provider.name", "value": {"stringValue": "x"}},
        {"key": "gen_ai.usage.input_tokens", "value": {"stringValue": "\x1b[31m"}},
        {"key": "lmspan.cost.amount", "value": {"arrayValue": {"values": [{"boolValue": True}]}}},
        {"key": "lmspan.evaluation.score", "value": {"doubleValue": "Infinity"}},
        {"key": "lmspan.module.inputs", "value": {"stringValue": '{"a":' * 5000 + "1" + "}" * 5000}},
        {"key": "gen_ai.response.finish_reasons", "value": {"intValue": "7"}},
    ],
}  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252", "ascii:backslashreplace"])
@pytest.mark.parametrize("arguments", [["show"], ["show", "--json"], ["replay", "--callback", "builtins:print"]])
def test_no_file_drives_the_terminal_or_ends_in_a_traceback(arguments, encoding, tmp_path):
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "t.jsonl"
    file.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [HOSTILE]}]}]}) + "\n" + "\x1b[2J\n" * 40)
    for what in (file, file.parent):
        command, *options = arguments
        done = run_lmspan(command, str(what), *options, environ={"PYTHONIOENCODING": encoding})
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert f"{file}: 40 lines cannot be read; the first is line 2: no JSON" in done.stderr
        assert not {"\x1b", "\x9b"} & set(done.stdout + done.stderr)
    if arguments == ["show", "--json"]:
        (span,) = [json.loads(line, parse_constant=pytest.fail) for line in done.stdout.splitlines()]
        assert span["name"] == HOSTILE["name"]


def test_what_an_encoding_lacks_is_drawn_in_ascii(tmp_path):
    run_lmspan("demo", environ={"LMSPAN_DIR": str(tmp_path)})
    plain, ascii_only = (
        run_lmspan("show", environ={"LMSPAN_DIR": str(tmp_path), "PYTHONIOENCODING": encoding})
        for encoding in ("utf-8", "ascii")
    )
    assert ascii_only.returncode == 0
    drawn = plain.stdout.translate(dict(zip(map(ord, "├└│─█▏→✗×…µ·⏎°"), "|`|-#|>xx.u. ?", strict=True)))
    assert ascii_only.stdout == drawn


def test_the_locale_of_a_bare_system_draws_in_ascii(tmp_path):
    write(tmp_path / "traces.jsonl", otlp("1", name="chat \u65e5"), otlp("2", "1", "execute_tool t", status=2))
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LMSPAN_DIR": str(tmp_path)}
    done = run_lmspan("show", environ=bare)
    assert (done.returncode, done.stderr) == (0, "")
    assert "chat ?" in done.stdout and "`- execute_tool t x" in done.stdout


@pytest.mark.parametrize("reference", ["1", "last"])
def test_a_number_is_a_trace_also_where_a_directory_has_its_name(reference, tmp_path, monkeypatch):
    write(tmp_path / "traces.jsonl", otlp("1", name="module tea"))
    (tmp_path / reference).mkdir()
    monkeypatch.chdir(tmp_path)
    done = run_lmspan("show", reference, environ={"LMSPAN_DIR": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, "")
    assert "module tea" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "Error: Missing argument 'PROGRAM'.\n"),
        (["run", "--service", "x", "ok.py"], "Error: No such option '--service'.\n"),
        (["show", "--width", "0"], "Error: Invalid value for '--width': 0 is not in the range 1<=x<=10000.\n"),
        (["list", "--fialed"], "Error: No such option '--fialed'. Did you mean '--failed'?\n"),
        (["lsit"], "Error: No such command 'lsit'. Did you mean 'list'?\n"),
        (
            ["stats", "--by", "modle"],
            (
                "Error: Invalid value for '--by': 'modle' is not one of 'model', 'module', 'tool', 'name', 'session', "
                "'user', 'service'.\n"
            ),
        ),
        (
            ["list", "--sort", "price"],
            (
                "Error: Invalid value for '--sort': 'price' is not one of 'start', 'duration', 'calls', 'tokens', "
                "'cost', 'score', 'failed'.\n"
            ),
        ),
        (
            ["spans", "cost>much"],
            "lmspan: 'much' is no number; write for example cost>0.5 or cost>10k\n",
        ),
        (
            ["list", "--since", "soon"],
            "lmspan: 'soon' is no time; write 2h, 3d, today, yesterday, 2026-11-26 or '2026-11-26 14:30'\n",
        ),
    ],
)
def test_arguments_that_are_missing_or_wrong_are_named(arguments, message):
    done = run_lmspan(*arguments)
    assert done.returncode == 2
    assert done.stderr.endswith(message)


def test_a_fifo_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    done = run_lmspan("show", str(tmp_path / "pipe"))
    assert done.returncode == 2
    assert done.stderr == f"lmspan: {tmp_path}/pipe cannot be read: it is neither a regular file nor a directory\n"
