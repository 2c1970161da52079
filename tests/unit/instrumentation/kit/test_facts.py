"""What sources read from the program's objects, without running their code."""

from lmspan.instrumentation.kit.facts import cells, stored


class Loud:
    """An object whose code says that it ran."""

    def __init__(self):
        object.__setattr__(self, "name", "quiet")

    def __getattribute__(self, name):
        raise AssertionError(name)


class Slots:
    __slots__ = ("name",)


class Hidden:
    __dict__ = property(lambda self: "not a dict")


def test_stored_attributes_are_read_without_the_code_of_the_object():
    assert stored(Loud()) == {"name": "quiet"}


def test_what_stores_nothing_that_can_be_read_has_no_attributes():
    assert [stored(value) for value in (Slots(), Hidden(), 1, None, "text")] == [{}] * 5


def test_stored_attributes_are_the_objects_own_dict():
    made = type("Made", (), {})()
    fields = stored(made)
    made.later = 1
    assert fields == {"later": 1}


def test_the_cells_of_a_function_are_known_by_the_name_of_the_variable():
    def outer(metric):
        return lambda: metric

    assert {name: cell.cell_contents for name, cell in cells(outer("exact")).items()} == {"metric": "exact"}
    assert cells(test_the_cells_of_a_function_are_known_by_the_name_of_the_variable) == {}
