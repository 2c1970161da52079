"""DSPy's agents, and which of their predictors begin a turn."""

from __future__ import annotations

from typing import Final

from lmspan.instrumentation.turns import Loop

LOOPS: Final[dict[str, Loop]] = {
    "ReAct": Loop(("react",), ("extract",)),
    "ReActV2": Loop(("react",)),
    "CodeAct": Loop(("codeact",), ("extractor",)),
    "ProgramOfThought": Loop(("code_generate", "code_regenerate"), ("generate_output",)),
    "RLM": Loop(("generate_action",), ("extract",)),
    "Avatar": Loop(("actor",)),
}
