"""The program that the demo runs: a travel desk with a ReAct agent, a ChainOfThought step and a small Evaluate."""

from __future__ import annotations

from typing import Any

import dspy

DISTANCES_KM = {("Lisbon", "Porto"): 313, ("Vienna", "Graz"): 200, ("Oslo", "Bergen"): 463}
FORECASTS = {"Porto": "rain, 14 °C", "Graz": "sun, 22 °C", "Bergen": "rain, 9 °C"}


def distance(start: str, destination: str) -> str:
    """Look up the distance between two cities."""
    return f"{DISTANCES_KM[(start, destination)]} km"


def weather(city: str) -> str:
    """Look up tomorrow's weather in a city."""
    return FORECASTS[city]


class TravelDesk(dspy.Module):  # type: ignore[misc] # DSPy has no types
    """Research a trip with tools, then advise how to travel."""

    def __init__(self) -> None:
        super().__init__()
        self.research: Any = dspy.ReAct("trip -> findings", tools=[distance, weather], max_iters=4)
        self.advise: Any = dspy.ChainOfThought("trip, findings -> advice")

    def forward(self, trip: str) -> Any:
        """Answer one question."""
        findings = self.research(trip=trip).findings
        return self.advise(trip=trip, findings=findings)


def mentions_vehicle(example: Any, prediction: Any, trace: Any = None) -> float:
    """Score 1 for advice that names the example's vehicle."""
    del trace
    return float(example.vehicle in prediction.advice)


def devset() -> list[Any]:
    """Return the examples of the small evaluation."""
    trips = (("Lisbon to Porto", "train"), ("Vienna to Graz", "train"), ("Oslo to Bergen", "plane"))
    return [dspy.Example(trip=f"From {trip}, tomorrow", vehicle=vehicle).with_inputs("trip") for trip, vehicle in trips]


TRIP = "From Lisbon to Porto, tomorrow"


def run(lm: Any) -> tuple[str, float]:
    """Ask one question, then evaluate on two threads; return the advice and the score."""
    with dspy.context(lm=lm):
        desk = TravelDesk()
        advice = desk(trip=TRIP).advice
        score = dspy.Evaluate(devset=devset(), metric=mentions_vehicle, num_threads=2)(desk).score
    return str(advice), float(score)
