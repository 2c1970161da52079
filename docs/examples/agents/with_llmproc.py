from llmproc import LLMProgram

import lmspan


def weather(city: str) -> str:
    """Look up the weather."""
    return f"sun in {city}"


lmspan.init()
program = LLMProgram(
    model_name="claude-sonnet-4-5",
    provider="anthropic",
    system_prompt="Be brief.",
    parameters={"max_tokens": 500},
    tools=[weather],
)
agent = program.start_sync()
agent.run("How is the weather in Graz?")
print(agent.get_last_message())
