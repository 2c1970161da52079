"""DSPy programs of every kind, each with the whole tree that its trace must be.

The suite asserts them (`tests/integration/test_scenarios.py`), and `benchmarks/scenarios.py` runs the same programs
under other instrumentations. A tree is written with two short forms: `*` after a name stands for what is always under
it, `at` for its place in the program, and `xN` for N of the same.
"""

import contextlib
import io
import json
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import dspy

from lmspan.demo.server import Reply, ScriptedServer
from support.programs import fields, model

SHORT = {
    "Predict*": "module Predict\n  format ChatAdapter\n  chat gpt-4o-mini\n  parse ChatAdapter",
    "Predict*at": "module {0}\n  format ChatAdapter\n  chat gpt-4o-mini\n  parse ChatAdapter",
    "Cot*": "module ChainOfThought\n  Predict* at predict",
    "Cot*at": "module {0}\n  Predict* at {0}.predict",
    "Example*": "example\n  Predict*",
    "Evaluate*": "evaluate metric\n  Example* x3",
    "Turn*": "turn\n  Predict*",
}
NATIVE = find_spec("dspy.clients.execution") is not None
"""Whether DSPy asks providers itself, as since 3.4; then each of n candidates is a request of its own."""

WANTED = re.compile(r"`\[\[ ## (\w+) ## \]\]`")


@dataclass(frozen=True)
class Scenario:
    """A program, what the model answers it, and the tree of its trace."""

    name: str
    run: Callable  # (lm, server) -> result
    script: object  # what the model answers: replies in order, the last for ever; or a function of the request
    tree: str
    ordered: bool = True
    traces: int = 1
    needs: str = ""  # a name that this DSPy must have
    cache: bool = False


ALL: list[Scenario] = []


def scenario(name, script, tree, **options):
    """Add a function as a scenario."""

    def add(function):
        older = expand(options.pop("older", ""))
        ALL.append(Scenario(name, function, script, older if older and not NATIVE else expand(tree), **options))
        return function

    return add


def available():
    """The scenarios that this DSPy has the parts for."""
    return [each for each in ALL if not each.needs or _has(each.needs)]


def _has(path):
    found = dspy
    for name in path.split("."):
        found = getattr(found, name, None)
    return found is not None


def expand(tree):
    """Write a tree out in full."""
    lines = []
    for line in textwrap.dedent(tree).strip("\n").rstrip().splitlines():
        indent, word = line[: len(line) - len(line.lstrip())], line.strip()
        word, _, times = word.partition(" x") if re.search(r" x\d+$", word) else (word, "", "1")
        word, _, place = word.partition(" at ")
        short = SHORT.get(f"{word}at" if place else word, word)
        whole = expand(short.format(place)) if short != word else word
        lines += [f"{indent}{each}" for each in whole.splitlines()] * int(times)
    return "\n".join(lines)


def execute(scenario):
    """Run a scenario once against a server of its own; give its result and the server."""
    script = scenario.script.make() if isinstance(scenario.script, Fresh) else scenario.script
    script = script if callable(script) else _in_order(script)
    said = io.StringIO()
    with (
        ScriptedServer(script) as server,
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
        dspy.context(lm=model(server, cache=scenario.cache)),
    ):
        result = plain(scenario.run(dspy.settings.lm, server))
    return result, server


class Fresh:
    """A script that remembers: each run makes its own."""

    def __init__(self, make):
        self.make = make


def _in_order(replies):
    waiting = list(replies)
    return lambda request: waiting.pop(0) if len(waiting) > 1 else waiting[0]


def plain(result):
    """What a program gave, so that two runs can be compared."""
    if isinstance(result, dspy.Module):
        return re.sub(r":\d{4,5}/", ":port/", json.dumps(result.dump_state(), default=str, sort_keys=True))
    if isinstance(result, list | tuple):
        return [plain(each) for each in result]
    return str(result)


def wanted(request):
    """The output fields that a prompt asks for, and whether as JSON."""
    prompt = str(request["messages"][-1]["content"])
    _, json_wanted, names = prompt.partition("Respond with a JSON object in the following order of fields")
    if json_wanted:
        return re.findall(r"`(\w+)`", names), True
    return [name for name in WANTED.findall(prompt) if name != "completed"], False


def by_field(**values):
    """Answer each field that is asked for: with what is given for it, else with a sentence."""

    def answer(request):
        names, as_json = wanted(request)
        text = json.dumps(request["messages"])
        given = {name: values.get(name, "Be careful.") for name in names}
        said = {name: value(text) if callable(value) else value for name, value in given.items()}
        if not names:
            return Reply("```\nBe careful.\n```")
        return Reply(json.dumps(said)) if as_json else fields(**said)

    return answer


CAREFUL = by_field(answer=lambda text: "yes" if "careful" in text else "no")
YES = fields(reasoning="so", answer="yes")


def predict():
    return dspy.Predict("question -> answer")


def ask(program):
    return program(question="why?")


def examples(size=3):
    return [dspy.Example(question=f"q{index}", answer="yes").with_inputs("question") for index in range(size)]


def metric(example, prediction, trace=None, pred_name=None, pred_trace=None):
    return float(example.answer == getattr(prediction, "answer", None))


def evaluate(program=None, measured=metric, **settings):
    asked = {"num_threads": 2, "max_errors": 99, **settings}
    return dspy.Evaluate(devset=examples(), metric=measured, **asked)(program or predict()).score
