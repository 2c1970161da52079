"""Every kind of DSPy program with lmspan's own spans and with the SDK's: the same spans, attribute by attribute."""

import re

import pytest

from lmspan import semconv as sc
from lmspan.testing import recording
from support.scenarios import available, execute

DIFFERENT_EACH_TIME = ("BootstrapFewShotWithOptuna", "AvatarOptimizer")  # a random choice; an address in a prompt
CHANGING = re.compile(r"0x[0-9a-f]+|127\.0\.0\.1:\d+|[0-9a-f]{8}-[0-9a-f-]{27}|\b\d{10,}\b")
VOLATILE = {sc.SERVER_PORT, sc.RESPONSE_TIME_TO_FIRST_CHUNK, sc.CODE_LINE_NUMBER}


def facts(attributes):
    """Attributes with what differs between two runs of one program left out: ports, times, ids and addresses."""
    return {
        name: CHANGING.sub("…", value) if type(value) is str else (type(value), value)
        for name, value in attributes.items()
        if name not in VOLATILE
    }


def names_of(shape):
    """What is the same each time for a program that is not: names, kinds, statuses, and the types of values."""
    return sorted(
        (name, *rest, [(key, type(value)) for key, value in attributes], [event for event, _ in events])
        for name, _, *rest, attributes, events in (span[:6] for span in shape)
    )


def shape(recorded):
    names = {span.context.span_id: span.name for span in recorded.spans}
    return sorted(
        (
            span.name, names.get(span.parent.span_id) if span.parent else "", span.kind.name,
            span.status.status_code.name, sorted(facts(without_ids(span.attributes)).items(), key=repr),
            [(event.name, sorted(facts(event.attributes).items(), key=repr)) for event in span.events],
            len(span.links), span.resource.attributes["service.name"], span.instrumentation_scope.name,
        )
        for span in recorded.spans
    )  # fmt: skip


def without_ids(attributes):
    return {name: value for name, value in attributes.items() if name not in (sc.CALL_ID, sc.CALL_PARENT_ID)}


@pytest.mark.parametrize("scenario", available(), ids=lambda each: each.name)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_program_has_the_same_spans_of_both_kinds(scenario, monkeypatch):
    shapes = []
    for kind in ("own", "sdk"):
        monkeypatch.setenv("LMSPAN_SPAN", kind)
        with recording() as recorded:
            execute(scenario)
        shapes.append(shape(recorded))
    if scenario.name in DIFFERENT_EACH_TIME or not scenario.ordered:
        shapes = [names_of(each) for each in shapes]
    assert shapes[0] == shapes[1]
