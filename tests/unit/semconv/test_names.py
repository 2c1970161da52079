"""The tables hold the names that lmspan emits, and no others."""

import re
from collections import Counter
from pathlib import Path

import lmspan
from lmspan import semconv as sc
from lmspan.lifecycle import Event, Operation
from lmspan.semconv.spans import EVENT_NAMES, OPERATION_OF_WORD, OPERATIONS, SHAPES

PACKAGE = Path(lmspan.__file__).parent
TEXT = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
CONSTANTS = dict(re.findall(r'^(\w+): Final = (?:attribute|event|metric)\("(.*?)"', TEXT, re.MULTILINE))


def test_every_constant_is_a_plain_string_of_one_table():
    names = [*sc.ATTRIBUTES, *sc.EVENTS, *sc.METRICS]
    assert {constant: getattr(sc, constant) for constant in CONSTANTS} == CONSTANTS
    assert sorted(names) == sorted(CONSTANTS.values())
    assert {type(name) for name in names} == {str}


def test_every_name_is_emitted():
    words = Counter(re.findall(r"\b[A-Z_]+\b", TEXT))
    unused = [constant for constant in CONSTANTS if words[constant] == 1]
    officials = re.findall(r"^(\w+): Final", (PACKAGE / "semconv" / "official.py").read_text(), re.MULTILINE)
    assert sorted(unused) == sorted(
        ["EVENT_ASSERTION", *officials]
    )  # LogiLLM's instrumentation emits it as "assertion", its name in lmspan


def test_content_is_the_exceptions_the_payloads_and_openinferences_copies():
    assert [name for name in sc.ATTRIBUTES if name in sc.CONTENT] == [
        "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions",
        "gen_ai.prompt.variable.", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result",
        "gen_ai.retrieval.query.text", "gen_ai.retrieval.documents", "gen_ai.evaluation.explanation",
        "lmspan.evaluation.metadata",
        "lmspan.optimizer.candidate.instructions", "lmspan.optimizer.candidate.demos",
        "lmspan.optimizer.candidate.diff", "lmspan.assertion.message", "lmspan.module.inputs", "lmspan.module.outputs",
        "lmspan.operation.inputs", "lmspan.operation.outputs", "lmspan.interpreter.code", "lmspan.interpreter.output",
        "lmspan.stderr.text", "exception.message", "exception.stacktrace",
        "input.value", "input.mime_type", "output.value", "output.mime_type",
    ]  # fmt: skip


def test_a_name_that_ends_in_a_dot_stands_for_all_that_begin_with_it():
    assert sc.attribute_of("lmspan.optimizer.hyperparameter.depth") is sc.ATTRIBUTES[sc.HYPERPARAMETER]
    assert sc.attribute_of("lmspan.optimizer.candidate.score") is sc.ATTRIBUTES[sc.CANDIDATE_SCORE]
    assert sc.attribute_of("lmspan.optimizer") is None


def test_every_operation_and_event_has_its_form():
    assert set(SHAPES) == set(Operation)
    assert {OPERATION_OF_WORD[shape.word] for shape in SHAPES.values()} == set(Operation)
    assert set(EVENT_NAMES) <= set(Event)


def test_the_operations_of_the_conventions():
    assert OPERATIONS == {
        "chat": Operation.LM,
        "text_completion": Operation.LM,
        "generate_content": Operation.LM,
        "execute_tool": Operation.TOOL,
        "invoke_agent": Operation.AGENT,
        "invoke_workflow": Operation.WORKFLOW,
        "embeddings": Operation.EMBEDDING,
        "retrieval": Operation.RETRIEVAL,
    }
