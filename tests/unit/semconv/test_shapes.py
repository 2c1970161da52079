"""`assert_conventions()` refuses spans and events that differ from the conventions."""

import pytest
from opentelemetry.trace import SpanKind

import lmspan
from lmspan import semconv as sc
from lmspan.semconv import registry
from lmspan.testing import recording

CLIENT, INTERNAL = SpanKind.CLIENT, SpanKind.INTERNAL


@pytest.mark.parametrize(
    ("kind", "attributes", "mistake"),
    [
        ("example", {"gen_ai.tool.name": "t"}, "example x: gen_ai.tool.name on an operation of our own"),
        ("evaluate", {"gen_ai.evaluation.name": "m"}, "evaluate x: gen_ai.evaluation.name on an operation of our own"),
        ("tool", {"lmspan.unheard": 1}, "execute_tool x: lmspan.unheard is in no table"),
        ("tool", {"gen_ai.tool.type": 1}, "execute_tool x: gen_ai.tool.type is int, not string"),
    ],
)
def test_a_name_that_does_not_belong_to_the_operation_is_a_mistake(kind, attributes, mistake):
    with recording(instrument=()) as recorded, lmspan.operation(kind, "x", attributes=attributes):
        pass
    with pytest.raises(AssertionError) as failure:
        recorded.assert_conventions()
    assert str(failure.value).splitlines()[0] == mistake


@pytest.mark.parametrize(
    ("name", "kind", "attributes", "mistakes"),
    [
        ("chat m", CLIENT, {sc.OPERATION_NAME: "chat"}, ["gen_ai.provider.name is missing"]),
        ("chat m", CLIENT, {}, ["gen_ai.operation.name is missing"]),
        ("ask m", CLIENT, {sc.OPERATION_NAME: "chat", sc.PROVIDER_NAME: "p"}, ["gen_ai.operation.name is chat"]),
        (
            "teach m", CLIENT, {sc.OPERATION_NAME: "teach"},
            [f"gen_ai.operation.name is 'teach', not one of {', '.join(sorted(registry.SPAN_TYPES))}"],
        ),
        ("retrieval r", INTERNAL, {sc.OPERATION_NAME: "retrieval"}, ["INTERNAL, not CLIENT"]),
        ("module M", CLIENT, {}, ["CLIENT, not INTERNAL"]),
        (
            "retrieval r", CLIENT, {sc.OPERATION_NAME: "retrieval", sc.USAGE_INPUT_TOKENS: 1},
            ["gen_ai.usage.input_tokens is not of retrieval"],
        ),
        (
            "invoke_agent a", INTERNAL, {sc.OPERATION_NAME: "invoke_agent", sc.PROVIDER_NAME: "p"},
            ["gen_ai.provider.name is not of invoke_agent"],
        ),
        ("invoke_agent a", CLIENT, {sc.OPERATION_NAME: "invoke_agent"}, ["gen_ai.provider.name is missing"]),
        ("execute_tool", INTERNAL, {sc.OPERATION_NAME: "execute_tool"}, ["gen_ai.tool.name is missing"]),
        (
            "candidate", INTERNAL, {sc.CANDIDATE_SCOPE: "half"},
            ["lmspan.optimizer.candidate.scope is 'half', not one of full, minibatch"],
        ),
        (
            "chat m", CLIENT,
            {sc.OPERATION_NAME: "chat", sc.PROVIDER_NAME: "p", sc.SERVER_PORT: 80, sc.REQUEST_STREAM: False},
            ["gen_ai.request.stream is False, not one of True", "server.port without server.address"],
        ),
        (
            "chat m", INTERNAL,
            {
                sc.OPERATION_NAME: "chat", sc.PROVIDER_NAME: "p", sc.CONVERSATION_ID: "c", sc.OUTPUT_TYPE: "json",
                "gen_ai.usage.image.input_tokens": 1, "gen_ai.prompt.variable.question": "q",
            },
            [],
        ),
        ("GET", CLIENT, {"http.request.method": "GET"}, []),
    ],
)  # fmt: skip
def test_a_span_that_differs_from_the_requirements_on_its_operation_is_a_mistake(name, kind, attributes, mistakes):
    assert list(registry.mistakes(name, kind, attributes)) == mistakes


@pytest.mark.parametrize(
    ("event", "attributes", "mistakes"),
    [
        ("gen_ai.evaluation.result", {}, ["gen_ai.evaluation.name is missing"]),
        ("gen_ai.evaluation.done", {}, ["is in no table"]),
        ("exception", {}, ["exception.type or exception.message is missing"]),
        ("gen_ai.client.operation.exception", {sc.EXCEPTION_MESSAGE: "no"}, []),
        (
            "gen_ai.evaluation.result", {sc.EVALUATION_NAME: "m", sc.EVALUATION_SCOPE: "batch"},
            ["lmspan.evaluation.scope is 'batch', not one of dataset, example"],
        ),
        ("a program's own", {"anything": 1}, []),
    ],
)  # fmt: skip
def test_an_event_that_differs_from_its_requirements_is_a_mistake(event, attributes, mistakes):
    assert list(registry.event_mistakes(event, attributes)) == mistakes


def test_the_events_of_a_span_are_held_against_the_tables():
    with recording(instrument=()) as recorded, lmspan.operation("tool", "t"):
        lmspan.add_event(lmspan.Event.EVALUATION_RESULT, {sc.EVALUATION_SCORE: 1})
    with pytest.raises(AssertionError) as failure:
        recorded.assert_conventions()
    assert str(failure.value).splitlines() == [
        "execute_tool t: event gen_ai.evaluation.result: gen_ai.evaluation.score.value is int, not double",
        "execute_tool t: event gen_ai.evaluation.result: gen_ai.evaluation.name is missing",
    ]


def test_every_operation_follows_the_conventions_by_itself():
    with recording(instrument=()) as recorded:
        for kind in lmspan.Operation:
            with lmspan.operation(kind, "x"):
                pass
    recorded.assert_conventions()


def test_every_genai_operation_has_a_span_type_and_every_genai_attribute_is_of_one():
    from lmspan.semconv.spans import OPERATIONS  # noqa: PLC0415 - only here

    assert set(OPERATIONS) <= set(registry.SPAN_TYPES)
    types = [each for every in registry.SPAN_TYPES.values() for each in every]
    on_spans = [name for name, meaning in sc.ATTRIBUTES.items() if meaning.source == sc.GENAI and _is_on_spans(name)]
    assert [name for name in on_spans if not any(each.allows(name) for each in types)] == []


def _is_on_spans(name):
    return not name.startswith("gen_ai.evaluation.") and name != sc.TOKEN_TYPE
