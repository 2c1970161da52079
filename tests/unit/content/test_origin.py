"""The place in the program's own code that an exception comes from."""

import json
import os
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lmspan import semconv as sc
from lmspan.content import origin as origins
from lmspan.content.origin import origin
from support.processes import run_python

HERE = str(Path(__file__))


def caught(function, *args):
    try:
        function(*args)
    except Exception as error:  # noqa: BLE001 - each test raises another
        return origin(error)
    raise AssertionError("nothing was raised")


def fails():
    raise LookupError  # the line of the test


def parses():
    return json.loads("{")


def line_of(function, offset=1):
    return function.__code__.co_firstlineno + offset


@pytest.mark.parametrize("function", [fails, parses])
def test_it_is_the_innermost_frame_that_is_not_of_a_library(function):
    assert caught(function) == {
        sc.CODE_FILE_PATH: HERE,
        sc.CODE_LINE_NUMBER: line_of(function),
        sc.CODE_FUNCTION_NAME: f"{__name__}.{function.__name__}",
    }


def test_a_method_has_its_class_and_a_closure_its_function():
    class Shop:
        def sell(self):
            fails_here()

    def fails_here():
        raise LookupError

    names = {caught(each)[sc.CODE_FUNCTION_NAME] for each in (Shop().sell, lambda: int("tea"))}
    outer = f"{__name__}.test_a_method_has_its_class_and_a_closure_its_function.<locals>"
    assert names == {f"{outer}.fails_here", f"{outer}.<lambda>"}


def test_an_exception_that_has_only_passed_a_library_comes_from_where_the_program_calls_it():
    def called():
        error = LookupError()
        assert error.__traceback__ is None
        return origin(error)

    assert called() == {
        sc.CODE_FILE_PATH: HERE,
        sc.CODE_LINE_NUMBER: line_of(called, 3),
        sc.CODE_FUNCTION_NAME: f"{__name__}.{called.__qualname__}",
    }


@pytest.mark.parametrize("place", ["site-packages", "dist-packages", "stdlib", "lmspan", "generated"])
def test_code_of_libraries_is_not_the_programs(place, tmp_path):
    directory = {"stdlib": Path(os.__file__).parent, "lmspan": Path(origins.__file__).parent}.get(
        place, tmp_path / place
    )
    filename = "<attrs generated init>" if place == "generated" else str(directory / "library.py")
    library = types.ModuleType("library")
    exec(compile("def fails():\n    raise LookupError", filename, "exec"), library.__dict__)  # noqa: S102 - a library
    assert caught(library.fails)[sc.CODE_FUNCTION_NAME] == f"{__name__}.caught"


def test_a_thread_of_a_library_has_no_frame_of_the_program():
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(origin, LookupError()).result() == {}


def test_a_recursion_is_no_problem():
    def again():
        again()

    assert caught(again)[sc.CODE_FUNCTION_NAME] == f"{__name__}.{again.__qualname__}"


def test_the_main_program_is_the_programs_wherever_it_is():
    done = run_python(
        """
        from lmspan.content.origin import origin
        def fails():
            {}["tea"]
        try:
            fails()
        except KeyError as error:
            print(*origin(error).values())
        """
    )
    assert (done.stdout, done.stderr) == ("<string> 4 __main__.fails\n", "")


def test_no_code_of_the_error_runs():
    class Strange(Exception):
        @property
        def __traceback__(self):
            raise AssertionError("it ran")

    def fails_strangely():
        raise Strange

    assert caught(fails_strangely)[sc.CODE_LINE_NUMBER] == line_of(fails_strangely)
    assert threading.current_thread() is threading.main_thread()
    assert sys.exc_info() == (None, None, None)
