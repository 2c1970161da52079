"""Span and trace ids that are independent of the program's `random.seed`."""

from __future__ import annotations

import os
import random
import weakref

from opentelemetry.sdk.trace.id_generator import IdGenerator

_generators: weakref.WeakSet[UniqueIds] = weakref.WeakSet()


class UniqueIds(IdGenerator):
    """Random ids from lmspan's own stream, which the system seeds at the start and again in a forked child."""

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(32))  # noqa: S311 - ids must be unique, not secret
        _generators.add(self)

    def generate_span_id(self) -> int:
        """Return a new 64-bit id that is not 0."""
        return self._random.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        """Return a new 128-bit id that is not 0."""
        return self._random.getrandbits(128) or 1

    def is_trace_id_random(self) -> bool:
        """Return True, which sets the flag for random ids of W3C trace context level 2."""
        return True

    def reseed(self) -> None:
        """Start a new stream."""
        self._random.seed(os.urandom(32))


def _reseed_in_child() -> None:
    for generator in list(_generators):
        generator.reseed()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reseed_in_child)
