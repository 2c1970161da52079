"""Threads that do not keep a program alive, and that the system may refuse."""

import threading

from lmspan import threads


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
