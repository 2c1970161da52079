"""Arguments by place and by name."""

import pytest

from lmspan.instrumentation.kit.arguments import argument, by_name, keywords


@pytest.mark.parametrize(
    ("args", "kwargs", "value"),
    [
        ((), {}, None),
        (("zero", "one"), {}, "one"),
        (("zero",), {"example": "one"}, "one"),
        ((), {"item": "one"}, "one"),
        ((), {"example": None, "item": "other"}, None),
        (("zero",), {"another": "one"}, None),
    ],
)
def test_an_argument_is_at_its_place_or_under_one_of_its_names(args, kwargs, value):
    assert argument(args, kwargs, 1, "example", "item") == value


def test_arguments_by_name_are_those_that_are_passed():
    assert by_name((1,), {"metric": 2, "other": 3}, "program", "metric", "devset") == {
        "program": 1,
        "metric": 2,
        "other": 3,
    }


@pytest.mark.parametrize(
    ("args", "kwargs", "named"),
    [
        ((), {}, {}),
        ((), {"a": 1}, {"a": 1}),
        ((1, 2), {}, {"args": (1, 2)}),
        ((1,), {"a": 2, "args": "of the caller"}, {"a": 2, "args": (1,)}),
    ],
)
def test_positional_arguments_without_names_stand_together(args, kwargs, named):
    assert keywords(args, kwargs) == named
