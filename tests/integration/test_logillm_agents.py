"""LogiLLM's agents, tools, and the modules that ask again: Retry, Refine, assertions."""

import json

from logillm.core.adapters import AdapterChain, ChatAdapter, JSONAdapter
from logillm.core.assertions import CustomAssertion, assert_module_output
from logillm.core.embedders import LLMEmbedder
from logillm.core.knn import KNN
from logillm.core.refine import Refine
from logillm.core.retry import Retry, RetryStrategy
from logillm.core.signatures import parse_signature_string
from logillm.core.tools import Tool
from logillm.core.tools.registry import ToolRegistry
from logillm.core.types import Prediction
from logillm.providers import register_provider

from lmspan import semconv as sc
from lmspan.testing import recording
from support.logillm_programs import ANSWER, DATA, FINISH, WEATHER, avatar, mock, predict, react, weather


async def test_react_is_an_agent_with_turns_and_tools():
    with recording() as recorded:
        result = await react(mock(WEATHER, FINISH, ANSWER))(question="weather?")
    assert result.outputs == {"reasoning": "seen", "answer": "sun"}
    recorded.assert_tree("""
        invoke_agent ReAct
          turn
            module react
              format JSONAdapter
              chat mock-model
              parse JSONAdapter
            execute_tool weather
          turn
            module react
              format JSONAdapter
              chat mock-model
              parse JSONAdapter
          module extract
            format JSONAdapter
            chat mock-model
            parse JSONAdapter
    """)
    recorded.assert_conventions()
    turns = [
        (span.attributes[sc.TURN_INDEX], span.attributes.get(sc.TURN_TOOL_COUNT)) for span in recorded.named("turn")
    ]
    assert turns == [(0, 1), (1, None)]
    assert [span.attributes[sc.MODULE_PATH] for span in recorded.named("module react")] == ["react"] * 2
    extract = recorded.attributes("module extract")
    assert (extract[sc.MODULE_PATH], extract[sc.MODULE_NAME]) == ("extract", "ChainOfThought")


async def test_every_attribute_of_an_agent_and_its_tool():
    with recording() as recorded:
        await react(mock(WEATHER, FINISH, ANSWER))(question="weather?")
    agent = recorded.attributes("invoke_agent ReAct")
    definitions = json.loads(agent.pop(sc.TOOL_DEFINITIONS))
    assert definitions[0] == {
        "type": "function",
        "name": "weather",
        "description": "Tell the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    assert [each["name"] for each in definitions] == ["weather", "finish"]
    identity = agent.pop(sc.CALL_ID)
    assert agent == {
        sc.SOURCE: "logillm",
        sc.OPERATION_NAME: "invoke_agent",
        sc.AGENT_NAME: "ReAct",
        sc.MODULE_NAME: "ReAct",
        sc.SIGNATURE_NAME: "question -> answer",
        sc.SIGNATURE_INPUT_FIELDS: ("question",),
        sc.SIGNATURE_OUTPUT_FIELDS: ("answer",),
        sc.MODULE_INPUTS: '{"question":"weather?"}',
        sc.INPUT_MESSAGES: '[{"role":"user","parts":[{"type":"text","content":"weather?"}]}]',
        sc.OUTPUT_MESSAGES: '[{"role":"assistant","parts":[{"type":"text","content":"'
        r'{\"reasoning\":\"seen\",\"answer\":\"sun\"}"}],"finish_reason":"stop"}]',
        sc.MODULE_OUTPUTS: '{"reasoning":"seen","answer":"sun"}',
    }
    assert recorded.named("turn")[0].attributes[sc.CALL_PARENT_ID] == identity
    tool = recorded.attributes("execute_tool weather")
    del tool[sc.CALL_ID], tool[sc.CALL_PARENT_ID]
    assert tool == {
        sc.SOURCE: "logillm",
        sc.OPERATION_NAME: "execute_tool",
        sc.TOOL_NAME: "weather",
        sc.TOOL_TYPE: "function",
        sc.TOOL_DESCRIPTION: "Tell the weather.",
        sc.TOOL_CALL_ARGUMENTS: '{"city":"Graz"}',
        sc.TOOL_CALL_RESULT: '{"result":"sun in Graz"}',
        sc.AGENT_NAME: "ReAct",
    }
    totals = recorded.totals("invoke_agent ReAct")
    assert (totals["llm_calls"], totals["tool_calls"], totals["errors"]) == (3, 1, 0)


async def test_a_tool_that_fails_is_seen_though_the_agent_goes_on():
    def broken(city: str) -> str:
        raise LookupError(f"no {city}")

    with recording() as recorded:
        result = await react(mock(WEATHER, FINISH, ANSWER), Tool(broken, name="weather"))(question="?")
    assert result.metadata["trajectory"]["observation_0"] == "Error: no Graz"
    assert "execute_tool weather !" in recorded.tree() and "turn !" not in recorded.tree()
    recorded.assert_conventions()
    assert recorded.attributes("execute_tool weather")[sc.ERROR_TYPE] == "LookupError"
    assert recorded.totals("invoke_agent ReAct")["errors"] == 1


async def test_a_model_that_fails_ends_the_turn_and_the_agent_with_one_error():
    with recording() as recorded:
        failed = await _raised(react(mock(error_rate=1.0, max_retries=1))(question="?"))
    assert type(failed).__name__ == "ModuleError"
    recorded.assert_tree("""
        invoke_agent ReAct !
          turn !
            module react !
              format JSONAdapter
              chat mock-model !
    """)
    recorded.assert_conventions()
    assert recorded.totals("invoke_agent ReAct")["errors"] == 1
    assert {span.attributes.get(sc.ERROR_TYPE) for span in recorded.spans} == {"Exception", None}


async def _raised(awaitable):
    try:
        await awaitable
    except Exception as error:  # noqa: BLE001
        return error


async def test_avatar_is_an_agent_whose_last_question_is_no_turn():
    with recording() as recorded:
        result = await avatar(mock("weather(Graz)", "weather(Linz)", "sunny"), max_iters=2)(question="?")
    assert len(result.metadata["actions"]) == 2
    recorded.assert_tree("""
        invoke_agent Avatar
          turn
            module actor
              format ChatAdapter
              chat mock-model
              parse ChatAdapter
            execute_tool weather
          turn
            module actor
              format ChatAdapter
              chat mock-model
              parse ChatAdapter !
            execute_tool weather
          module actor
            format ChatAdapter
            chat mock-model
            parse ChatAdapter !
    """)
    recorded.assert_conventions()


async def test_tools_called_in_every_way():
    async def slow(city):
        return city.upper()

    registry = ToolRegistry()
    registry.register(Tool(weather))
    with recording() as recorded:
        assert Tool(weather)(city="Graz") == "sun in Graz"
        assert await Tool(slow).acall(city="a") == "A"
        assert (await registry.execute("weather", city="Graz")).output == "sun in Graz"
        assert registry.execute_sync("weather", city="Graz").success
        assert not (await Tool(weather).execute(wrong=1)).success
    recorded.assert_tree("\n".join(["execute_tool weather", "execute_tool slow", *["execute_tool weather"] * 2,
                                    "execute_tool weather !"]))  # fmt: skip
    recorded.assert_conventions()


async def test_retry_calls_its_module_again():
    class Once:
        def __init__(self):
            self.said = [False, True]

        def __call__(self, prediction):
            return not self.said.pop(0)

    program = Retry(predict(mock("no", "yes")), max_retries=2, strategy=RetryStrategy.IMMEDIATE, retry_condition=Once())
    with recording() as recorded:
        assert (await program(question="?")).outputs == {"answer": "yes"}
    recorded.assert_tree("""
        module Retry
          module module
            format ChatAdapter
            chat mock-model
            parse ChatAdapter
          module module
            format ChatAdapter
            chat mock-model
            parse ChatAdapter
    """)
    recorded.assert_conventions()
    assert recorded.attributes("module Retry")[sc.SIGNATURE_NAME] == "question -> answer"


async def test_retry_that_gives_up_says_so_in_its_outputs():
    program = Retry(predict(mock("no")), max_retries=0, retry_condition=lambda prediction: True)
    with recording() as recorded:
        assert not (await program(question="?")).success
    outputs = json.loads(recorded.attributes("module Retry")[sc.MODULE_OUTPUTS])
    assert (outputs["success"], outputs["outputs"]) == (False, {"answer": "no"})


async def test_refine_works_on_copies_and_asks_for_advice():
    advice = '{"discussion": "d", "advice": {"Predict": "be right"}}'
    register_provider(mock(advice), set_default=True)
    program = Refine(predict(mock("yes")), 2, lambda inputs, prediction: 0.5, 0.9)
    with recording() as recorded:
        assert (await program(question="?")).outputs == {"answer": "yes"}
    predictor = """module Predict
            format ChatAdapter
            chat mock-model
            parse ChatAdapter"""
    recorded.assert_tree(f"""
        module Refine
          {predictor}
          {predictor.replace("ChatAdapter", "JSONAdapter")}
          {predictor}
    """)
    recorded.assert_conventions()


async def test_an_assertion_that_does_not_hold_is_an_event_and_the_module_asks_again():
    polite = CustomAssertion("polite", lambda value: "please" in str(value))
    program = assert_module_output(predict(mock("no", "please")), [polite])
    with recording() as recorded:
        assert (await program(question="?")).outputs == {"answer": "please"}
    recorded.assert_tree("""
        module Predict
          format ChatAdapter
          chat mock-model
          parse ChatAdapter
          format ChatAdapter
          chat mock-model
          parse ChatAdapter
    """)
    recorded.assert_conventions()
    assert recorded.events("module Predict") == [
        (
            sc.EVENT_ASSERTION,
            {sc.ASSERTION_SEVERITY: "hard", sc.ASSERTION_MESSAGE: "Custom assertion 'polite' failed"},
        )
    ]


def test_a_chain_of_adapters_shows_each_try():
    signature = parse_signature_string("question -> answer")
    with recording() as recorded:
        AdapterChain([JSONAdapter(), ChatAdapter()]).parse_response(signature, "no json")
    recorded.assert_tree("""
        parse AdapterChain
          parse JSONAdapter !
          parse ChatAdapter
    """)
    recorded.assert_conventions()


async def test_nearest_neighbours_are_a_retrieval_over_embeddings():
    with recording() as recorded:
        found = await KNN(k=2, trainset=DATA, embedder=LLMEmbedder(mock(), model="tiny"))(question="q1")
    recorded.assert_tree("""
        retrieval KNN
          embeddings tiny
          embeddings tiny
    """)
    recorded.assert_conventions()
    attributes = recorded.attributes("retrieval KNN")
    assert (attributes[sc.RETRIEVAL_TOP_K], attributes[sc.RETRIEVAL_DOCUMENT_COUNT]) == (2, 2)
    assert attributes[sc.RETRIEVAL_QUERY] == '{"question":"q1"}'
    documents = json.loads(attributes[sc.RETRIEVAL_DOCUMENTS])
    assert [each["content"]["inputs"] for each in documents] == [each["inputs"] for each in found]
    assert documents[0]["score"] == found[0]["metadata"]["similarity"]


async def test_a_module_made_of_a_function():
    from logillm.core.modules import module  # noqa: PLC0415

    @module(signature="question -> answer")
    async def shout(question):
        return Prediction(outputs={"answer": question.upper()})

    with recording() as recorded:
        assert (await shout(question="a")).outputs == {"answer": "A"}
    recorded.assert_tree("module BaseModule")
    assert recorded.attributes("module BaseModule")[sc.MODULE_OUTPUTS] == '{"answer":"A"}'
