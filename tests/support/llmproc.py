"""LLMProc programs for the tests: the real library and its real clients, all talking to the scripted server."""

import contextlib
import os
from unittest.mock import patch

from google import genai
from llmproc import LLMProgram

from support.wires import KEY

MODEL = "claude-sonnet-4-5"


@contextlib.contextmanager
def asking(server, **environ):
    """Have LLMProc's clients ask this server, and try again without waiting."""
    given = {
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": server.address,
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": server.url,
        "GEMINI_API_KEY": KEY,
        "LLMPROC_RETRY_INITIAL_WAIT": "0",
        **environ,
    }
    client = genai.Client

    def gemini(**settings):
        return client(**settings, http_options={"base_url": server.address})

    with patch.dict(os.environ, given), patch.object(genai, "Client", gemini):
        yield server


def program(*tools, provider="anthropic", model=MODEL, **settings):
    """A program with these tools."""
    given = {"display_name": "helper", "system_prompt": "Be brief.", "parameters": {"max_tokens": 100}, **settings}
    return LLMProgram(model_name=model, provider=provider, tools=list(tools), **given)


def weather(city: str) -> str:
    """Look up the weather."""
    if city == "nowhere":
        raise LookupError(city)
    return f"sun in {city}"
