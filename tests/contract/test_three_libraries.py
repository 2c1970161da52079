"""The README's agent in three libraries: its code runs as it stands there, and its traces are the trees there."""

import os
import sys
from itertools import zip_longest
from pathlib import Path

import pytest

from lmspan.demo.server import Reply
from lmspan.traces import Store
from support.logillm_programs import ANSWER, FINISH, WEATHER
from support.processes import lines_of_ours, run
from support.programs import fields
from support.scenarios.agents import step
from support.wires import KEY, called, serving

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
SHARED = ("invoke_agent", "turn", "chat", "execute_tool")
ANSWERS = {
    "dspy": (step("weather", city="Graz"), step("finish"), fields(reasoning="seen", answer="sun")),
    "logillm": (Reply(WEATHER), Reply(FINISH), Reply(ANSWER)),
    "llmproc": (called(("call-1", "weather", {"city": "Graz"})), Reply("sun")),
}


def traced(name, directory):
    """Run an example; return its output and its trace."""
    with serving(*ANSWERS[name]) as server:
        environ = {
            "LMSPAN_DIR": str(directory),
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": server.url,
            "OPENAI_API_BASE": server.url,
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": server.address,
            "LITELLM_LOCAL_MODEL_COST_MAP": "true",
            "DSPY_CACHEDIR": str(directory / "cache"),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        }
        done = run([sys.executable, str(ROOT / "docs" / "examples" / "agents" / f"with_{name}.py")], environ)
    assert (done.returncode, lines_of_ours(done.stderr)) == (0, []), done.stderr
    store = Store(directory)
    trace, troubles = store.last(), store.troubles
    assert troubles == []
    return done.stdout, trace


def shared(trace):
    """The lines of the operations that all three have: agents, turns, LM calls and tools."""
    under = trace.children

    def below(span, depth):
        is_shared = span.name.split()[0] in SHARED
        lines = ["  " * depth + span.name] if is_shared else []
        return lines + [line for child in under.get(span.span_id, ()) for line in below(child, depth + is_shared)]

    return [line for root in under[""] for line in below(root, 0)]


@pytest.mark.parametrize("name", ANSWERS)
def test_the_readme_shows_the_program(name):
    assert f"```py\n{(ROOT / 'docs' / 'examples' / 'agents' / f'with_{name}.py').read_text()}```" in README


def test_the_trees_are_the_readmes_and_share_their_first_six_operations(tmp_path):
    trees = {}
    for name in ANSWERS:
        printed, trace = traced(name, tmp_path / name)
        assert printed == "sun\n"
        trees[name] = shared(trace)
    rows = zip_longest(*trees.values(), fillvalue="")
    shown = "\n".join("".join(f"{line:<28}" for line in row).rstrip() for row in rows)
    assert shown in README, f"\n{shown}"
    kinds = [[line.split()[0] for line in lines[:6]] for lines in trees.values()]
    assert kinds == [["invoke_agent", "turn", "chat", "execute_tool", "turn", "chat"]] * 3
