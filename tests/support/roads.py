"""The roads from a program to a model's server, and the ways to take them.

A `Way` states a request once, in OpenAI's words; each road asks its library for that. A road that has no such way
raises `NoSuchWay` with the reason.
"""

import asyncio
import contextlib
import dataclasses
import functools
from dataclasses import dataclass, field

import anthropic
import dspy
import openai
from google import genai
from logillm.core.types import CacheLevel

import lmspan
from support import logillm_programs
from support.ledger import NO_USAGE, Answer
from support.llmproc import asking, program
from support.scenarios.core import NATIVE
from support.wires import KEY, called

SYSTEM, QUESTION = "Be brief.", "Why is the sky blue?"
MESSAGES = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "Tell the weather.", "parameters": SCHEMA}}
]
CALLS = [("call_1", "weather", {"city": "Graz"}), ("call_2", "weather", {"city": "Wien"})]
HISTORY = [
    *MESSAGES,
    {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [
            {"id": "call_9", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Linz"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_9", "content": "rain"},
]
BLUE = Answer("Because of Rayleigh.")
CALLING = Answer("I look.", tool_calls=called(*CALLS).tool_calls)
SLOW_DOWN = Answer("slow down", status=429, headers={"retry-after": "0"})


class NoSuchWay(Exception):
    """The library has no such way."""


@dataclass
class Way:
    """One kind of request, and the answers of the server."""

    answers: tuple = (BLUE,)
    settings: dict = field(default_factory=lambda: {"temperature": 0.3, "max_tokens": 77, "top_p": 0.9})
    messages: list = field(default_factory=lambda: MESSAGES)
    model: str = ""
    """The name of the model; one whose price is known if empty."""
    streamed: bool = False
    asynchronous: bool = False
    usage_asked: bool = False
    cached: bool = False
    retries: int = 1


WAYS = {
    "plain": Way(),
    "async": Way(asynchronous=True),
    "streamed": Way(streamed=True),
    "streamed with usage": Way(streamed=True, usage_asked=True),
    "no parameters": Way(settings={}),
    "dropped parameters": Way(settings={"temperature": 1.5, "seed": 7, "presence_penalty": 0.5, "max_tokens": 77}),
    "stop sequences": Way(settings={"stop": ["END"], "max_tokens": 77}),
    "JSON": Way((Answer('{"a": 1}'),), {"response_format": {"type": "json_object"}, "max_tokens": 77}),
    "tools": Way((CALLING,), {"tools": TOOLS, "max_tokens": 77}),
    "streamed tools": Way((CALLING,), {"tools": TOOLS, "max_tokens": 77}, streamed=True, usage_asked=True),
    "results of tools": Way(settings={"tools": TOOLS, "max_tokens": 77}, messages=HISTORY),
    "two candidates": Way((Answer("One.", others=("Two.",)),), {"n": 2, "temperature": 0.7, "max_tokens": 77}),
    "two streamed candidates": Way(
        (Answer("One.", others=("Two.",)),), {"n": 2, "temperature": 0.7, "max_tokens": 77}, streamed=True
    ),
    "thoughts": Way((Answer("Rayleigh.", thoughts="Think first."),)),
    "streamed thoughts": Way((Answer("Rayleigh.", thoughts="Think first."),), streamed=True, usage_asked=True),
    "cut at the limit": Way((Answer("Because", finish_reason="length"),)),
    "no usage": Way((Answer("Because of Rayleigh.", usage=NO_USAGE),)),
    "unknown price": Way(model="mystery-9"),
    "refused and retried": Way((SLOW_DOWN, BLUE)),
    "refused": Way((Answer("no", status=400),), retries=0),
    "failed after a bill": Way((BLUE, Answer("no", status=400)), {"n": 2, "temperature": 0.7}, retries=0),
    "program's cache": Way(cached=True),
    "program's cache, streamed": Way(cached=True, streamed=True),
}


# DSPy -------------------------------------------------------------------------------------------------------------

GPT, CLAUDE, GEMINI = "gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash"


class Asks(dspy.Module):
    def __init__(self, request):
        super().__init__()
        self.request = request

    def forward(self):
        args, kwargs = self.request
        return dspy.Prediction(answer=dspy.settings.lm(*args, **kwargs))


def of_dspy(prefix, model, place, server, way, *, typed=False, **settings):
    if prefix == "gemini" and settings.get("engine") != "lm15" and not way.answers[0].usage:
        raise NoSuchWay("LiteLLM cannot read an answer without usage")
    lm = dspy.LM(
        f"{prefix}/{way.model or model}",
        api_base=place.format(server=server.address),
        api_key=KEY,
        cache=way.cached,
        num_retries=way.retries,
        **settings,
    )
    args, kwargs = request = typed_request(lm, way) if typed else ((), {"messages": way.messages, **way.settings})
    with dspy.context(lm=lm, track_usage=way.usage_asked), empty_cache():
        for _ in range(2 if way.cached else 1):
            if way.streamed:
                asyncio.run(drained(dspy.streamify(Asks(request))()))
            elif way.asynchronous:
                asyncio.run(lm.acall(*args, **kwargs))
            else:
                lm(*args, **kwargs)


def typed_request(lm, way):
    """Return the arguments of a call with a typed request of DSPy 3.4."""
    if "n" in way.settings:
        raise NoSuchWay("a typed request has one candidate")
    body = {"model": lm.model, "messages": way.messages, **way.settings}
    return (dspy.lm15.request_from_openai_chat(body),), {}


@contextlib.contextmanager
def empty_cache():
    """A cache of DSPy's in which nothing is yet."""
    before = dspy.cache
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    try:
        yield
    finally:
        dspy.cache = before


async def drained(stream):
    async for _ in stream:
        pass


# LogiLLM ----------------------------------------------------------------------------------------------------------


def of_logillm(make, model, server, way):
    if way.cached and way.streamed:
        raise NoSuchWay("LogiLLM's cache has no streams")
    cache = CacheLevel.MEMORY if way.cached else CacheLevel.NONE
    provider = make(server, model=way.model or model, cache_level=cache, max_retries=way.retries + 1)
    if provider.name == "anthropic":
        way = without_sampling(way)
        if not way.answers[0].usage:
            raise NoSuchWay("its client cannot read an answer without usage")
    asyncio.run(asking_logillm(provider, way))


def without_sampling(way):
    """Anthropic's client 2 has no such parameters."""
    settings = {name: each for name, each in way.settings.items() if name not in ("temperature", "top_p")}
    return dataclasses.replace(way, settings=settings)


async def asking_logillm(provider, way):
    settings = dict(way.settings)
    if way.usage_asked and provider.name == "openai":
        settings["stream_options"] = {"include_usage": True}
    if way.streamed:
        await drained(provider.stream(way.messages, **settings))
        return
    for _ in range(2 if way.cached else 1):
        await provider.complete_with_retry(way.messages, **settings)


# LLMProc ----------------------------------------------------------------------------------------------------------


def weather(city: str) -> str:
    """Tell the weather."""
    return "rain"


def of_llmproc(provider, model, server, way):
    if way.streamed or way.cached or "n" in way.settings:
        raise NoSuchWay("LLMProc does not do this")
    way = without_sampling(way) if provider == "anthropic" else way
    settings = {name: value for name, value in way.settings.items() if name != "tools"}
    tools = [weather] if "tools" in way.settings else []
    made = program(*tools, provider=provider, model=way.model or model, system_prompt=SYSTEM, parameters=settings)
    with asking(server):
        asyncio.run(asking_llmproc(made))


async def asking_llmproc(made):
    process = await made.start()
    try:
        await process.run(QUESTION, max_iterations=1)
    finally:
        await process.aclose()


# Clients in plain Python ------------------------------------------------------------------------------------------


def of_client(ask, provider, model, server, way):
    if way.cached or way.asynchronous:
        raise NoSuchWay("a client has no cache, and the async one differs in nothing")
    made = ask(server, way, way.model or model)

    @lmspan.lm(provider=provider, model=way.model or model)
    def answer():
        return made()

    @lmspan.lm(provider=provider, model=way.model or model)
    def stream():
        yield from made()

    return list(stream()) if way.streamed else answer()


def openai_client(server, way):
    return openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=way.retries)


def chat(server, way, model):
    settings = {**way.settings, **({"stream": True} if way.streamed else {})}
    if way.usage_asked:
        settings["stream_options"] = {"include_usage": True}
    create = openai_client(server, way).chat.completions.create
    return functools.partial(create, model=model, messages=way.messages, **settings)


def responses(server, way, model):
    settings = {"max_output_tokens" if name == "max_tokens" else name: each for name, each in way.settings.items()}
    if settings.keys() & {"n", "stop", "seed", "response_format"} or way.messages is HISTORY:
        raise NoSuchWay("the API has no such parameter")
    if "tools" in settings:
        settings["tools"] = [{"type": "function", **tool["function"]} for tool in settings["tools"]]
    if way.streamed:
        settings["stream"] = True
    create = openai_client(server, way).responses.create
    return functools.partial(create, model=model, instructions=SYSTEM, input=QUESTION, **settings)


def messages(server, way, model):
    settings = {"max_tokens": 99, **without_sampling(way).settings}
    if settings.keys() & {"n", "seed", "response_format"} or way.messages is HISTORY:
        raise NoSuchWay("the API has no such parameter")
    if "stop" in settings:
        settings["stop_sequences"] = settings.pop("stop")
    if "tools" in settings:
        functions = [tool["function"] for tool in settings["tools"]]
        settings["tools"] = [{"name": each["name"], "input_schema": each["parameters"]} for each in functions]
    if way.streamed:
        settings["stream"] = True
    client = anthropic.Anthropic(base_url=server.address, api_key=KEY, max_retries=way.retries)
    asked = [{"role": "user", "content": QUESTION}]
    return functools.partial(client.messages.create, model=model, system=SYSTEM, messages=asked, **settings)


def generate_content(server, way, model):
    names = {"max_tokens": "max_output_tokens", "n": "candidate_count", "stop": "stop_sequences"}
    config = {names.get(name, name): each for name, each in way.settings.items()}
    if way.messages is HISTORY or (way.retries == 1 and len(way.answers) > 1):
        raise NoSuchWay("the client has no such parameter")
    if config.pop("response_format", None):
        config["response_mime_type"] = "application/json"
    if "tools" in config:
        functions = [{**tool["function"], "parameters_json_schema": SCHEMA} for tool in config["tools"]]
        for each in functions:
            del each["parameters"]
        config["tools"] = [{"function_declarations": functions}]
    client = genai.Client(api_key=KEY, http_options={"base_url": server.address})
    kept.append(client)
    asked = client.models.generate_content_stream if way.streamed else client.models.generate_content
    return functools.partial(asked, model=model, contents=QUESTION, config={"system_instruction": SYSTEM, **config})


kept = []  # a client that is collected closes its connection

V1, V1BETA, BARE = "{server}/v1", "{server}/v1beta", "{server}"


def dspy_roads():
    """DSPy asks providers itself since 3.4, and LiteLLM always if told."""
    engines = {"DSPy": {"engine": "lm15"}, "DSPy over LiteLLM": {"engine": "litellm"}} if NATIVE else {"DSPy 3.3": {}}
    roads = {}
    for name, settings in engines.items():
        own = name == "DSPy"
        wires = {
            "OpenAI Chat": ("openai", GPT, V1, {}),
            "OpenAI Responses": ("openai", GPT, V1, {"model_type": "responses"}),
            "Anthropic": ("anthropic", CLAUDE, V1 if own else BARE, {}),
            "Gemini": ("gemini", GEMINI, V1BETA, {}),
        }
        if own:
            wires["typed request"] = ("openai", GPT, V1, {"typed": True})
        if not own:
            wires["text completions"] = ("text-completion-openai", GPT, V1, {"model_type": "text"})
        for wire, (*where, more) in wires.items():
            roads[f"{name}, {wire}"] = functools.partial(of_dspy, *where, **settings, **more)
    return roads


ROADS = {
    **dspy_roads(),
    "LogiLLM, OpenAI": functools.partial(of_logillm, logillm_programs.openai, GPT),
    "LogiLLM, Anthropic": functools.partial(of_logillm, logillm_programs.anthropic, CLAUDE),
    "LLMProc, OpenAI": functools.partial(of_llmproc, "openai", GPT),
    "LLMProc, Anthropic": functools.partial(of_llmproc, "anthropic", CLAUDE),
    "LLMProc, Gemini": functools.partial(of_llmproc, "gemini", GEMINI),
    "OpenAI's client, Chat": functools.partial(of_client, chat, "openai", GPT),
    "OpenAI's client, Responses": functools.partial(of_client, responses, "openai", GPT),
    "Anthropic's client": functools.partial(of_client, messages, "anthropic", CLAUDE),
    "Gemini's client": functools.partial(of_client, generate_content, "gcp.gemini", GEMINI),
}
CLIENTS = ("OpenAI's client, Chat", "OpenAI's client, Responses", "Anthropic's client", "Gemini's client")
LITELLM = ("DSPy over LiteLLM", "DSPy 3.3")
EVERY = "every way"
# (roads, facts, ways, the reason why the span does not say what the server does)
KNOWN = [
    (
        ("DSPy, OpenAI Responses",), ("stream",), ("stop sequences",),
        "DSPy's client streams this answer by itself, to apply the stop sequences; no chunk of it reaches the program",
    ),
    (
        tuple(f"{dspy_}, {wire}" for dspy_ in LITELLM for wire in ("OpenAI Responses", "Anthropic")),
        ("cache hit",), ("program's cache", "program's cache, streamed"),
        "DSPy's cache has the answer with the id, and of a stream with the model, that LiteLLM gives it",
    ),
    (
        tuple(f"{dspy_}, {wire}" for dspy_ in LITELLM for wire in ("OpenAI Chat", "Gemini")),
        ("cache hit",), ("program's cache, streamed",),
        "DSPy's cache has the answer with the id, and of a stream with the model, that LiteLLM gives it",
    ),
    (("LogiLLM, OpenAI",), ("cache hit",), ("program's cache",), "LogiLLM's cached `Completion` has no id"),
    (
        CLIENTS, ("parameters", "prompt"), (EVERY,),
        "The function of the program does not state it; the client's own instrumentation (`lmspan[openai]`, ...) does",
    ),
    (
        CLIENTS[3:], ("operation",), (EVERY,),
        "The program names a provider and no API; Google's serves OpenAI's chat too",
    ),
    (
        CLIENTS[:3], ("attempts",), ("refused and retried",),
        "The client repeats requests by itself, and shows the program the last answer only",
    ),
]  # fmt: skip
