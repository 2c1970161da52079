"""Locks that a signal handler may take again, and that are free in a forked child."""

import os
import signal
import threading

import pytest

from lmspan.locks import Lock

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def test_a_thread_that_holds_the_lock_takes_it_again():
    lock = Lock()
    with lock, lock:
        assert not taken_elsewhere(lock)
    assert taken_elsewhere(lock)


@forks
def test_a_lock_that_another_thread_holds_is_free_in_a_forked_child():
    lock, held, release = Lock(), threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            release.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(60)
    assert exit_code(lambda: taken_here(lock)) == 0
    release.set()
    holder.join()


@forks
def test_a_lock_that_the_forking_thread_holds_is_still_held_in_the_child():
    lock = Lock()
    with lock:
        assert exit_code(lambda: not taken_elsewhere(lock)) == 0


def taken_elsewhere(lock):
    """Whether another thread gets the lock soon."""
    taken = threading.Event()

    def take():
        with lock:
            taken.set()

    threading.Thread(target=take, daemon=True).start()
    return taken.wait(1)


def taken_here(lock):
    """Take the lock; a signal ends the process if that takes long. A new thread could have the id of a lost one."""
    signal.alarm(10)
    with lock:
        signal.alarm(0)
    return True


def exit_code(holds):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if holds() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
