"""The names of all attributes, events and metrics that lmspan emits: `from lmspan import semconv as sc`.

`gen_ai.*` names follow the OpenTelemetry GenAI conventions (status: Development) as of October 2026; lmspan's own names
are under `lmspan.*` and never under another's namespace. Each constant is a plain `str`. Its definition enters its
meaning into `ATTRIBUTES`, `EVENTS` or `METRICS`, which the tests and the reference page read.
"""

from __future__ import annotations

from typing import Final

from lmspan.semconv.client import *
from lmspan.semconv.content import *
from lmspan.semconv.events import *
from lmspan.semconv.metrics import *
from lmspan.semconv.naming import *
from lmspan.semconv.naming import ATTRIBUTES
from lmspan.semconv.official import *
from lmspan.semconv.openinference import *
from lmspan.semconv.others import *
from lmspan.semconv.program import *

CONTENT: Final = frozenset(name for name, meaning in ATTRIBUTES.items() if meaning.content)
"""The names of content: a span carries them only if content may leave this machine."""
