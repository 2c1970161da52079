"""`assert_conventions()` refuses spans that differ from the form of their operation."""

import pytest

import lmspan
from lmspan.testing import recording


@pytest.mark.parametrize(
    ("kind", "attributes", "mistake"),
    [
        ("example", {"gen_ai.tool.name": "t"}, "example: gen_ai.tool.name on an operation of our own"),
        ("evaluate", {"gen_ai.evaluation.name": "m"}, "evaluate: gen_ai.evaluation.name on an operation of our own"),
        ("tool", {"lmspan.unheard": 1}, "execute_tool: lmspan.unheard is in no table"),
    ],
)  # fmt: skip
def test_a_name_that_does_not_belong_to_the_operation_is_a_mistake(kind, attributes, mistake):
    with recording(instrument=()) as recorded, lmspan.operation(kind, attributes=attributes):
        pass
    with pytest.raises(AssertionError) as failure:
        recorded.assert_conventions()
    assert str(failure.value) == mistake


def test_every_operation_follows_the_conventions_by_itself():
    with recording(instrument=()) as recorded:
        for kind in lmspan.Operation:
            with lmspan.operation(kind, "x"):
                pass
    recorded.assert_conventions()
