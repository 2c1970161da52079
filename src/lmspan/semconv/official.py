"""Attributes that only OpenTelemetry's GenAI instrumentations set, on the calls that they report to lmspan."""

# fmt: off
from __future__ import annotations

from typing import Final

from lmspan.semconv.naming import INT, SCALAR, STRING, attribute

AGENT_DESCRIPTION: Final = attribute("gen_ai.agent.description", STRING, "the agent's own description")
AGENT_ID: Final = attribute("gen_ai.agent.id", STRING, "the id of the agent, where a server keeps it")
REQUEST_PREVIOUS_RESPONSE_ID: Final = attribute("gen_ai.request.previous_response.id", STRING, "the response that the request continues")
USAGE_AUDIO: Final = attribute("gen_ai.usage.audio.", INT, "other tokens of audio, by kind", "{token}")
USAGE_IMAGE: Final = attribute("gen_ai.usage.image.", INT, "tokens of images, by kind", "{token}")
USAGE_TEXT: Final = attribute("gen_ai.usage.text.", INT, "tokens of text, by kind", "{token}")
PROMPT_VERSION: Final = attribute("gen_ai.prompt.version", STRING, "the version of the prompt, where the provider keeps it")
OPENAI: Final = attribute("openai.", SCALAR, "of OpenAI's API alone: service tiers, fingerprint")
AWS_BEDROCK: Final = attribute("aws.bedrock.", SCALAR, "of Amazon Bedrock alone: guardrail, knowledge base")
