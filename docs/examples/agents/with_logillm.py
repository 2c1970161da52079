from logillm.core.react import ReAct
from logillm.core.tools import Tool
from logillm.providers import create_provider

import lmspan


def weather(city: str) -> str:
    """Look up the weather."""
    return f"sun in {city}"


lmspan.init()
provider = create_provider("openai", model="gpt-4o-mini")
agent = ReAct("question -> answer", tools=[Tool(weather)], config={"provider": provider})
print(agent.call_sync(question="How is the weather in Graz?").outputs["answer"])
