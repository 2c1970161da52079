"""The model of the searches, the ledger of its server, and what a search and its optimizer report."""

import json
import re
import zlib
from dataclasses import dataclass, field

from lmspan.demo.server import Reply
from lmspan.demo.wires import usage

FAILING, UNREADABLE, RIGHT = 4, 8, 70  # per cent of the task's prompts
MARKED = re.compile(r"\[\[ ## (\w+) ## \]\]")


@dataclass
class Reported:
    """What an optimizer itself reports of its search: a field is None where it reports nothing of the kind."""

    source: str = ""
    full: list[float] | None = None
    """The scores on the whole data."""
    minibatch: list[float] | None = None
    evaluations: int | None = None
    accepted: list[float] | None = None
    """The scores of the programs that it keeps."""
    first: float | None = None
    best: float | None = None
    whole: bool = True
    """Whether `full` has every evaluation of the search on the whole data."""


@dataclass
class Run:
    """One run of an optimizer: the state that it leaves, what it reports, and what the server was sent."""

    state: object
    reported: Reported
    exchanges: list = field(default_factory=list)
    raised: int = 0
    """How often the metric has raised."""

    @property
    def prompts(self):
        return sorted(json.dumps(each.request, sort_keys=True) for each in self.exchanges)


@dataclass
class Ledger:
    requests: int
    failed: int
    input_tokens: int
    output_tokens: int


def ledger(exchanges):
    """What the server has been asked for and has billed."""
    billed = [usage(each.request, each.reply) for each in exchanges if each.reply.status == 200]
    return Ledger(
        len(exchanges),
        len(exchanges) - len(billed),
        sum(each["prompt_tokens"] for each in billed),
        sum(each["completion_tokens"] for each in billed),
    )


def chance(request):
    """A number below 100 that depends on the request alone, so that the order of threads does not matter."""
    return zlib.crc32(json.dumps(request["messages"]).encode()) % 100


def answer(request, *, names, formatted):
    """Answer a request: a task's prompt now and then with an error or unreadable text, any other with a new text.

    `names` are the fields that the prompt asks for; `formatted` writes values for them.
    """
    number = chance(request)
    if names != ["answer"]:
        return formatted(dict.fromkeys(names, f"Be careful, {number}."))
    if number < FAILING:
        return Reply("overloaded", status=400)
    if number < UNREADABLE:
        return Reply("I would rather not say.")
    return formatted({"answer": "yes" if number < RIGHT else "no"})
