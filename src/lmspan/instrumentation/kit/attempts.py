"""The attempts of one LM call: each that failed is an event on it, whoever tried again.

`attempts` in a call's notes numbers the current one; `failed` is how it failed, until another follows.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from lmspan import semconv as sc
from lmspan.content.payload import qualified_name
from lmspan.guard import guarded
from lmspan.instrumentation.kit.facts import put
from lmspan.lifecycle import Event
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import Call
    from lmspan.patching import Patches
    from lmspan.recording.recorder import Recorder


@guarded
def retrying(call: Call | None, error_type: str, delay: Any = None) -> None:
    """Tell that the current attempt has failed and another follows."""
    if call is None:
        return
    attempt = call.notes.get("attempts", 1)
    facts: dict[str, Any] = {sc.RETRY_ATTEMPT: attempt, sc.ERROR_TYPE: error_type}
    put(facts, sc.RETRY_DELAY, delay, float)
    recording.active.add_event(call, Event.RETRY, facts)
    call.notes["attempts"] = attempt + 1
    call.notes.pop("failed", None)


def count(call: Call) -> None:
    """Put the number of attempts on a call that is about to end, if there was more than one."""
    attempts = call.notes.get("attempts", 1)
    if attempts > 1:
        call.found[sc.ATTEMPT_COUNT] = attempts


def last_failed(recorder: Recorder, call: Call) -> None:
    """Tell of the last attempt of a call that failed for good, when it was not the only one."""
    if sc.ATTEMPT_COUNT in call.found and "failed" in call.notes:
        facts = {sc.RETRY_ATTEMPT: call.found[sc.ATTEMPT_COUNT], sc.ERROR_TYPE: call.notes["failed"]}
        recorder.add_event(call, Event.RETRY, facts)


def patch_client(patches: Patches, package: str, current: Callable[[], Call | None]) -> None:
    """Count the attempts that a client of OpenAI's or Anthropic's making makes: it sleeps after each that failed.

    `current` returns the LM call that they belong to, if there is one of the source's own.
    """

    def sleep(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        retrying(current(), _failure(kwargs.get("response")) or "_OTHER")
        return wrapped(*args, **kwargs)

    @guarded
    def patch(client: Any) -> None:
        for name in ("SyncAPIClient", "AsyncAPIClient"):
            patches.wrap(getattr(client, name), "_sleep_for_retry", sleep)

    patches.when_imported(f"{package}._base_client", patch)


@guarded
def _failure(response: Any) -> str:
    """Return how an attempt failed: the status that was answered, else what the client has just caught."""
    status = getattr(response, "status_code", None)
    caught = sys.exc_info()[1]
    if type(status) is int:
        return str(status)
    return qualified_name(type(caught)) if caught is not None else "_OTHER"
