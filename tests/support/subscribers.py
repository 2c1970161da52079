"""Callbacks that note what they hear, and a program for them that needs no library."""

import lmspan
from lmspan.testing import recording


def ask():
    """Record one LM call in a module, as a program of any library makes it."""
    with recording(instrument=()) as recorded, lmspan.operation("module", "Predict"), lmspan.operation("lm", "m"):
        pass
    return recorded


def listener(heard, name, **attributes):
    class Listener:
        def on_lm_start(self, call_id, instance, inputs):
            heard.append(name)

    made = Listener()
    vars(made).update(attributes)
    return made
