"""Tools in the conventions' shape, whichever provider's API they were written for."""

import pytest

from lmspan.content.messages import tool_definitions

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "name": "weather", "description": "Look it up.", "parameters": PARAMETERS}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {
                "type": "function",
                "function": {"name": "weather", "description": "Look it up.", "parameters": PARAMETERS},
            },
            WEATHER,
        ),
        ({"name": "weather", "description": "Look it up.", "input_schema": PARAMETERS}, WEATHER),
        (WEATHER, WEATHER),
        ({"name": "search", "type": "web_search_20250305"}, {"name": "search", "type": "web_search_20250305"}),
        ({"google_search": {}}, {"google_search": {}}),
        ("weather", "weather"),
    ],
)
def test_a_tool_is_told_in_one_shape(given, told):
    before = repr(given)
    assert tool_definitions([given]) == [told]
    assert repr(given) == before


def test_what_is_no_list_is_told_as_it_is():
    given = {"tools": []}
    assert tool_definitions(given) is given
