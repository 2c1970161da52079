"""A local server for the clients of all providers, and the usages that the programs of the tests are billed.

It adds OpenAI's Responses and Amazon Bedrock's Converse to the APIs of `wires`.
"""

import json
import re

from lmspan.demo.server import Reply, ScriptedServer
from lmspan.demo.wires import Wire, identity, usage, words
from support.wires import WireServer, called, tokens

USAGE = tokens(100, 50)
REPLY = Reply("so it is", usage=USAGE, model="served-1")
SAID = [{"role": "user", "content": "why?"}]
WEATHER = called(("call_1", "weather", {"city": "Graz"}), usage=USAGE)
STOPS = {"tool_calls": "tool_use", "length": "max_tokens"}


class Responses(Wire):
    """OpenAI's Responses API: output items, and a stream of named events."""

    path = "/responses"
    end = ""

    def completion(self, request, reply):
        counted = usage(request, reply)
        content = [{"type": "output_text", "text": reply.text, "annotations": []}]
        message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}
        calls = [
            {"type": "function_call", "id": f"fc_{each['id']}", "call_id": each["id"], **each["function"]}
            for each in reply.tool_calls
        ]
        return {
            "id": identity("resp_", reply), "object": "response", "created_at": 1, "status": "completed",
            "model": reply.model or request["model"], "output": [*([message] if reply.text else []), *calls],
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": request.get("tools", []),
            "usage": {
                "input_tokens": counted["prompt_tokens"], "output_tokens": counted["completion_tokens"],
                "total_tokens": counted["total_tokens"], "input_tokens_details": {"cached_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
            },
        }  # fmt: skip

    def chunks(self, request, reply):
        whole = self.completion(request, reply)
        yield {"type": "response.created", "sequence_number": 0, "response": {**whole, "output": [], "usage": None}}
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
        for number, word in enumerate(words(reply), 1):
            yield {"type": "response.output_text.delta", "sequence_number": number, "delta": word, **place}
        yield {"type": "response.completed", "sequence_number": 99, "response": whole}

    def frame(self, event):
        return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


class Converse(Wire):
    """Amazon Bedrock's Converse API, without its binary streams."""

    path = "/converse"

    def read(self, path, body):
        return {**body, "model": re.search(r"/model/([^/]+)/", path)[1]}

    def completion(self, request, reply):
        counted = usage(request, reply)
        content = [{"text": reply.text}] if reply.text else []
        for each in reply.tool_calls:
            function = each["function"]
            use = {"toolUseId": each["id"], "name": function["name"], "input": json.loads(function["arguments"])}
            content.append({"toolUse": use})
        reason = reply.finish_reason or ("tool_calls" if reply.tool_calls else "end_turn")
        return {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": STOPS.get(reason, reason),
            "usage": {
                "inputTokens": counted["prompt_tokens"], "outputTokens": counted["completion_tokens"],
                "totalTokens": counted["total_tokens"],
            },
            "metrics": {"latencyMs": 1},
        }  # fmt: skip

    def failure(self, reply):
        return {"message": reply.text}


class EveryWire(WireServer):
    wires = (Responses(), Converse(), *WireServer.wires)


def serving(*replies) -> ScriptedServer:
    """A server that gives these replies in order, the last one for ever."""
    waiting = list(replies)
    return EveryWire(lambda request: waiting.pop(0) if len(waiting) > 1 else waiting[0])
