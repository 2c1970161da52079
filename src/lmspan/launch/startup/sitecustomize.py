"""The start hook of `lmspan run`: Python imports it in every process that has this directory on PYTHONPATH.

That can be any Python, also one without lmspan or an old one: hence few imports, old syntax, and no failure of ours.
The directory leaves `sys.path`, and the `sitecustomize` that it hides is imported in its place.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: UP004 - in Python 2 a class is an old one by default

import os
import sys

# A process in which none of these is imported can record nothing. Importing lmspan in all of them would cost each
# child a fifth of a second at its start.
_LIBRARIES = ("lmspan", "dspy", "logillm", "llmproc")


def _start(first):
    try:
        from lmspan.launch import recording  # noqa: PLC0415

        recording.start(first=first)
    except Exception:  # noqa: BLE001, S110 - another environment has no lmspan, or one that has no such module
        pass


class _WhenImported(object):
    """A finder that finds nothing itself; this process is recorded once a library of ours has been imported."""

    def __init__(self):
        self.importing = 0

    def find_spec(self, name, path=None, target=None):
        """Find one of the libraries by means of the other finders, and be called when it has been executed."""
        if name not in _LIBRARIES:
            return None
        others = (each for each in list(sys.meta_path) if each is not self and hasattr(each, "find_spec"))
        spec = next(filter(None, (each.find_spec(name, path, target) for each in others)), None)
        if spec is not None and hasattr(spec.loader, "__dict__"):
            self.watch(spec.loader)
        return spec

    def watch(self, loader):
        """Execute the module as the loader does; the outermost of our libraries starts the recording afterwards."""

        def exec_module(module):
            del loader.exec_module
            self.importing += 1
            try:
                loader.exec_module(module)
            finally:
                self.importing -= 1
            if not self.importing and self in sys.meta_path:
                sys.meta_path.remove(self)
                _start(first=False)

        loader.exec_module = exec_module


def _hook():
    first = os.environ.pop("LMSPAN_RUN_FIRST", None)
    if sys.version_info < (3, 11) or "LMSPAN_RUN" not in os.environ:
        return
    if first:
        _start(first=True)
    else:
        sys.meta_path.insert(0, _WhenImported())


def _hidden():
    """Import the `sitecustomize` that this one hides. Without one, this import fails as it would anyway."""
    here = os.path.dirname(__file__)  # noqa: PTH120 - pathlib is slow to import
    sys.path.remove(here)
    sys.path_importer_cache.pop(here, None)
    __import__(__name__)


_this = sys.modules.pop(__name__)  # kept, since Python 2 clears a module that nothing refers to
try:
    _hidden()
finally:
    _hook()
