"""A local server of four APIs that keeps a ledger: of each request what it asks for, of each answer what it says.

Each API states by itself which facts a request asks for (`asked`) and which an answer reports (`said`), in the names of
the attributes, so that a span can be held against the ledger without any code that it was recorded by.
"""

import json
from dataclasses import dataclass, field
from http import HTTPStatus

from lmspan import semconv as sc
from lmspan.demo.server import Reply
from lmspan.demo.wires import Embeddings, Wire, finish_reason, identity, words
from support import wires
from support.wires import WireServer

TOKENS = {
    sc.USAGE_INPUT_TOKENS: 1000, sc.USAGE_OUTPUT_TOKENS: 500, sc.USAGE_CACHE_READ_TOKENS: 130,
    sc.USAGE_CACHE_WRITE_TOKENS: 20, sc.USAGE_REASONING_TOKENS: 70,
}  # fmt: skip
SPENT = {
    "prompt_tokens": 1000,
    "completion_tokens": 500,
    "total_tokens": 1500,
    "prompt_tokens_details": {"cached_tokens": 130, "cache_creation_tokens": 20, "cache_write_tokens": 20},
    "completion_tokens_details": {"reasoning_tokens": 70},
}
NO_USAGE = {}


@dataclass
class Answer(Reply):
    """An answer with thoughts, and with the texts of further candidates."""

    usage: dict | None = field(default_factory=lambda: SPENT)
    model: str = "served-1"
    thoughts: str = ""
    others: tuple[str, ...] = ()

    def texts(self, count):
        """Return the texts of as many candidates as the request asks for."""
        return [self.text, *self.others, *[self.text] * count][:count]


@dataclass
class Entry:
    """What one request asks for and its answer says. The answer of a request that fails says nothing."""

    asked: dict
    streamed: bool
    prompt: list
    operation: str
    said: dict | None = None
    candidates: list = field(default_factory=list)


def parameters(table, request):
    """Return the parameters that a request has at these paths."""
    found = [(name, value) for path, name in table if (value := at(request, path)) is not None]
    return {name: tuple(value) if type(value) is list else value for name, value in found}


def at(value, path):
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def texts_of(content, *names):
    """Return the texts of a content that is a text or a list of blocks."""
    if isinstance(content, str):
        return [content]
    return [block[name] for block in content or () for name in names if isinstance(block.get(name), str)]


def called(call):
    """Return a tool call of a reply as (id, name, arguments)."""
    return call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])


class Ledger:
    """The part that the APIs share: `of_request`, `of_history` and `counts` differ."""

    unreported = ()
    operation = "chat"

    def entry(self, exchange):
        request, reply = exchange.request, exchange.reply
        asked, streamed = parameters(self.parameters, request), bool(request.get("stream"))
        entry = Entry(asked, streamed, self.prompt(request), self.operation)
        entry.asked.update(self.more(request))
        if reply.status != HTTPStatus.OK or reply.cut:
            return entry
        whole = self.completion(request, reply)
        count = self.choices(request)
        reasons = tuple("tool_calls" if reply.tool_calls else finish_reason(reply) for _ in range(count))
        counts = {name: value for name, value in TOKENS.items() if name not in self.unreported}
        if not reply.usage or not self.reports(request):
            counts = {}
        identity = {sc.RESPONSE_ID: at(whole, self.id), sc.RESPONSE_MODEL: reply.model}
        entry.said = {**identity, sc.RESPONSE_FINISH_REASONS: reasons, **counts}
        entry.candidates = [
            {
                "texts": [text] if text else [],
                "thoughts": self.thoughts(reply),
                "calls": [*map(called, reply.tool_calls)],
            }
            for text in reply.texts(count)
        ]
        return entry

    def more(self, request):
        return {}

    def choices(self, request):
        return 1

    def reports(self, request):
        return True

    def thoughts(self, reply):
        return [reply.thoughts] if reply.thoughts else []


class Chat(Ledger, Wire):
    """Chat Completions; it reports the usage of a stream only if the request asks for that, as OpenAI does."""

    path = "/chat/completions"
    id = "id"
    parameters = (
        ("model", sc.REQUEST_MODEL), ("temperature", sc.REQUEST_TEMPERATURE), ("max_tokens", sc.REQUEST_MAX_TOKENS),
        ("top_p", sc.REQUEST_TOP_P), ("stop", sc.REQUEST_STOP_SEQUENCES), ("seed", sc.REQUEST_SEED),
        ("presence_penalty", sc.REQUEST_PRESENCE_PENALTY), ("frequency_penalty", sc.REQUEST_FREQUENCY_PENALTY),
        ("reasoning_effort", sc.REQUEST_REASONING_LEVEL),
    )  # fmt: skip

    def more(self, request):
        longest = request.get("max_tokens", request.get("max_completion_tokens"))
        kind = at(request, "response_format.type")
        return {
            **({sc.REQUEST_MAX_TOKENS: longest} if longest else {}),
            **({sc.REQUEST_CHOICE_COUNT: request["n"]} if request.get("n", 1) != 1 else {}),
            **({sc.OUTPUT_TYPE: "json"} if kind in ("json_object", "json_schema") else {}),
        }

    def choices(self, request):
        return request.get("n") or 1

    def reports(self, request):
        return not request.get("stream") or bool(at(request, "stream_options.include_usage"))

    def thoughts(self, reply):
        return []  # OpenAI's server does not show them

    def prompt(self, request):
        found = []
        for message in request["messages"]:
            if message["role"] == "tool":
                found += [("result", *texts_of(message["content"], "text"))]
                continue
            found += [("text", text) for text in texts_of(message.get("content"), "text")]
            found += [("call", *called(call)) for call in message.get("tool_calls") or ()]
        return found

    def completion(self, request, reply):
        whole = super().completion(request, reply)
        for choice, text in zip(whole["choices"], reply.texts(self.choices(request)), strict=True):
            choice["message"] = {**choice["message"], "content": text or None}
        if not reply.usage:
            del whole["usage"]
        return whole

    def chunks(self, request, reply):
        whole = self.completion(request, reply)
        head = {key: whole[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
        for choice in whole["choices"]:
            message = choice["message"]
            deltas = [{"role": "assistant", "content": ""}]
            deltas += [{"content": word} for word in words(Reply(message["content"] or ""))]
            for index, call in enumerate(reply.tool_calls):
                function = call["function"]
                deltas.append({"tool_calls": [{"index": index, **call, "function": {**function, "arguments": ""}}]})
                deltas.append({"tool_calls": [{"index": index, "function": {"arguments": function["arguments"]}}]})
            for delta in deltas:
                yield {**head, "choices": [{"index": choice["index"], "delta": delta, "finish_reason": None}]}
            last = {"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}
            yield {**head, "choices": [last]}
        if self.reports(request) and reply.usage:
            yield {**head, "choices": [], "usage": whole["usage"]}


class Texts(Chat):
    """Text Completions: one prompt, and choices that are texts."""

    path = "/completions"
    operation = "text_completion"

    def prompt(self, request):
        return [("text", request["prompt"])]

    def completion(self, request, reply):
        whole = super().completion(request, reply)
        whole["object"] = "text_completion"
        whole["choices"] = [
            {"index": each["index"], "text": each["message"]["content"], "finish_reason": each["finish_reason"]}
            for each in whole["choices"]
        ]
        return whole

    def chunks(self, request, reply):
        whole = self.completion(request, reply)
        for choice in whole["choices"]:
            for word in words(Reply(choice["text"])):
                yield {**whole, "choices": [{**choice, "text": word, "finish_reason": None}], "usage": None}
            yield {**whole, "choices": [{**choice, "text": ""}], "usage": None}
        if self.reports(request) and reply.usage:
            yield {**whole, "choices": []}


class Responses(Ledger, Wire):
    """The Responses API: items of output, and a status in place of a finish reason."""

    path = "/responses"
    end = ""
    id = "id"
    parameters = (
        ("model", sc.REQUEST_MODEL), ("temperature", sc.REQUEST_TEMPERATURE),
        ("max_output_tokens", sc.REQUEST_MAX_TOKENS), ("top_p", sc.REQUEST_TOP_P),
        ("reasoning.effort", sc.REQUEST_REASONING_LEVEL),
    )  # fmt: skip

    def more(self, request):
        return {sc.OUTPUT_TYPE: "json"} if at(request, "text.format.type") in ("json_object", "json_schema") else {}

    def prompt(self, request):
        given = request["input"]
        found = [("text", request["instructions"])] if request.get("instructions") else []
        for item in [{"content": given}] if isinstance(given, str) else given:
            kind = item.get("type", "message")
            if kind == "function_call":
                found.append(("call", item["call_id"], item["name"], json.loads(item["arguments"])))
            elif kind == "function_call_output":
                found.append(("result", *texts_of(item["output"], "text")))
            else:
                found += [("text", text) for text in texts_of(item["content"], "text")]
        return found

    def completion(self, request, reply):
        ident = identity("", reply)
        output = []
        if reply.thoughts:
            summary = [{"type": "summary_text", "text": reply.thoughts}]
            output.append({"type": "reasoning", "id": f"rs_{ident}", "summary": summary})
        if reply.text:
            part = {"type": "output_text", "text": reply.text, "annotations": []}
            output.append({"type": "message", "id": f"msg_{ident}", "role": "assistant", "status": "completed",
                           "content": [part]})  # fmt: skip
        for index, call in enumerate(reply.tool_calls):
            output.append({"type": "function_call", "id": f"fc_{ident}_{index}", "call_id": call["id"],
                           "status": "completed", **call["function"]})  # fmt: skip
        cut = finish_reason(reply) == "length"
        return {
            "id": f"resp_{ident}",
            "object": "response",
            "created_at": 1,
            "model": reply.model,
            "status": "incomplete" if cut else "completed",
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "error": None,
            "instructions": None,
            "metadata": {},
            "output": output,
            "parallel_tool_calls": True,
            "temperature": request.get("temperature"),
            "top_p": request.get("top_p"),
            "tool_choice": "auto",
            "tools": [],
            "usage": self.usage(reply),
        }

    def usage(self, reply):
        if not reply.usage:
            return None
        return {
            "input_tokens": 1000, "output_tokens": 500, "total_tokens": 1500,
            "input_tokens_details": {"cached_tokens": 130, "cache_write_tokens": 20},
            "output_tokens_details": {"reasoning_tokens": 70},
        }  # fmt: skip

    def chunks(self, request, reply):
        whole = self.completion(request, reply)
        started = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
        events = [{"type": "response.created", "response": started}]
        for index, item in enumerate(whole["output"]):
            events += self.item(index, item)
        events.append({"type": f"response.{whole['status']}", "response": whole})
        for number, event in enumerate(events):
            yield {**event, "sequence_number": number}

    def item(self, index, item):
        place = {"output_index": index, "item_id": item["id"]}
        empty = {name: [] if name in ("content", "summary") else value for name, value in item.items()}
        if item["type"] == "function_call":
            empty["arguments"] = ""
        yield {"type": "response.output_item.added", "output_index": index, "item": empty}
        if item["type"] == "message":
            part, whole = {**place, "content_index": 0}, item["content"][0]
            yield {"type": "response.content_part.added", **part, "part": {**whole, "text": ""}}
            for word in words(Reply(whole["text"])):
                yield {"type": "response.output_text.delta", **part, "delta": word, "logprobs": []}
            yield {"type": "response.output_text.done", **part, "text": whole["text"], "logprobs": []}
            yield {"type": "response.content_part.done", **part, "part": whole}
        elif item["type"] == "reasoning":
            part, whole = {**place, "summary_index": 0}, item["summary"][0]
            yield {"type": "response.reasoning_summary_part.added", **part, "part": {**whole, "text": ""}}
            yield {"type": "response.reasoning_summary_text.delta", **part, "delta": whole["text"]}
            yield {"type": "response.reasoning_summary_text.done", **part, "text": whole["text"]}
            yield {"type": "response.reasoning_summary_part.done", **part, "part": whole}
        else:
            yield {"type": "response.function_call_arguments.delta", **place, "delta": item["arguments"]}
            yield {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"],
                   "name": item["name"]}  # fmt: skip
        yield {"type": "response.output_item.done", "output_index": index, "item": item}

    def frame(self, event):
        return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


class Messages(Ledger, wires.Anthropic):
    """Anthropic's Messages; the output tokens of `message_start` are a placeholder, as there."""

    id = "id"
    parameters = (
        ("model", sc.REQUEST_MODEL), ("temperature", sc.REQUEST_TEMPERATURE), ("max_tokens", sc.REQUEST_MAX_TOKENS),
        ("top_p", sc.REQUEST_TOP_P), ("top_k", sc.REQUEST_TOP_K), ("stop_sequences", sc.REQUEST_STOP_SEQUENCES),
        ("output_config.effort", sc.REQUEST_REASONING_LEVEL),
    )  # fmt: skip

    def more(self, request):
        formats = at(request, "output_config.format"), request.get("output_format")
        return {sc.OUTPUT_TYPE: "json"} if any(formats) else {}

    def prompt(self, request):
        found = [("text", text) for text in texts_of(request.get("system"), "text")]
        for message in request["messages"]:
            blocks = message["content"]
            for block in [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks:
                if block["type"] == "tool_use":
                    found.append(("call", block["id"], block["name"], block["input"]))
                elif block["type"] == "tool_result":
                    found.append(("result", *texts_of(block["content"], "text")))
                else:
                    found.append(("text", block["text"]))
        return found

    def completion(self, request, reply):
        whole = super().completion(request, reply)
        if reply.thoughts:
            thinking = {"type": "thinking", "thinking": reply.thoughts, "signature": "s1"}
            whole["content"] = [thinking, *whole["content"]]
        return whole

    def usage(self, request, reply):
        if not reply.usage:
            return {}
        return {**super().usage(request, reply), "output_tokens_details": {"thinking_tokens": 70}}

    def chunks(self, request, reply):
        whole = self.completion(request, reply)
        usage = whole["usage"]
        early = {**usage, "output_tokens": 1} if usage else usage
        early.pop("output_tokens_details", None)
        started = {**whole, "content": [], "stop_reason": None, "usage": early}
        yield {"type": "message_start", "message": started}
        for index, block in enumerate(whole["content"]):
            yield from self.block(index, block)
        late = {name: usage[name] for name in ("output_tokens", "output_tokens_details") if name in usage}
        delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        yield {"type": "message_delta", "delta": delta, "usage": late}
        yield {"type": "message_stop"}

    def block(self, index, block):
        empty, deltas = {
            "text": lambda: ({"text": ""}, [("text_delta", "text", word) for word in words(Reply(block["text"]))]),
            "tool_use": lambda: ({"input": {}}, [("input_json_delta", "partial_json", json.dumps(block["input"]))]),
            "thinking": lambda: (
                {"thinking": "", "signature": ""},
                [("thinking_delta", "thinking", block["thinking"]), ("signature_delta", "signature", "s1")],
            ),
        }[block["type"]]()
        yield {"type": "content_block_start", "index": index, "content_block": {**block, **empty}}
        for kind, name, value in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: value}}
        yield {"type": "content_block_stop", "index": index}


class GenerateContent(Ledger, wires.Gemini):
    """Gemini's generateContent, with thoughts as parts; it does not report what it writes to its cache."""

    id = "responseId"
    operation = "generate_content"
    unreported = (sc.USAGE_CACHE_WRITE_TOKENS,)
    parameters = (
        ("model", sc.REQUEST_MODEL),
        ("generationConfig.temperature", sc.REQUEST_TEMPERATURE),
        ("generationConfig.maxOutputTokens", sc.REQUEST_MAX_TOKENS),
        ("generationConfig.max_output_tokens", sc.REQUEST_MAX_TOKENS),
        ("generationConfig.topP", sc.REQUEST_TOP_P), ("generationConfig.top_p", sc.REQUEST_TOP_P),
        ("generationConfig.topK", sc.REQUEST_TOP_K), ("generationConfig.seed", sc.REQUEST_SEED),
        ("generationConfig.stopSequences", sc.REQUEST_STOP_SEQUENCES),
        ("generationConfig.stop_sequences", sc.REQUEST_STOP_SEQUENCES),
        ("generationConfig.presencePenalty", sc.REQUEST_PRESENCE_PENALTY),
        ("generationConfig.presence_penalty", sc.REQUEST_PRESENCE_PENALTY),
        ("generationConfig.thinkingConfig.thinkingLevel", sc.REQUEST_REASONING_LEVEL),
    )  # fmt: skip

    def more(self, request):
        config = request.get("generationConfig", {})
        json_ = "application/json" in (config.get("responseMimeType"), config.get("response_mime_type"))
        return {
            **({sc.REQUEST_CHOICE_COUNT: self.choices(request)} if self.choices(request) != 1 else {}),
            **({sc.OUTPUT_TYPE: "json"} if json_ else {}),
        }

    def choices(self, request):
        config = request.get("generationConfig", {})
        return config.get("candidateCount", config.get("candidate_count", 1))

    def prompt(self, request):
        system = request.get("systemInstruction", request.get("system_instruction")) or {}
        contents = [system, *request["contents"]]
        found = []
        for part in (part for content in contents for part in content.get("parts", ())):
            made, given = (
                part.get(f"function{name}", part.get(f"function_{name.lower()}")) for name in ("Call", "Response")
            )
            if made:
                found.append(("call", made.get("id"), made["name"], made["args"]))
            elif given:
                response = given["response"]
                found.append(("result", next(iter(response.values()))))
            else:
                found.append(("text", part["text"]))
        return found

    def response(self, request, reply, texts, *, last):
        whole = super().response(request, reply, texts, last=last)
        first, count = whole["candidates"][0], self.choices(request)
        if reply.thoughts and last:
            first["content"]["parts"].insert(0, {"text": reply.thoughts, "thought": True})
        for index, text in enumerate(reply.texts(count)[1:] if last else ()):
            content = {"role": "model", "parts": [{"text": text}]}
            whole["candidates"].append({**first, "index": index + 1, "content": content})
        if last and not reply.usage:
            del whole["usageMetadata"]
        return whole


class LedgerServer(WireServer):
    """A scripted server of all APIs; `ledger()` returns one entry for each of its requests."""

    wires = (Responses(), Messages(), GenerateContent(), Embeddings(), Chat(), Texts())

    def ledger(self):
        wire_of = {wire.path: wire for wire in self.wires}
        return [
            next(wire for path, wire in wire_of.items() if path in exchange.path).entry(exchange)
            for exchange in self.exchanges
        ]


def serving(*answers):
    """A server that gives these answers in order, the last one for ever."""
    waiting = list(answers)
    return LedgerServer(lambda request: waiting.pop(0) if len(waiting) > 1 else waiting[0])
