"""The name that DSPy's documentation of its callbacks imports, for where DSPy is not installed.

    from lmspan.callbacks.dspy import BaseCallback

A callback that derives from DSPy's own class is known as well. Where `dspy.configure(callbacks=...)` reaches only DSPy
programs, and loses what is set on one module when an optimizer copies it, a subscribed one hears all of them.
"""

from __future__ import annotations

from typing import Any

from lmspan.subscribers.dialects.dspy import DIALECT

__all__ = ["BaseCallback"]


class BaseCallback:
    """Base of callbacks as DSPy has them: `on_<what>_start(call_id, instance, inputs)`, `on_<what>_end(...)`."""


def _nothing(self: BaseCallback, *args: Any, **kwargs: Any) -> None:
    """Hear nothing."""


for _name in DIALECT.hooks:
    setattr(BaseCallback, _name, _nothing)
