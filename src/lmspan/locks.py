"""A lock for short sections that no signal handler, finaliser or forked child may wait for in vain."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import _RLock
else:
    _RLock = type(threading.RLock())  # it has no public name

_locks: weakref.WeakSet[Lock] = weakref.WeakSet()


class Lock(_RLock):  # type: ignore[misc] # it is final in the stubs only
    """A reentrant lock; a forked child starts with a free one, unless the forking thread holds it.

    `with` calls C code of the base class: an interrupt between a method in Python and the block would leave it locked.
    """

    def __init__(self) -> None:
        _locks.add(self)

    def _renew(self) -> None:
        if not self._is_owned():  # type: ignore[attr-defined] # `threading.Condition` relies on it
            self._at_fork_reinit()  # type: ignore[attr-defined] # the standard library's own locks do the same


def _renew_all() -> None:
    for lock in list(_locks):
        lock._renew()  # noqa: SLF001 - a class of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
