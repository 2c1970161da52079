"""Run a program in a process of its own: OpenTelemetry's global provider can be set only once in one."""

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import opentelemetry.context

import lmspan

TESTS = Path(__file__).parent.parent
LOGGED = "lmspan: "
STARTS_A_THREAD = next(name for name in ("_start_joinable_thread", "_start_new_thread") if hasattr(threading, name))
"""The function by which `threading.Thread.start` starts a thread of the system; Python 3.13 has renamed it."""
OURS = tuple(f"{Path(module.__file__).parent}{os.sep}" for module in (lmspan, opentelemetry.context))


def run_python(code, *arguments, environ=None):
    """Run code with the tests' support package importable; give the finished process with its text output."""
    return run([sys.executable, "-c", textwrap.dedent(code), *arguments], environ)


def run_lmspan(*arguments, environ=None):
    return run([sys.executable, "-m", "lmspan", *arguments], environ)


def lines_of_ours(stderr):
    """The lines that lmspan logged, and the lines that name a source file of lmspan or of OpenTelemetry's context.

    A path that only contains the word "lmspan" is not ours: the checkout or the environment can have that name.
    """
    return [line for line in stderr.splitlines() if any(mark in line for mark in (LOGGED, *OURS))]


def run(command, environ=None, timeout=60, input=None):  # noqa: A002 - as subprocess calls it
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
        **(environ or {}),
    }
    return subprocess.run(
        command, env=env, input=input, capture_output=True, text=True, errors="replace", timeout=timeout, check=False
    )


ASK = """
import dspy
from support.programs import fields, model, serving
def ask(question="what is the secret question?"):
    with serving(fields(answer="a secret answer")) as server, dspy.context(lm=model(server)):
        return dspy.Predict("question -> answer")(question=question).answer
"""


def start_day(directory, part="day"):
    """Start a part of `support.day`, which stores its traces in a directory."""
    environ = {**os.environ, "LMSPAN_DIR": str(directory), "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-m", "support.day", part]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
