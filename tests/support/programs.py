"""DSPy programs and scripts for the tests, all talking to the scripted server over real HTTP."""

import dspy

from lmspan.demo.server import Reply, ScriptedServer

KEY = "sk-test-0123456789abcdef"


def fields(**values):
    """A reply in DSPy's chat format."""
    return Reply(
        "\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in values.items()) + "\n\n[[ ## completed ## ]]"
    )


def serving(*replies):
    """A server that gives these replies in order, the last one for ever."""
    waiting = list(replies)

    def script(request):
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    return ScriptedServer(script)


def model(server, **settings):
    return dspy.LM("openai/gpt-4o-mini", api_base=server.url, api_key=KEY, **{"cache": False, **settings})
