"""The environments of the other packages: virtual environments in the user's cache directory, made on demand.

Each has the DSPy of this environment, and the newest release of its package.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

PEERS = {
    # environment: (the package whose version the table states, what is installed beside DSPy)
    "openinference": ("openinference-instrumentation-dspy", ("opentelemetry-sdk",)),
    "genai-dspy": ("opentelemetry-instrumentation-genai-dspy", ("opentelemetry-sdk",)),
    "logfire": ("logfire", ("logfire[dspy]",)),
    "langfuse": ("langfuse", ("openinference-instrumentation-dspy",)),
    "mlflow": ("mlflow", ()),
}


def directory() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "lmspan" / "benchmarks"


def python(peer: str) -> str:
    """Return the interpreter of a peer's environment, or of this one."""
    return str(directory() / peer / "bin" / "python") if peer else sys.executable


def make(peer: str) -> str:
    """Make the environment of a peer anew; return why it cannot be, or nothing."""
    package, others = PEERS[peer]
    place = directory() / peer
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
    wanted = [f"dspy=={version('dspy')}", package, *others]
    done = subprocess.run(
        [python(peer), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted],
        stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    (place / "reason").write_text(
        reason := (done.stderr.strip() or "pip fails").splitlines()[-1] if done.returncode else ""
    )
    return reason


def missing(peer: str) -> str:
    """Return why a peer cannot run, or nothing."""
    if not peer:
        return ""
    if not Path(python(peer)).exists():
        return "no environment: `python -m benchmarks --peers` makes it"
    reason = directory() / peer / "reason"
    return reason.read_text() if reason.exists() else ""


@cache
def release(peer: str) -> str:
    """Return the version of the peer's package."""
    if not peer:
        return ""
    code = f"from importlib.metadata import version; print(version({PEERS[peer][0]!r}))"
    return subprocess.run([python(peer), "-c", code], capture_output=True, text=True, check=False).stdout.strip()
