"""Texts without secrets stay unchanged: prose, code, JSON, addresses, digests, and fields with similar names."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmspan.content.payload import CAPTURE_MODES, Content
from lmspan.content.redaction import Redactor

content = Content(CAPTURE_MODES["span"])

TEXTS = (
    # prose
    "The secret: patience", "The secret: patience, and time.", "Authorization: required", "bearer certificates",
    "Bearer token authentication is described below.", "The bearer of this letter is my friend.",
    "sk-learn-pipelines", "scikit-learn, sk-learn-pipelines and task-oriented dialogue", "Password: required",
    '{"password": "Please enter your password"}',
    "password: optional", "API key: please contact support", "Token: none", "keyboard: qwerty", "monkey: banana",
    "The author: Jane Austen", "author=Jane", "The key: a good night's sleep", "Passed: 12, failed: 3",
    "pass: 12 fail: 3", "pass rate: 0.93", "Auth: OAuth2", "Authority: federal", "## Secret:\nNobody may know",
    "Password:\nEnter your password below.", "Cookies: chocolate and oatmeal", "cookie: chocolate",
    "He said: the password is a word that you choose.", "a passage: Dunwich, 1928", "Compass: north",
    "What is a token? A token: part of a word.", "tokens: 1234", "The answer is 42.",
    "Monday 2026-11-26T06:19:26Z, version 1.2.3-beta4", "user@example.com wrote to team@example.org:",
    "Email:joe@example.com", "mailto:joe@example.com", "Meet me @ 10:30", "ratio 3:2 @ noon",
    # counts and parameters
    "max_tokens=4096", "max_tokens: 1024", '{"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}',
    "token_count=17", "tokenizer: cl100k_base", 'tokenizer="BPETokenizer32k"', "eos_token: <|endoftext|>",
    'EOS_TOKEN="<|endoftext|>"', "pad_token=[PAD]", "next_token=CAESBggBEAEYAQ12", "tokens_per_second: 83.1",
    # code
    "password = getpass.getpass()", "api_key = os.environ['OPENAI_API_KEY']", "token = tokens[0]",
    "def login(user: str, password: str) -> Token: ...", "api_key: str | None = None", "password=password",
    "client = Client(api_key=api_key, token=self.token)", "self.auth = HTTPBasicAuth(user, password)",
    "api_key=settings.OPENAI_API_KEY2", "sorted(items, key=lambda item: item[1])", "max(d, key=d.get)",
    "for key, value in pairs.items():", "if token == 'if':", 'os.getenv("GITHUB_TOKEN")', "secret=get_secret(name)",
    "export OPENAI_API_KEY=<your key>", "export TOKEN=$GITHUB_TOKEN", "PASSWORD=${DB_PASSWORD}",
    "postgresql://${USER}:${PASSWORD}@localhost/db", "api_key: {{ vault.api_key }}", "--key sorted", "key == 'name'",
    "credentials: VertexPassThroughCredentials | None", '"api_key": "OPENAI_API_KEY"',
    "primary_key=True", "sort_key: created_at", "foreign_key: user_id", "public_key: id_ed25519.pub",
    "cache_key=a94f5374", "class TokenBucket: capacity: int = 10",
    "assert response.status_code == 401, 'Unauthorized: missing api key'",
    # JSON, YAML, CSS, markdown, tables
    '{"role":"user","content":"What is a token?"}', '{"token": "Hello", "logprob": -0.31}',
    '{"key": "name", "value": "Ada"}', '{"author": "Ada", "keys": ["a", "b"], "key": "question"}',
    '{"type":"object","properties":{"password":{"type":"string"}}}', "a.key { color: #ff00aa; }",
    ".token-keyword { color: red }", "| key | value |\n|-----|-------|\n| a | 1 |", "[key](https://example.com/key)",
    "name: build\non: [push]\npermissions:\n  id-token: write", "keys: [a, b]",
    # addresses, paths, digests, encodings
    "https://example.com/search?q=keys&page=2", "https://example.com/?key=name&sort=asc",
    "http://localhost:8080/token", "ssh://git@github.com/org/repository.git", "git@github.com:org/repository.git",
    "https://host:443/path?mail=a@b.c", "commit da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "123e4567-e89b-12d3-a456-426614174000",
    "aGVsbG8gd29ybGQ=", "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUA", "/etc/ssl/private/key.pem",
    "~/.ssh/id_ed25519", "src/lmspan/secret_names.py", "C:\\keys\\token.txt", "PWD=/home/ada/project",
    "password_file: /run/secrets/password", "arn:aws:iam::123456789012:role/reader",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMFww\n-----END PUBLIC KEY-----",
    "look for a line with -----BEGIN PRIVATE KEY----- in it", "gpt-4o-mini", "claude-3-5-sonnet-20241022",
    "meta-llama/Llama-3.3-70B-Instruct", "text-embedding-3-small", "sk-", "hf_hub_download", "npm_config_registry",
    "日本語のテキスト、パスワード：なし", "ключ: значение", "Schlüssel: Wert", "emoji 🔑: 🗝", "\ud800 half",
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_an_ordinary_text_stays(text):
    assert Redactor().secrets(text) == text


FIELDS = {
    "max_tokens": 4096, "prompt_tokens": 11, "tokens": ["wonderful", "a"], "stop_tokens": "Observation:",
    "token_count": 7, "tokenizer": "cl100k_base_v2",
    "primary_key": "id", "sort_key": "created_at", "foreign_key": 12, "keyboard": "qwerty", "monkey": "banana77",
    "key": "abcdefabcdef", "keys": ["a1b2c3d4e5f6"], "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "passed": True,
    "pass": 3, "pass_rate": 0.5, "author": "Ada1815Lovelace", "authority": "x1y2z3w4", "eos_token": "<|endoftext|>",
    "token": "Hello", "cost_per_token": 0.002, "next_token": "CAESBggBEAEYAQ12", "auth": False, "cache_key": "a94f5374",
    "signature": "question -> answer", "secretary": "Grace", "password_length": 12, "token_type": "Bearer",
    "api_key_name": "production", "has_password": True, "cookies": 12, "compass": "north99east", "session": "s1",
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_whose_name_only_sounds_secret_stays(name):
    assert json.loads(content.json({name: FIELDS[name]})) == {name: FIELDS[name]}


def test_the_parameters_of_a_tool_stay_though_one_is_called_password():
    schema = {"properties": {"password": {"type": "string"}, "api_key": {"type": "string", "description": "the key"}}}
    assert json.loads(content.json(schema)) == schema


@pytest.mark.parametrize(
    "word",
    ["placeholder", "not-needed", "lm-studio", "postgres", "question", "<|endoftext|>", "[PAD]", "EMPTY", "12345678"],
)
def test_a_configured_value_that_is_an_ordinary_word_stays_in_texts_and_fields(word):
    environ = {"POSTGRES_PASSWORD": word, "OPENAI_API_KEY": word, "EOS_TOKEN": word}
    redactor = Redactor(environ=environ)
    redactor.know(word)
    value = {word: f"What is a {word}? {word}s and {word}"}
    assert json.loads(Content(CAPTURE_MODES["span"], redactor).json(value)) == value


@given(st.lists(st.text(string.ascii_lowercase, min_size=1, max_size=9), min_size=1).map(" ".join))
def test_words_stay(text):
    assert Redactor().secrets(text) == text


@given(st.integers(0, 2**160).map("{:040x}".format), st.uuids().map(str))
def test_digests_and_uuids_stay(digest, uuid):
    assert Redactor().secrets(f"commit {digest} of {uuid}") == f"commit {digest} of {uuid}"
