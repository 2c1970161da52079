"""A lock for short sections that no signal handler, finaliser or forked child may wait for in vain."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

_locks: weakref.WeakSet[Lock] = weakref.WeakSet()


class Lock:
    """A reentrant lock; a forked child starts with a free one, unless the forking thread holds it."""

    def __init__(self) -> None:
        self._lock: Any = threading.RLock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _renew(self) -> None:
        if not self._lock._is_owned():  # noqa: SLF001 - `threading.Condition` relies on it
            self._lock = threading.RLock()


def _renew_all() -> None:
    for lock in list(_locks):
        lock._renew()  # noqa: SLF001 - a class of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
