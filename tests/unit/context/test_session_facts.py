"""The session and the user that the program has put into its baggage."""

import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context

from lmspan import semconv as sc
from lmspan.context.current import session_facts


@pytest.mark.parametrize(
    ("entries", "facts"),
    [
        ({}, {}),
        ({sc.SESSION_ID: "s", sc.USER_ID: "u"}, {sc.SESSION_ID: "s", sc.USER_ID: "u"}),
        ({sc.SESSION_ID: "s", "other": "o"}, {sc.SESSION_ID: "s"}),
        ({sc.SESSION_ID: 7, sc.USER_ID: "u"}, {sc.USER_ID: "u"}),
    ],
)
def test_the_facts_of_a_session_are_the_texts_of_its_two_names_in_this_context(entries, facts):
    context = otel_context.Context()
    for name, value in entries.items():
        context = baggage.set_baggage(name, value, context)
    assert session_facts(context) == facts
