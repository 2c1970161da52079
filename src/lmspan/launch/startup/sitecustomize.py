"""The start hook of `lmspan run`: Python imports it in every process that has this directory on PYTHONPATH.

The process may run any Python, also an old one or one without lmspan. Therefore the hook has few imports, uses old
syntax and never fails. It removes its directory from `sys.path` and imports the `sitecustomize` that it hides.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: UP004 - in Python 2 a class is an old one by default

import os
import sys

# A process that imports none of these has nothing to record. An import of lmspan in every child would add a fifth of a
# second to its start.
_LIBRARIES = (
    "lmspan",
    "dspy",
    "logillm",
    "llmproc",
    "openai",
    "anthropic",
    "google.genai",
    "botocore",
    "langchain_core",
    "llama_index.core",
    "agents",
    "smolagents",
)


def _start(first, quiet=True):
    try:
        from lmspan.launch import recording  # noqa: PLC0415 - loads lmspan only where it records

        recording.start(first=first, quiet=quiet)
    except Exception:  # noqa: BLE001, S110 - the process may have no lmspan, or a version without this module
        pass


class _WhenImported(object):
    """A finder of modules that starts the recording after the first import of a supported library."""

    def __init__(self):
        self.importing = 0

    def find_spec(self, name, path=None, target=None):
        """Find one of the libraries through the other finders, and watch its loader."""
        if name not in _LIBRARIES:
            return None
        others = (each for each in list(sys.meta_path) if each is not self and hasattr(each, "find_spec"))
        spec = next(filter(None, (each.find_spec(name, path, target) for each in others)), None)
        if spec is not None and hasattr(spec.loader, "__dict__"):
            self.watch(spec.loader)
        return spec

    def watch(self, loader):
        """Make the loader start the recording after it has executed the outermost of the libraries."""

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
        _start(first=True, quiet=first == "quiet")
    else:
        sys.meta_path.insert(0, _WhenImported())


def _hidden():
    """Import the `sitecustomize` that this one hides; if there is none, the import fails as it does without lmspan."""
    here = os.path.dirname(__file__)  # noqa: PTH120 - pathlib is slow to import
    sys.path.remove(here)
    sys.path_importer_cache.pop(here, None)
    __import__(__name__)


_this = sys.modules.pop(__name__)  # Python 2 clears a module without references
try:
    _hidden()
finally:
    _hook()
