"""Agents of other frameworks, recorded through OpenTelemetry's own instrumentations: one line, one tree, one budget.

The frameworks are in an environment of their own: `genai` of `.ci/run` installs the extras and runs these tests.
"""

import asyncio
import json

import pytest

import lmspan
from lmspan import semconv as sc
from lmspan.demo.server import Reply
from lmspan.testing import recording
from support.genai import USAGE, WEATHER, serving
from support.wires import KEY, called

pytestmark = pytest.mark.genai
YES = Reply("yes", usage=USAGE)


def langchain(server):
    from langchain.agents import create_agent
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model="asked", base_url=server.url, api_key=KEY, max_retries=0)
    agent = create_agent(chat, [tool(weather)], name="desk")
    return agent.invoke({"messages": [{"role": "user", "content": "why?"}]})["messages"][-1].content


def langchain_stream(server):
    from langchain.agents import create_agent
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model="asked", base_url=server.url, api_key=KEY, max_retries=0, stream_usage=True)
    agent = create_agent(chat, [tool(weather)], name="desk")
    said = {"messages": [{"role": "user", "content": "why?"}]}
    return "".join(part.text for part, _ in agent.stream(said, stream_mode="messages") if part.type != "tool")


def llama_index(server):
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.llms.openai import OpenAI

    async def run():
        model = OpenAI(model="gpt-4o-mini", api_base=server.url, api_key=KEY, max_retries=0)
        return await FunctionAgent(tools=[weather], llm=model, name="desk", streaming=False).run("why?")

    return str(asyncio.run(run()))


def openai_agents(server):
    import agents
    import openai

    client = openai.AsyncOpenAI(base_url=server.url, api_key=KEY, max_retries=0)
    model = agents.OpenAIChatCompletionsModel("asked", client)
    agent = agents.Agent(name="desk", tools=[agents.function_tool(weather)], model=model)
    return asyncio.run(agents.Runner.run(agent, "why?")).final_output


def smolagents(server):
    from smolagents import OpenAIModel, ToolCallingAgent, tool

    chat = OpenAIModel("asked", api_base=server.url, api_key=KEY, client_kwargs={"max_retries": 0}, retry=False)
    return ToolCallingAgent([tool(weather)], chat, name="desk", verbosity_level=0).run("why?")


def weather(city: str) -> str:
    """Tell the weather.

    Args:
        city: the name of the city
    """
    return f"sun in {city}"


TREE = """
    invoke_agent desk
      chat {model}
      execute_tool weather
      chat {model}
"""
# program, the replies, the tree
FRAMEWORKS = {
    "langchain": (langchain, [WEATHER, YES], TREE.format(model="asked")),
    "langchain-stream": (langchain_stream, [WEATHER, YES], TREE.format(model="asked")),
    "llama-index": (llama_index, [WEATHER, YES], TREE.format(model="gpt-4o-mini")),
    "openai-agents": (
        openai_agents,
        [WEATHER, YES],
        """
        invoke_workflow Agent workflow
          invoke_agent desk
            chat asked
            execute_tool weather
            chat asked
        """,
    ),
    # The instrumentation of smolagents 1.2b0 has no span for a tool.
    "smolagents": (
        smolagents,
        [WEATHER, called(("call_2", "final_answer", {"answer": "yes"}), usage=USAGE)],
        """
        invoke_agent desk
          chat asked
          chat asked
        """,
    ),
}
each_framework = pytest.mark.parametrize(("program", "replies", "tree"), FRAMEWORKS.values(), ids=FRAMEWORKS)


def text_of(recorded):
    return str([(dict(span.attributes), [dict(event.attributes) for event in span.events]) for span in recorded.spans])


@each_framework
def test_an_agent_with_a_tool_is_one_tree_with_its_totals(program, replies, tree):
    with serving(*replies) as server, recording() as recorded, lmspan.run("day") as result:
        assert program(server) == "yes"
    indented = "\n".join(f"  {line}" for line in tree_lines(tree))
    recorded.assert_tree(f"invoke_workflow day\n{indented}")
    recorded.assert_conventions()
    totals = recorded.totals("invoke_workflow day")
    assert (totals["llm_calls"], totals["input_tokens"], totals["output_tokens"]) == (2, 200, 100)
    assert (result.api_calls, result.input_tokens, result.total_tool_calls) == (2, 200, totals["tool_calls"])
    assert totals["tool_calls"] == tree.count("execute_tool")


def tree_lines(tree):
    lines = tree.strip("\n").splitlines()
    margin = len(lines[0]) - len(lines[0].lstrip())
    return [line[margin:] for line in lines if line.strip()]


@each_framework
def test_the_tool_and_the_messages_are_recorded(program, replies, tree):
    with serving(*replies) as server, recording() as recorded:
        program(server)
    for span in recorded.named("execute_tool weather"):
        assert json.loads(span.attributes[sc.TOOL_CALL_ARGUMENTS]) == {"city": "Graz"}
        assert json.loads(span.attributes[sc.TOOL_CALL_RESULT]) == {"result": "sun in Graz"}
    chats = [span for span in recorded.spans if span.name.startswith("chat")]
    asked = [json.loads(span.attributes[sc.INPUT_MESSAGES]) for span in chats]
    assert {message["role"] for messages in asked for message in messages} <= {"system", "user", "assistant", "tool"}
    answered = [json.loads(span.attributes[sc.OUTPUT_MESSAGES]) for span in chats]
    parts = [part for messages in answered for message in messages for part in message["parts"]]
    assert ("weather", {"city": "Graz"}) in [(part.get("name"), part.get("arguments")) for part in parts]


@each_framework
def test_no_content_is_on_a_span_where_it_is_not_to_be(program, replies, tree):
    with serving(*replies) as server, recording(capture_content="none") as recorded:
        program(server)
    assert not any(word in text_of(recorded) for word in ("why?", "sun in Graz", "Graz"))


@each_framework
def test_a_budget_stops_an_agent_before_the_next_request(program, replies, tree):
    with serving(*replies) as server, recording(), lmspan.subscribed(lmspan.Budget(max_lm_calls=1)):
        with pytest.raises(lmspan.StopRun):
            program(server)
    assert len(server.exchanges) == 1


@each_framework
def test_an_error_of_the_server_reaches_the_program_as_without_lmspan(program, replies, tree):
    def outcome():
        with serving(Reply("no such thing", status=400)) as server:
            with pytest.raises(Exception) as raised:  # noqa: PT011 - each framework has its own exception
                program(server)
        return type(raised.value), "no such thing" in str(raised.value)

    plain = outcome()
    with recording() as recorded:
        assert outcome() == plain
    recorded.assert_conventions()
    (chat,) = [span for span in recorded.spans if span.name.startswith("chat")]
    assert chat.attributes[sc.ERROR_TYPE].endswith("RequestError")


def test_langchains_own_calls_are_recorded_without_an_agent():
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI

    with serving(YES) as server, recording() as recorded:
        model = ChatOpenAI(model="asked", base_url=server.url, api_key=KEY)
        chain = ChatPromptTemplate.from_template("{question}") | model | StrOutputParser()
        assert chain.batch([{"question": "a"}, {"question": "b"}]) == ["yes", "yes"]
    recorded.assert_conventions()
    assert len([span for span in recorded.spans if span.name == "chat asked"]) == 2


def google(server):
    from google import genai

    client = genai.Client(api_key=KEY, http_options={"base_url": server.address})
    client.models.generate_content(model="asked", contents="why?")
    list(client.models.generate_content_stream(model="asked", contents="why?"))
    lmspan.lm(client.models.generate_content, name="mine")(model="asked", contents="why?")


def test_a_call_of_googles_client_is_one_span():
    with serving(YES) as server, recording() as recorded:
        google(server)
    recorded.assert_tree("""
        generate_content asked
        generate_content asked
        chat mine
    """)
    recorded.assert_conventions()
    assert [span.attributes[sc.USAGE_INPUT_TOKENS] for span in recorded.spans] == [100, 100, 100]
    assert {span.attributes[sc.PROVIDER_NAME] for span in recorded.spans} == {"gcp.gemini"}


def test_a_function_that_googles_client_calls_is_below_its_span():
    from google import genai

    with serving(WEATHER, YES) as server, recording() as recorded:
        client = genai.Client(api_key=KEY, http_options={"base_url": server.address})
        answer = client.models.generate_content(model="asked", contents="why?", config={"tools": [weather]})
        assert answer.text == "yes"
    recorded.assert_tree("""
        generate_content asked
          execute_tool weather
    """)
    recorded.assert_conventions()
