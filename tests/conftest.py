"""Shared by all tests: no state of this machine's user is read or written."""

import os
import tempfile

import pytest

os.environ["DSPY_CACHEDIR"] = tempfile.mkdtemp(prefix="lmspan-tests-dspy-")  # read when DSPy is imported

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"  # no network for prices
for name in [name for name in os.environ if name.startswith(("OTEL_", "LMSPAN_"))]:
    if not name.startswith(("LMSPAN_E2E", "LMSPAN_PHOENIX", "LMSPAN_MLFLOW")):  # where the real programs are
        del os.environ[name]


@pytest.fixture(autouse=True)
def _own_state_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("LMSPAN_DIR", str(tmp_path / "traces"))
