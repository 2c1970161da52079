"""What redaction costs the program's thread, by the kind and the size of a text.

    python benchmarks/redaction.py [--rounds 20]

Three tables, microseconds of processor time, the least of the rounds. The first is of `Redactor.secrets` on a whole
text. The others are what a program pays: `Content.json` on a value that holds the text, of which at most a quarter of
the budget, and a little more, reaches the redactor, and `Content.text`, of which at most half of it does.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = {"1 KB": 1 << 10, "64 KB": 1 << 16, "1 MB": 1 << 20}
ROOT = Path(__file__).parent.parent


def texts() -> dict[str, str]:
    """Return texts of ordinary kinds, of the largest size at least."""
    files = sorted((ROOT / "src").rglob("*.py"))
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
    messages = [{"role": "user", "content": f"How many tokens has text {n}?", "max_tokens": n} for n in range(400)]
    kinds = {
        "prose": "\n".join(page.read_text() for page in pages),
        "code": "\n".join(file.read_text() for file in files),
        "JSON": json.dumps(messages),
        "other scripts": "Съешь же ещё этих мягких французских булок, да выпей чаю. 日本語のテキスト。 ",
        "base64": "".join(chr(65 + n * n % 26) + chr(97 + n * 7 % 26) + str(n % 10) for n in range(5000)) + "+/",
    }
    most = max(SIZES.values())
    return {kind: (text * (most // len(text) + 1))[:most] for kind, text in kinds.items()}


def cost(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        begun = time.thread_time_ns()
        work()
        times.append(time.thread_time_ns() - begun)
    return min(times) / 1000


def table(title: str, prepared: Callable[[str], Callable[[], object]], rounds: int) -> None:
    print(f"{title:<28}" + "".join(f"{size:>12}" for size in SIZES))
    for kind, text in texts().items():
        figures = [cost(prepared(text[:size]), rounds) for size in SIZES.values()]
        print(f"  {kind:<26}" + "".join(f"{each:>12,.0f}" for each in figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "src"))

    from lmspan.content.payload import CAPTURE_MODES, Content

    content = Content(CAPTURE_MODES["span"])
    table("Redactor.secrets, us", lambda text: lambda: content.redactor.secrets(text), options.rounds)
    table("Content.json, us", lambda text: lambda: content.json({"question": text}), options.rounds)
    table("Content.text, us", lambda text: lambda: content.text(text), options.rounds)


if __name__ == "__main__":
    main()
