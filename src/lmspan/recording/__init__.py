"""The recorder, and what it counts: the only wing that starts, annotates or ends spans.

Until `init()`, and after the session's end, the recorder of `default` is active.
"""

from lmspan.recording import default, recorder

recorder.install(default.recorder())
