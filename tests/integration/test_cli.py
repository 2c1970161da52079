"""The command line, as a person uses it, with a mistake or two."""

import json
import os
import subprocess
import sys

import pytest

from lmspan import cli
from support.otlp import http_receiver
from support.processes import ASK, run_lmspan
from support.programs import KEY, Reply, serving


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
    assert cli._jaeger() == link


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
        (["show", "zz"], "'zz' is neither a file, nor a trace id"),
        (["run", "nothing.py"], "there is no program 'nothing.py'; for a module say: lmspan run -m nothing.py"),
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
