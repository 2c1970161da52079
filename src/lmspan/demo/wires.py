"""OpenAI's API over HTTP: chat completions and embeddings. A subclass of `Wire` speaks another API."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmspan.demo.server import Reply

_CHARACTERS_PER_TOKEN: Final = 4


class Wire:
    """OpenAI's chat completions: translates requests, and each `Reply` into a response."""

    path = ""
    """A part of the path of its requests."""

    end = "data: [DONE]\n\n"
    """The end of a stream."""

    def read(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return a request for the script."""
        del path
        return body

    def completion(self, request: dict[str, Any], reply: Reply) -> dict[str, Any]:
        """Return the response, with the reply in each of the `n` requested choices."""
        message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
        if reply.tool_calls:
            message["tool_calls"] = reply.tool_calls
        choice = {"index": 0, "message": message, "finish_reason": finish_reason(reply)}
        return {
            "id": identity("chatcmpl-", reply),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": reply.model or request.get("model", "scripted"),
            "choices": [{**choice, "index": index} for index in range(request.get("n") or 1)],
            "usage": usage(request, reply),
        }

    def chunks(self, request: dict[str, Any], reply: Reply) -> Iterator[dict[str, Any]]:
        """Yield the response as the events of a stream: words, tool calls, the finish reason, the usage."""
        whole = self.completion(request, reply)
        head = {key: whole[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": word} for word in words(reply)]
        if reply.tool_calls:
            deltas.append({"tool_calls": [{"index": index, **call} for index, call in enumerate(reply.tool_calls)]})
        for delta in deltas:
            yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason(reply)}]}
        yield {**head, "choices": [], "usage": whole["usage"]}

    def frame(self, event: dict[str, Any]) -> str:
        """Return one event of a stream as text."""
        return f"data: {json.dumps(event)}\n\n"

    def failure(self, reply: Reply) -> dict[str, Any]:
        """Return the body of an HTTP error."""
        return {"error": {"message": reply.text or "scripted failure", "type": "scripted", "code": None}}


class Embeddings(Wire):
    """OpenAI's embeddings: the vector of a text is its length and its number of e's."""

    path = "/embeddings"

    def completion(self, request: dict[str, Any], reply: Reply) -> dict[str, Any]:
        """Return a vector for each text."""
        del reply
        texts = request.get("input", [])
        texts = [texts] if isinstance(texts, str) else texts
        data = [
            {"object": "embedding", "index": index, "embedding": [len(text) / 100, text.count("e") / 10, 1.0]}
            for index, text in enumerate(texts)
        ]
        tokens = sum(len(text) for text in texts) // _CHARACTERS_PER_TOKEN
        return {
            "object": "list",
            "data": data,
            "model": request.get("model"),
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }


def usage(request: dict[str, Any], reply: Reply) -> dict[str, Any]:
    """Return the usage of the reply, or an estimate of four characters a token."""
    if reply.usage is not None:
        return reply.usage
    sent = len(json.dumps(request.get("messages", ""))) // _CHARACTERS_PER_TOKEN
    received = (len(reply.text) + len(json.dumps(reply.tool_calls))) // _CHARACTERS_PER_TOKEN
    return {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received}


def finish_reason(reply: Reply) -> str:
    """Return the finish reason of the reply, in OpenAI's terms."""
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def words(reply: Reply) -> list[str]:
    """Return the words of the text, the chunks of a stream."""
    return [word for word in reply.text.replace(" ", " \0").split("\0") if word]


def identity(prefix: str, reply: Reply) -> str:
    """Return an id for a response."""
    return f"{prefix}{abs(hash(reply.text)) % 10**9:09d}"
