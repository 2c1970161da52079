"""A local server that answers like Anthropic's Messages, OpenAI's Chat Completions and Gemini's generateContent.

One `Reply` is said once, in OpenAI's words, and written as the path of the request asks for. The connection goes over
real HTTP, so the real clients are tried, with their retries.
"""

import json
import re

from lmspan.demo.server import Reply, ScriptedServer
from lmspan.demo.wires import Embeddings, Wire, finish_reason, identity, usage, words

KEY = "sk-test-0123456789abcdef"


def called(*calls, **settings):
    """A reply with tool calls: (id, name, arguments)."""
    tool_calls = [
        {"id": given, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for given, name, arguments in calls
    ]
    return Reply(tool_calls=tool_calls, **settings)


def tokens(asked, answered, *, cache_read=0, cache_write=0, reasoning=0):
    """A usage: `asked` counts what was read from and written to the cache, `answered` counts the reasoning."""
    return {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
        "prompt_tokens_details": {"cached_tokens": cache_read, "cache_creation_tokens": cache_write},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


class Anthropic(Wire):
    """The Messages API: content blocks, and a usage that counts what the cache did apart."""

    path = "/messages"
    end = ""

    def completion(self, request, reply):
        content = [{"type": "text", "text": reply.text}] if reply.text else []
        return {
            "id": identity("msg_", reply),
            "type": "message",
            "role": "assistant",
            "model": reply.model or request["model"],
            "content": [*content, *(self.tool_use(call) for call in reply.tool_calls)],
            "stop_reason": _in_words(ANTHROPIC_REASONS, reply),
            "stop_sequence": None,
            "usage": self.usage(request, reply),
        }

    def chunks(self, request, reply):
        whole = self.completion(request, reply)
        yield {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}}
        for index, block in enumerate(whole["content"]):
            text = block["type"] == "text"
            start, deltas = ({"text": ""}, words(reply)) if text else ({"input": {}}, [json.dumps(block["input"])])
            kind, field = ("text_delta", "text") if text else ("input_json_delta", "partial_json")
            yield {"type": "content_block_start", "index": index, "content_block": {**block, **start}}
            for delta in deltas:
                yield {"type": "content_block_delta", "index": index, "delta": {"type": kind, field: delta}}
            yield {"type": "content_block_stop", "index": index}
        delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        yield {"type": "message_delta", "delta": delta, "usage": whole["usage"]}
        yield {"type": "message_stop"}

    def frame(self, event):
        return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"

    def failure(self, reply):
        kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(reply.status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": reply.text or "scripted failure"}}

    def usage(self, request, reply):
        counted = usage(request, reply)
        if "prompt_tokens" not in counted:
            return counted
        details = counted.get("prompt_tokens_details", {})
        read, written = details.get("cached_tokens", 0), details.get("cache_creation_tokens", 0)
        return {
            "input_tokens": counted["prompt_tokens"] - read - written,
            "output_tokens": counted["completion_tokens"],
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written,
        }

    def tool_use(self, call):
        function = call["function"]
        return {
            "type": "tool_use",
            "id": call["id"],
            "name": function["name"],
            "input": json.loads(function["arguments"]),
        }


class Gemini(Wire):
    """The generateContent API: parts, a model that is in the path, and thoughts that are counted apart."""

    path = "enerateContent"  # generateContent, streamGenerateContent
    end = ""

    def read(self, path, body):
        model, method = re.search(r"models/([^:]+):(\w+)", path).groups()
        return {**body, "model": model, "stream": method == "streamGenerateContent"}

    def completion(self, request, reply):
        return self.response(request, reply, [reply.text] if reply.text else [], last=True)

    def chunks(self, request, reply):
        *first, last = words(reply) or [""]
        for word in first:
            yield self.response(request, reply, [word], last=False)
        yield self.response(request, reply, [last] if last else [], last=True)

    def response(self, request, reply, texts, *, last):
        parts = [{"text": text} for text in texts]
        parts += [self.function_call(call) for call in reply.tool_calls] if last else []
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
        whole = {"responseId": identity("gemini-", reply), "modelVersion": reply.model or request["model"]}
        if not last:
            return {**whole, "candidates": [candidate]}
        candidate["finishReason"] = _in_words(GEMINI_REASONS, reply)
        return {**whole, "candidates": [candidate], "usageMetadata": self.usage(request, reply)}

    def frame(self, event):
        return f"data: {json.dumps(event)}\r\n\r\n"

    def failure(self, reply):
        status = {429: "RESOURCE_EXHAUSTED", 400: "INVALID_ARGUMENT"}.get(reply.status, "INTERNAL")
        return {"error": {"code": reply.status, "message": reply.text or "scripted failure", "status": status}}

    def usage(self, request, reply):
        counted = usage({"messages": request.get("contents", "")}, reply)
        if "prompt_tokens" not in counted:
            return counted
        thoughts = counted.get("completion_tokens_details", {}).get("reasoning_tokens", 0)
        return {
            "promptTokenCount": counted["prompt_tokens"],
            "candidatesTokenCount": counted["completion_tokens"] - thoughts,
            "totalTokenCount": counted["total_tokens"],
            "cachedContentTokenCount": counted.get("prompt_tokens_details", {}).get("cached_tokens", 0),
            "thoughtsTokenCount": thoughts,
        }

    def function_call(self, call):
        function = call["function"]
        arguments = json.loads(function["arguments"])
        return {"functionCall": {"id": call["id"], "name": function["name"], "args": arguments}}


class WireServer(ScriptedServer):
    """A scripted server that speaks all three."""

    wires = (Anthropic(), Gemini(), Embeddings(), Wire())


def serving(*replies):
    """A server that gives these replies in order, the last one for ever."""
    waiting = list(replies)
    return WireServer(lambda request: waiting.pop(0) if len(waiting) > 1 else waiting[0])


ANTHROPIC_REASONS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}
GEMINI_REASONS = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS"}


def _in_words(reasons, reply):
    reason = finish_reason(reply)
    return reasons.get(reason, reason)
