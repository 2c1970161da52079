"""Every kind of DSPy program: its whole tree, one trace, no orphan, every answer counted, and nothing changed by us."""

import json

import pytest

from lmspan import semconv as sc
from lmspan.testing import recording, totals_of
from support.programs import KEY
from support.scenarios import ALL, NATIVE, available, execute


def answers(span):
    """How many answers of the server a chat span is made of: of n candidates each may be one.

    Before DSPy 3.4 LiteLLM streams without the server's usage; then the span gives the reason for the unknown cost.
    """
    if not NATIVE and span.attributes.get(sc.COST_UNKNOWN_REASON) == "the stream reported no usage":
        return 1
    if sc.USAGE_INPUT_TOKENS not in span.attributes:
        return 0
    return len(span.attributes[sc.RESPONSE_FINISH_REASONS]) if NATIVE else 1


def everything(recorded):
    """All that was exported, as text."""
    return json.dumps([json.loads(span.to_json()) for span in recorded.spans])


@pytest.mark.parametrize("scenario", available(), ids=lambda each: each.name)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_scenario(scenario):
    without, _ = execute(scenario)
    with recording() as recorded:
        result, server = execute(scenario)
    assert result == without
    recorded.assert_tree(scenario.tree, ordered=scenario.ordered)
    recorded.assert_conventions()
    assert len(recorded.roots()) == len(recorded.trace_ids()) == scenario.traces
    chats = [span for span in recorded.spans if span.name.startswith("chat ")]
    asked = [each for each in server.exchanges if each.path.endswith("/chat/completions") and each.reply.status == 200]
    assert sum(map(answers, chats)) == len(asked)
    totals = [totals_of(root) for root in recorded.roots()]
    assert sum(each["nodes"] for each in totals) == len(recorded.spans)
    assert sum(each["llm_calls"] for each in totals) == len(chats)
    assert [each["orphans"] for each in totals] == [0] * scenario.traces
    assert KEY not in everything(recorded)


def test_there_are_programs_of_every_kind():
    assert len(ALL) >= 45
    assert len({each.name for each in ALL}) == len(ALL)
