"""Shared by the tests of subscribers: no subscription outlives its test."""

import pytest

import lmspan


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    lmspan.unsubscribe_all()
