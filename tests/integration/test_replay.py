"""A stored trace, played to a callback, tells what the callback heard live."""

import json

from support.processes import run_lmspan, run_python

HEARING = """
import json, sys

class Hearing:
    def __init__(self):
        self.out = open("heard.txt", "a")
    def note(self, *what):
        self.out.write(json.dumps(what) + "\\n")
        self.out.flush()
    def on_module_start(self, call_id, instance, inputs):
        self.note("module", call_id, inputs["kwargs"])
    def on_lm_start(self, call_id, instance, inputs):
        self.note("lm", call_id, len(inputs["messages"]))
    def on_lm_end(self, call_id, outputs, exception):
        self.note("answered", call_id, outputs)
    def on_tool_start(self, call_id, instance, inputs):
        self.note("tool", call_id, inputs)
    def on_tool_end(self, call_id, outputs, exception):
        self.note("tooled", call_id, outputs, exception is not None)

def function(event, *args):
    print(event.value, len(args))
"""

LIVE = """
import lmspan, hearing
session = lmspan.init()
lmspan.subscribe(hearing.Hearing())
from support.scenarios import ALL, execute
execute(next(each for each in ALL if each.name == "ReAct, the tool fails"))
session.shutdown()
"""


def test_a_replayed_trace_tells_what_was_heard_live(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hearing.py").write_text(HEARING)
    environ = {"LMSPAN_DIR": str(tmp_path)}
    done = run_python(LIVE, environ=environ)
    assert done.returncode == 0, done.stderr
    live = [json.loads(line) for line in (tmp_path / "heard.txt").read_text().splitlines()]
    (tmp_path / "heard.txt").unlink()
    replayed = run_lmspan("replay", "last", "--callback", "hearing:Hearing", environ=environ)
    assert (replayed.returncode, replayed.stderr) == (0, "")
    again = [json.loads(line) for line in (tmp_path / "heard.txt").read_text().splitlines()]
    assert again == live
    assert len(live) == 15


def test_replay_to_a_function_and_mistakes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hearing.py").write_text(HEARING)
    environ = {"LMSPAN_DIR": str(tmp_path)}
    assert run_python(LIVE, environ=environ).returncode == 0
    told = run_lmspan("replay", "--callback", "hearing:function", environ=environ).stdout.splitlines()
    assert told[:3] == ["turn_start 2", "api_request 1", "api_response 1"]
    wrong = run_lmspan("replay", "--callback", "hearing:Nothing", environ=environ)
    assert wrong.returncode == 2
    assert "replay: 'hearing:Nothing' is no MODULE:OBJECT that can be imported" in wrong.stderr


PLAIN = """
import lmspan
with lmspan.init():
    with lmspan.operation("workflow", "both"):
        with lmspan.operation("lm", "m", inputs={"prompt": "why?", "temperature": 0.5}) as call:
            call.outputs = "because"
        with lmspan.operation("lm", "n", inputs={"question": "why?"}) as call:
            call.outputs = {"text": "because"}
"""

PLAIN_HEARING = """
class Hearing:
    def api_request(self, request):
        print(sorted((name, value) for name, value in request.items() if name != "messages"))
    def api_response(self, response):
        print(response)
"""


def test_what_was_said_beside_messages_is_replayed_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hearing.py").write_text(PLAIN_HEARING)
    environ = {"LMSPAN_DIR": str(tmp_path)}
    assert run_python(PLAIN, environ=environ).returncode == 0
    told = run_lmspan("replay", "--callback", "hearing:Hearing", environ=environ)
    assert told.stdout.splitlines() == [
        "[('model', 'm'), ('temperature', 0.5)]",
        "['because']",
        "[('model', 'n'), ('question', 'why?')]",
        "{'text': 'because'}",
    ], told.stderr
