"""Where traces are stored, and the names of the files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Mapping

CURRENT_NAME: Final = "traces.jsonl"
"""The file that programs append to; a full one is renamed to `traces-...jsonl`."""


def trace_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory of the traces: `LMSPAN_DIR`, else one where the platform keeps the state of programs."""
    configured = environ.get("LMSPAN_DIR")
    return Path(configured).expanduser() if configured else own_directory()


def own_directory() -> Path:
    """Return the directory that belongs to lmspan, where `LMSPAN_DIR` is not set."""
    return Path(platformdirs.user_state_dir("lmspan", appauthor=False)) / "traces"
