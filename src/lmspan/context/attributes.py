"""Attributes of a session: `with lmspan.attributes(session_id=...)` puts them on every span below it.

They are in the OpenTelemetry context under a key of their own, and not in its baggage, because instrumentations of HTTP
clients send baggage to every server that the program asks. lmspan carries them into threads, tasks and processes.
"""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context

from lmspan import semconv as sc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.context import Context

ATTRIBUTES: Final = "lmspan-attributes"
"""The key under which a context holds the attributes."""

HEADER: Final = "lmspan_attributes"
"""The name under which they go to another process, as JSON."""


@contextmanager
def attributes(
    *,
    session_id: str | None = None,
    user_id: str | None = None,
    conversation_id: str | None = None,
    tags: Sequence[str] = (),
) -> Iterator[None]:
    """Put attributes on every span of lmspan that starts under the `with`, also in threads, tasks and processes.

    `session_id` is `session.id` and `user_id` is `user.id`; `conversation_id` is `gen_ai.conversation.id`, on GenAI
    operations; `tags` are `lmspan.tags`. Ids may also be ints and UUIDs. Inside another `attributes()`, ids replace
    those around, and tags add to them. Never raises an exception of its own.
    """
    ids = {sc.SESSION_ID: session_id, sc.USER_ID: user_id, sc.CONVERSATION_ID: conversation_id}
    texts = {name: text for name, value in ids.items() if (text := _text(value))}
    before: Any = otel_context.get_current().get(ATTRIBUTES)
    around: dict[str, Any] = before or {}
    added = {**around, **texts}
    labels = [*around.get(sc.TAGS, ()), *_labels(tags)]
    if labels:
        added[sc.TAGS] = list(dict.fromkeys(labels))
    _set(added)
    try:
        yield
    finally:
        _set(before)


def _set(entries: Mapping[str, Any] | None) -> None:
    """Change the attributes of the current context, and leave its other entries as the program has set them since."""
    current = {name: value for name, value in otel_context.get_current().items() if name != ATTRIBUTES}
    otel_context.attach(otel_context.Context({**current, ATTRIBUTES: entries} if entries else current))


def _text(value: Any) -> str:
    if issubclass(type(value), str):
        return str.__str__(value)
    return str(value) if type(value) in (int, uuid.UUID) else ""


def _labels(tags: Any) -> list[str]:
    values = [tags] if type(tags) is str else tags if type(tags) in (list, tuple, set, frozenset) else ()
    return [text for each in values if (text := _text(each))]


def inject(carrier: dict[str, str]) -> None:
    """Add the attributes of the current context to what goes to another process."""
    entries = otel_context.get_current().get(ATTRIBUTES)
    if entries:
        carrier[HEADER] = json.dumps(entries)


def extract(carrier: Mapping[str, str], context: Context) -> Context:
    """Return a context with the attributes that another process has sent; the same one if they are malformed."""
    try:
        entries = json.loads(carrier.get(HEADER) or "{}")
    except ValueError:
        return context
    known = {name: _text(entries.get(name)) for name in _IDS} if type(entries) is dict else {}
    found: dict[str, Any] = {name: value for name, value in known.items() if value}
    if known and (labels := _labels(entries.get(sc.TAGS))):
        found[sc.TAGS] = labels
    return otel_context.Context({**context, ATTRIBUTES: found}) if found else context


_IDS: Final = (sc.SESSION_ID, sc.USER_ID, sc.CONVERSATION_ID)
