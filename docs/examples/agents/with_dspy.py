import dspy

import lmspan


def weather(city: str) -> str:
    """Look up the weather."""
    return f"sun in {city}"


lmspan.init()
dspy.configure(lm=dspy.LM("openai/gpt-4o-mini"))
agent = dspy.ReAct("question -> answer", tools=[weather])
print(agent(question="How is the weather in Graz?").answer)
