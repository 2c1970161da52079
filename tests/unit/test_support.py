"""The tests' own support: which lines of a program's stderr are ours, and programs that lose their port."""

import inspect

import pytest
from opentelemetry import context

import lmspan
from support.processes import lines_of_ours

STRANGERS = [
    'File "/home/lmspan/.venv/lib/python3.11/site-packages/dspy/streaming/streamify.py", line 225',
    "/srv/src/lmspan/opentelemetry/other.py:1: UserWarning",
    "ModuleNotFoundError: No module named 'weather'",
]
OURS = [
    "lmspan: otlp: spans are being lost",
    "WARNING:lmspan.export:lmspan: otlp: spans are being lost",
    f'  File "{inspect.getfile(lmspan.tool.__class__)}", line 3, in wrapper',
    f"{inspect.getfile(context)}:12: DeprecationWarning",
]


@pytest.mark.parametrize("line", STRANGERS)
def test_a_path_with_the_name_is_not_ours(line):
    assert lines_of_ours(f"{line}\n") == []


def test_what_we_log_and_frames_in_our_files_are_ours():
    assert lines_of_ours("\n".join([*STRANGERS, *OURS])) == OURS
