"""Tools of each provider's API have the form of the conventions."""

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
def test_the_tools_of_all_apis_have_one_form(given, told):
    before = repr(given)
    assert tool_definitions([given]) == [told]
    assert repr(given) == before


def test_tools_that_are_no_list_stay_unchanged():
    given = {"tools": []}
    assert tool_definitions(given) is given
