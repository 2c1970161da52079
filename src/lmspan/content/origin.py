"""Where in the program's own code an exception comes from: not in the standard library, a package or lmspan."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_PACKAGES: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_LIBRARIES: Final = tuple(
    f"{directory}{os.sep}"
    for directory in (
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("platstdlib"),
        Path(traceback.__file__).parent,
        Path(__file__).parent.parent,
    )
)
_MOST_FRAMES: Final = 1_000
_traceback: Final = BaseException.__dict__["__traceback__"]


def origin(error: BaseException) -> dict[str, Any]:
    """Return file, line and function of the innermost frame of the program that the exception has passed.

    If it has only passed frames of libraries so far, the frame of the program that called them on this thread.
    """
    frame, line = next(_own(_frames(error)), (None, 0))
    if frame is None:
        return {}
    code = frame.f_code
    module = dict.get(frame.f_globals, "__name__")
    function = f"{module}.{code.co_qualname}" if type(module) is str else code.co_qualname
    return {sc.CODE_FILE_PATH: code.co_filename, sc.CODE_LINE_NUMBER: line, sc.CODE_FUNCTION_NAME: function}


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """Yield frames with their lines: those of the traceback, the innermost first, then those of the running stack."""
    passed = list(traceback.walk_tb(_traceback.__get__(error)))
    yield from reversed(passed)
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - the documented way to a frame
    for _ in range(_MOST_FRAMES):
        if frame is None:
            return
        yield frame, frame.f_lineno
        frame = frame.f_back


def _own(frames: Iterator[tuple[FrameType, int]]) -> Iterator[tuple[FrameType, int]]:
    for frame, line in frames:
        if dict.get(frame.f_globals, "__name__") == "__main__" or _is_own(frame.f_code.co_filename):
            yield frame, line


@functools.lru_cache(maxsize=4_096)
def _is_own(filename: str) -> bool:
    """Return whether a file is the program's: generated code has a name in angle brackets."""
    if filename.startswith("<"):
        return filename.startswith("<ipython-input")
    return not filename.startswith(_LIBRARIES) and not any(part in filename for part in _PACKAGES)
