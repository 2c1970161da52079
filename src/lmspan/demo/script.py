"""The script of the demo's model: it reads the prompt and replies in DSPy's chat format."""

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
    start, destination = _TRIP.search(prompt).groups()  # type: ignore[union-attr] # every prompt holds a trip
    if "next_tool_name" in system:
        return _fields(_next_step(prompt, start, destination), 0.05)
    distance_km = DISTANCES_KM[(start, destination)]
    if "advice" in system:
        is_far = distance_km > _WORTH_FLYING_KM
        vehicle = "plane" if is_far and destination == "Porto" else "train"  # wrong for Bergen: one example scores 0
        forecast = FORECASTS[destination]
        reasoning = f"{distance_km} km is {'far' if is_far else 'near'}, and the forecast says {forecast}."
        return _fields({"reasoning": reasoning, "advice": f"Take the {vehicle}, and pack for {forecast}."}, 0.08)
    findings = f"{start} to {destination}: {distance_km} km; weather there: {FORECASTS[destination]}."
    return _fields({"reasoning": "Both tools have answered.", "findings": findings}, 0.06)


def _next_step(prompt: str, start: str, destination: str) -> dict[str, Any]:
    if "observation_1" in prompt:
        return _step("Distance and weather are known.", "finish", {})
    if "observation_0" in prompt:
        return _step("What will the weather be there?", "weather", {"city": destination})
    return _step("How far is it?", "distance", {"start": start, "destination": destination})


def _step(thought: str, tool: str, arguments: dict[str, str]) -> dict[str, Any]:
    return {"next_thought": thought, "next_tool_name": tool, "next_tool_args": json.dumps(arguments)}


def _fields(fields: dict[str, Any], delay_s: float) -> Reply:
    blocks = [f"[[ ## {name} ## ]]\n{value}" for name, value in fields.items()]
    return Reply("\n\n".join([*blocks, "[[ ## completed ## ]]"]), delay_s=delay_s)
