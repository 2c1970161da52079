"""A library that is as small as a library of agents can be. The guide to adding a library instruments it."""

from dataclasses import dataclass, field

__version__ = "1.0"


@dataclass
class Model:
    """A model that returns the answers that it was made with, one after the other, as a server would."""

    name: str
    answers: list[dict]

    def complete(self, messages: list[dict], temperature: float = 0.0) -> dict:
        return self.answers.pop(0)


@dataclass
class Tool:
    name: str
    function: object
    description: str = ""

    def run(self, **arguments: object) -> str:
        return self.function(**arguments)


@dataclass
class Agent:
    name: str
    model: Model
    tools: list[Tool] = field(default_factory=list)

    def ask(self, question: str) -> str:
        """Let the model call tools until it answers."""
        messages = [{"role": "user", "content": question}]
        while True:
            answer = self.model.complete(messages)
            if not answer.get("tool_calls"):
                return answer["text"]
            for wanted in answer["tool_calls"]:
                tool = next(each for each in self.tools if each.name == wanted["function"]["name"])
                result = tool.run(**wanted["function"]["arguments"])
                messages.append({"role": "tool", "tool_call_id": wanted["id"], "content": result})
