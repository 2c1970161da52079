"""Threads that do not keep a program alive, and that the system may refuse."""

import itertools
import threading

import pytest

from lmspan import threads
from support.processes import STARTS_A_THREAD


def test_a_thread_runs_beside_the_program_and_does_not_keep_it_alive():
    seen = []
    thread = threads.start("test", lambda: seen.append(threading.current_thread()))
    thread.join(30)
    assert seen == [thread]
    assert (thread.name, thread.daemon) == ("lmspan-test", True)


def test_a_thread_that_is_refused_is_none_and_does_not_run(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    seen = []
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert threads.start("test", lambda: seen.append(1)) is None
    assert seen == []


def test_a_thread_lets_the_program_continue_after_each_slice_of_time(monkeypatch):
    """The clock reads 0.2 ms more each time; a slice has 0.5 ms."""
    steps, ticks = [], itertools.count(0, 0.0002)
    monkeypatch.setattr(threads.time, "perf_counter", lambda: next(ticks))
    monkeypatch.setattr(threads.time, "sleep", steps.append)
    steps.extend(threads.in_slices("abcdefg"))
    assert steps == ["a", "b", "c", 0, "d", "e", "f", 0, "g"]


class Timeout(Exception):
    """What a signal handler of the program raises."""


def test_what_a_signal_handler_raises_while_a_thread_starts_reaches_the_program(monkeypatch):
    """CPython's clean-up fails then, with a KeyError."""
    start, ran = getattr(threading, STARTS_A_THREAD), threading.Event()

    def interrupted(*arguments, **options):
        start(*arguments, **options)
        assert ran.wait(30)
        raise Timeout

    monkeypatch.setattr(threading, STARTS_A_THREAD, interrupted)
    with pytest.raises(Timeout):
        threads.start("test", ran.set)
