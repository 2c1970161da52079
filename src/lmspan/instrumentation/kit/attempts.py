"""The attempts of one LM call: each attempt that fails is an event on the call, at whatever level it is repeated.

The source keeps an `LMKept` on the call. It numbers the current attempt and holds how that has failed, until the next
attempt starts.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from lmspan import semconv as sc
from lmspan.content.payload import qualified_name
from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.kit.facts import put
from lmspan.instrumentation.kit.kept import LMKept, kept
from lmspan.lifecycle import Event, Operation
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.patching import Patches
    from lmspan.recording.recorder import Recorder


def current_lm_call(*sources: str) -> LiveCall | None:
    """Return the current call if it is an LM call of one of these sources."""
    call = current_call()
    own = call is not None and call.operation is Operation.LM and call.source in sources and call.observed
    return call if own else None


@guarded
def retrying(call: LiveCall | None, error_type: str, delay_s: Any = None) -> None:
    """Record that the current attempt has failed and the next one follows."""
    own = kept(call, LMKept)
    if call is None or own is None:
        return
    facts: dict[str, Any] = {sc.RETRY_ATTEMPT: own.attempts, sc.ERROR_TYPE: error_type}
    put(facts, sc.RETRY_DELAY, delay_s, float)
    call.attempt_error = call.attempt_error or sys.exc_info()[1]
    recording.active.add_event(call, Event.RETRY, facts)
    own.attempts += 1
    own.failed = call.attempt_error = None


@guarded
def note_failure(call: LiveCall | None, error: BaseException | None) -> None:
    """Keep how the current attempt has failed."""
    own = kept(call, LMKept)
    if call is not None and own is not None:
        own.failed = qualified_name(type(error))
        call.attempt_error = error


def try_again(call: LiveCall | None, delay_s: float | None = None) -> None:
    """Record the attempt that has failed, if one has, before the next attempt starts."""
    own = kept(call, LMKept)
    if own is not None and own.failed is not None:
        retrying(call, own.failed, delay_s)


def count(call: LiveCall) -> None:
    """Put the number of attempts on a call that is about to end, if there was more than one."""
    own = kept(call, LMKept)
    attempts = max(own.attempts, _requests(own)) if own is not None else 1
    if attempts > 1:
        call.late_facts[sc.ATTEMPT_COUNT] = attempts


def _requests(own: LMKept) -> int:
    """Return how many requests one answer needed, where answers are seen: a client may repeat requests by itself."""
    unanswered = sum(not each.answer.facts for each in own.exchanges)
    return unanswered + 1 if unanswered < len(own.exchanges) else 1


def last_failed(recorder: Recorder, call: LiveCall, error_type: str | None = None) -> None:
    """Record the last attempt of a call that has failed, when it was not the only attempt.

    With the `error_type` of the call, an only attempt is recorded too if it has failed with another error.
    """
    own = kept(call, LMKept)
    call.attempt_error = None
    if own is None or own.failed is None:
        return
    if own.attempts > 1 or error_type not in (None, own.failed):
        recorder.add_event(call, Event.RETRY, {sc.RETRY_ATTEMPT: own.attempts, sc.ERROR_TYPE: own.failed})


def patch_client(patches: Patches, package: str, *sources: str) -> None:
    """Count the attempts of a client that OpenAI or Anthropic publish: it sleeps after each attempt that failed.

    They belong to the current LM call, if that is one of the sources.
    """

    def sleep(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        retrying(current_lm_call(*sources), _failure(kwargs.get("response")) or "_OTHER")
        return wrapped(*args, **kwargs)

    @guarded
    def patch(client: Any) -> None:
        for name in ("SyncAPIClient", "AsyncAPIClient"):
            patches.wrap(getattr(client, name), "_sleep_for_retry", sleep)

    patches.when_imported(f"{package}._base_client", patch)


@guarded
def _failure(response: Any) -> str:
    """Return how an attempt has failed: the status of the response, else the exception that the client handles now."""
    status = getattr(response, "status_code", None)
    caught = sys.exc_info()[1]
    if type(status) is int:
        return str(status)
    return qualified_name(type(caught)) if caught is not None else "_OTHER"


@guarded
def note_first_chunk(call: LiveCall | None) -> None:
    """Record the time to the first event of a stream, whatever it holds; later events have no effect."""
    if call is not None and sc.RESPONSE_TIME_TO_FIRST_CHUNK not in call.late_facts:
        first = (recording.active.clock() - call.start_time_unix_nano) / 1e9
        call.late_facts[sc.RESPONSE_TIME_TO_FIRST_CHUNK] = first
