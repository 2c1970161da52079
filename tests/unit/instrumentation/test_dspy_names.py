"""What the name of a model says: its provider, the operation, and the model without the road that a request takes."""

import pytest

from lmspan import semconv as sc
from lmspan.instrumentation.dspy.lm import identity

MODELS = [
    ("openai/gpt-4o-mini", "openai", "gpt-4o-mini"),
    ("openai/responses/gpt-5", "openai", "gpt-5"),
    ("text-completion-openai/gpt-3.5-turbo-instruct", "openai", "gpt-3.5-turbo-instruct"),
    ("azure/o_series/my-deployment", "azure.ai.openai", "my-deployment"),
    ("azure/responses/my-deployment", "azure.ai.openai", "my-deployment"),
    ("azure_text/my-deployment", "azure.ai.openai", "my-deployment"),
    ("bedrock/anthropic.claude-v2", "aws.bedrock", "anthropic.claude-v2"),
    ("bedrock/converse/anthropic.claude-v2", "aws.bedrock", "anthropic.claude-v2"),
    ("bedrock/invoke/us-west-2/anthropic.claude-v2", "aws.bedrock", "anthropic.claude-v2"),
    ("bedrock/us-gov-west-1/anthropic.claude-v2", "aws.bedrock", "anthropic.claude-v2"),
    ("bedrock/openai/arn:aws:bedrock:us-east-1:1:imported-model/m", "aws.bedrock",
     "arn:aws:bedrock:us-east-1:1:imported-model/m"),
    ("openrouter/openai/gpt-4o", "openrouter", "openai/gpt-4o"),
    ("openrouter/anthropic/claude-sonnet-4", "openrouter", "anthropic/claude-sonnet-4"),
    ("huggingface/invoke/model", "huggingface", "invoke/model"),
    ("cohere_chat/command-r", "cohere", "command-r"),
    ("moonshotai/kimi-k2", "moonshot_ai", "kimi-k2"),
    ("mine", "openai", "mine"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "provider", "model"), MODELS)
def test_a_model_has_no_road_in_its_name(name, provider, model):
    assert identity(name, "chat", "", "openai") == {
        sc.OPERATION_NAME: "chat", sc.PROVIDER_NAME: provider, sc.REQUEST_MODEL: model,
    }  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "operation"), [
    ("gemini/gemini-2.5-flash", "chat", "generate_content"),
    ("google/gemini-2.5-flash", "chat", "generate_content"),
    ("vertex_ai/gemini-2.5-flash", "chat", "generate_content"),
    ("vertex_ai/gemini/1234", "chat", "generate_content"),
    ("vertex_ai/claude-sonnet-4", "chat", "chat"),
    ("openrouter/google/gemini-2.5-flash", "chat", "chat"),
    ("openai/gpt-4o-mini", "text", "text_completion"),
    ("openai/gpt-4o-mini", "responses", "chat"),
])  # fmt: skip
def test_the_operation_is_that_of_the_api(name, kind, operation):
    assert identity(name, kind, "", "openai")[sc.OPERATION_NAME] == operation
