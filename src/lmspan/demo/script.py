"""What the scripted model says to the demo's program: it reads the prompt and answers in DSPy's chat format."""

from __future__ import annotations

import json
import re
from typing import Any

from lmspan.demo.program import DISTANCES_KM, FORECASTS
from lmspan.demo.server import Reply

_TRIP = re.compile(r"From (\w+) to (\w+)")
_WORTH_FLYING_KM = 400


def answer(request: dict[str, Any]) -> Reply:
    """Return the next step for the prompt: a tool to call, the findings, or the advice."""
    prompt = request["messages"][-1]["content"]
    system = request["messages"][0]["content"]
    start, destination = _TRIP.search(prompt).groups()  # type: ignore[union-attr]
    if "next_tool_name" in system:
        return _fields(_next_step(prompt, start, destination), 0.05)
    far = DISTANCES_KM[(start, destination)]
    if "advice" in system:
        vehicle = "plane" if far > _WORTH_FLYING_KM and destination == "Porto" else "train"
        judged = "far" if far > _WORTH_FLYING_KM else "near"
        reasoning = f"{far} km is {judged}, and the forecast says {FORECASTS[destination]}."
        return _fields(
            {"reasoning": reasoning, "advice": f"Take the {vehicle}, and pack for {FORECASTS[destination]}."}, 0.08
        )
    findings = f"{start} to {destination}: {far} km; weather there: {FORECASTS[destination]}."
    return _fields({"reasoning": "Both tools have answered.", "findings": findings}, 0.06)


def _next_step(prompt: str, start: str, destination: str) -> dict[str, Any]:
    tool, arguments, thought = "distance", {"start": start, "destination": destination}, "How far is it?"
    if "observation_1" in prompt:
        tool, arguments, thought = "finish", {}, "Distance and weather are known."
    elif "observation_0" in prompt:
        tool, arguments, thought = "weather", {"city": destination}, "What will the weather be there?"
    return {"next_thought": thought, "next_tool_name": tool, "next_tool_args": json.dumps(arguments)}


def _fields(fields: dict[str, Any], delay_s: float) -> Reply:
    blocks = [f"[[ ## {name} ## ]]\n{value}" for name, value in fields.items()]
    return Reply("\n\n".join([*blocks, "[[ ## completed ## ]]"]), delay_s=delay_s)
