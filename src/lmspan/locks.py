"""A lock for short sections that no signal handler, finaliser or forked child may wait for in vain."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Final

_locks: weakref.WeakSet[Lock] = weakref.WeakSet()
_RLOCK: Final[Any] = type(threading.RLock())


class Lock(_RLOCK):  # type: ignore[misc] # the class of Python's reentrant lock has no public name
    """A reentrant lock; a forked child starts with a free one, unless the forking thread holds it.

    `with` calls C code of the base class: an interrupt between a method in Python and the block would leave it locked.
    """

    def __init__(self) -> None:
        _locks.add(self)

    def _renew(self) -> None:
        if not self._is_owned():
            self._at_fork_reinit()  # the standard library's own locks do the same


def _renew_all() -> None:
    for lock in list(_locks):
        lock._renew()  # noqa: SLF001 - a class of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
