"""Instruction counts, by callgrind. It counts between two requests of the worker, on the calling thread alone.

A process under callgrind runs some fifty times slower while it is counted, and the counts of two runs differ by less
than 1 %. It needs `valgrind` with its header files, and a C compiler for the two requests.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CLIENT = """
#include <valgrind/callgrind.h>
void start(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void stop(void) { CALLGRIND_DUMP_STATS; CALLGRIND_STOP_INSTRUMENTATION; }
"""


def missing() -> str:
    """Return why instructions cannot be counted here, or nothing."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    return "" if shutil.which("cc") else "there is no C compiler"


def client(directory: Path) -> Path:
    """Compile the two requests into a library."""
    source, library = directory / "client.c", directory / "client.so"
    source.write_text(CLIENT)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
    return library


def command(directory: Path) -> list[str]:
    """Return the words before the worker's command; the counts are written into the directory."""
    return [
        "valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes", "--quiet",
        f"--callgrind-out-file={directory}/counts",
    ]  # fmt: skip


def instructions(directory: Path) -> int:
    """Return the instructions of the main thread in the newest counts, and remove them."""
    total = 0
    for path in directory.glob("counts.*"):
        found = re.search(r"^totals: (\d+)", path.read_text(errors="replace"), re.MULTILINE)
        if path.name.endswith("-01") and found:
            total = max(total, int(found[1]))
        path.unlink()
    return total
