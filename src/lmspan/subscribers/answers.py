"""The texts of a model's answer, in whichever shape a library has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmspan.lifecycle import Call


def texts(outputs: Any) -> list[str]:
    """Return the texts of the outputs of an LM call."""
    answers = []
    for each in outputs if type(outputs) is list else [outputs]:
        text = each.get("text") if type(each) is dict else _stored_text(each)
        if type(text) is str and text:
            answers.append(text)
    return answers


def answer_texts(call: Call) -> list[str]:
    """Return the texts of the answer of an LM call; of a stream the whole text."""
    return texts(call.outputs) or ([call.response] if type(call.response) is str else [])


def _stored_text(answer: Any) -> Any:
    """Return an answer that is a string, or the `text` that LogiLLM's completion stores."""
    return answer if type(answer) is str else getattr(answer, "__dict__", {}).get("text")
