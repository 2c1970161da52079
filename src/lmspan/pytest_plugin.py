"""The pytest plugin: the fixture `lmspan_recording` records a test without further configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmspan.testing import Recorded


@pytest.fixture
def lmspan_recording() -> Iterator[Recorded]:
    """Record the program of this test; the value is a `lmspan.testing.Recorded`."""
    from lmspan.testing import recording  # noqa: PLC0415 - a test run without the fixture loads no SDK

    with recording() as recorded:
        yield recorded
