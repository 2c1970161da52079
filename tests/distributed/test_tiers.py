"""The tiers of collector-config/scale-out with real programs, each of which is killed once while spans come.

By hand: `.ci/backends distributed`, then `pytest -m distributed`. The number of spans is
`TEST_LMSPAN_DISTRIBUTED_SPANS`.
"""

import collections
import itertools
import os
import time

import pytest

from support.stack import eventually
from support.tiers import SPANS_A_TRACE, Tiers, crash, ids, recorded

pytestmark = pytest.mark.distributed

SPANS = int(os.environ.get("TEST_LMSPAN_DISTRIBUTED_SPANS", "10000"))
DECISION_WAIT_S = 60  # as the samplers' configuration has it
PAUSE_S = 0.5  # between two requests: spans come while a process is away


def test_every_span_of_a_kept_trace_is_stored_once_while_each_process_is_killed(tmp_path):
    requests, kinds = recorded(-(-SPANS // SPANS_A_TRACE))
    sent = ids(requests)
    must = {each for each in sent if kinds[each[0]] != "plain"}
    groups = whole(requests)
    with Tiers(tmp_path) as tiers:
        started = time.monotonic()
        for number, victim in enumerate(tiers.victims):
            portion = itertools.chain(*groups[number :: len(tiers.victims)])
            tiers.send_while(portion, PAUSE_S, lambda victim=victim: crash(victim))
        print(f"{len(sent)} spans in {len(requests)} requests sent in {time.monotonic() - started:.0f} s")
        eventually(lambda: must <= set(tiers.store[0].spans()), patience_s=600)
        print(f"stored after {time.monotonic() - started:.0f} s")
        time.sleep(DECISION_WAIT_S)  # what is stored twice, or should not be stored, has come by then
        found = list(tiers.store[0].spans())
    times = collections.Counter(found)
    assert [each for each, count in times.items() if count > 1] == []
    assert must - set(found) == set()
    assert set(found) - set(sent) == set()
    assert partial(sent, found) == {}
    assert len({trace_id for trace_id, _ in set(found) - must}) < len(kinds) / 4


def whole(requests):
    """Group requests so that each trace is in one group: a restart between two groups may outlast the decision."""
    spans = [[trace_id for trace_id, _ in ids([request])] for request in requests]
    last = {trace_id: number for number, traces in enumerate(spans) for trace_id in traces}
    groups, open_until = [[]], 0
    for number, request in enumerate(requests):
        groups[-1].append(request)
        open_until = max([open_until, *(last[trace_id] for trace_id in spans[number])])
        if number == open_until:
            groups.append([])
    return groups[:-1]


def partial(sent, found):
    """The traces that are stored in part: (spans stored, spans sent) by trace id."""
    whole, stored = (collections.Counter(trace_id for trace_id, _ in spans) for spans in (sent, set(found)))
    return {trace_id: (count, whole[trace_id]) for trace_id, count in stored.items() if count != whole[trace_id]}
