"""Numbers of any type are the numbers that they are, in facts and in content."""

import decimal
import enum
import fractions
import json

import numpy as np
import pytest

import lmspan
from lmspan import semconv as sc
from lmspan.content.numbers import finite, plain_number
from lmspan.instrumentation.kit.facts import put
from lmspan.testing import recording

HALVES = [np.float16(0.5), np.float32(0.5), np.float64(0.5), np.longdouble(0.5), np.array(0.5), decimal.Decimal("0.5"),
          fractions.Fraction(1, 2), type("Own", (float,), {})(0.5)]  # fmt: skip
SEVENS = [np.int8(7), np.uint64(7), np.array(7), decimal.Decimal(7), enum.IntEnum("Seven", {"SEVEN": 7}).SEVEN,
          type("Own", (int,), {})(7)]  # fmt: skip


class Loud(float):
    def __float__(self):
        raise AssertionError("code of the program ran")

    __int__ = __eq__ = __sub__ = __lt__ = __repr__ = __float__
    __hash__ = None


@pytest.mark.parametrize("value", HALVES, ids=lambda value: type(value).__name__)
def test_a_fraction_of_any_type_is_a_float(value):
    assert (plain_number(value), type(plain_number(value)), finite(value)) == (0.5, float, 0.5)


@pytest.mark.parametrize("value", SEVENS, ids=lambda value: type(value).__name__)
def test_a_whole_number_of_any_type_is_an_int(value):
    assert (plain_number(value), type(plain_number(value)), finite(value)) == (7, int, 7.0)


@pytest.mark.parametrize(
    "value", ["7", None, [7], np.array([7]), np.complex64(1), np.datetime64("2026-01-01"), object()]
)
def test_other_values_are_no_numbers(value):
    assert plain_number(value) is None


@pytest.mark.parametrize("value", [float("nan"), np.float32("inf"), decimal.Decimal("NaN"), 10**400, "1"])
def test_a_value_without_a_finite_float_is_no_score(value):
    assert finite(value) is None


def test_no_code_of_the_program_runs():
    assert (plain_number(Loud(0.5)), finite(Loud(0.5)), finite(np.bool_(True))) == (0.5, 0.5, 1.0)


@pytest.mark.parametrize(
    ("value", "kind", "fact"),
    [
        (np.float32(0.5), float, 0.5), (np.int64(1), float, 1.0), (np.int64(7), int, 7), (7.0, int, 7),
        (np.float64(7), int, 7), (0.5, int, None), (True, int, None), (np.bool_(True), float, None),
        (2**63, int, None), ("7", int, None), (7, str, None),
    ],
)  # fmt: skip
def test_a_fact_is_set_where_the_number_fits_its_type(value, kind, fact):
    facts = {}
    put(facts, "name", value, kind)
    assert facts == ({} if fact is None else {"name": fact})
    assert all(type(each) is kind for each in facts.values())


def test_attributes_events_and_payloads_of_a_program_hold_numbers():
    with recording(instrument=()) as recorded:
        inputs = {"weight": np.float32(0.5), "count": np.int64(7), "share": fractions.Fraction(1, 2)}
        with lmspan.operation("tool", "t", inputs=inputs, attributes={"lmspan.x": np.float32(0.5)}):
            lmspan.add_event("seen", {"count": np.int64(7), "right": np.bool_(True)})
    assert json.loads(recorded.attributes("execute_tool t")[sc.TOOL_CALL_ARGUMENTS]) == {
        "weight": 0.5, "count": 7, "share": 0.5,
    }  # fmt: skip
    assert recorded.attributes("execute_tool t")["lmspan.x"] == 0.5
    assert recorded.events("execute_tool t") == [("lmspan.seen", {"lmspan.seen.count": 7, "lmspan.seen.right": True})]
