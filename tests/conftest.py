"""Shared by all tests: no state of this machine's user is read or written."""

import logging
import os
import tempfile

import pytest

os.environ["DSPY_CACHEDIR"] = tempfile.mkdtemp(prefix="lmspan-tests-dspy-")  # read when DSPy is imported

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"  # no network for prices
for name in [name for name in os.environ if name.startswith(("OTEL_", "LMSPAN_"))]:
    value = os.environ.pop(name)
    # where the real programs are, and what a test writes
    if name.startswith(("LMSPAN_DISTRIBUTED", "LMSPAN_E2E", "LMSPAN_PHOENIX", "LMSPAN_MLFLOW", "LMSPAN_WRITE")):
        os.environ[f"TEST_{name}"] = value  # init() warns of names that begin with LMSPAN_ and are not its own


@pytest.fixture(autouse=True)
def _own_state_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("LMSPAN_DIR", str(tmp_path / "traces"))


@pytest.fixture(autouse=True)
def _a_subscription_starts_no_session():
    """Tests record with `recording()` or `init()`; the test of a program without `init()` runs another process."""
    from lmspan.subscribers import subscriptions  # noqa: PLC0415 - it reads the environment, which is clean by now

    subscriptions.before_each(None)


@pytest.fixture(autouse=True)
def _no_price_list(request, monkeypatch):
    """Facts do not depend on an extra that is installed or not; the tests of prices ask for the list."""
    from lmspan.recording import prices  # noqa: PLC0415 - the same

    if "price_list" not in request.fixturenames:
        monkeypatch.setattr(prices, "_library", lambda: None)


class Complaints(logging.Handler):
    """What the SDK says of how its spans are used: ended twice, or written to after their end."""

    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


@pytest.fixture(autouse=True)
def _the_sdk_has_nothing_to_complain_of():
    complaints, logger = Complaints(), logging.getLogger("opentelemetry.sdk.trace")
    logger.addHandler(complaints)
    yield
    logger.removeHandler(complaints)
    assert complaints.messages == []
