"""Tokens, keys and passwords are never recorded, in any text, field, header, address or name.

The secrets are put together here, so that no file holds the shape of one.
"""

import itertools
import json
import random
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmspan.content import secret_finders
from lmspan.content.payload import CAPTURE_MODES, Content
from lmspan.content.redaction import REDACTED, Redactor
from lmspan.content.secret_finders import FINDERS, find, read
from lmspan.content.secret_names import Proof, proof_of
from lmspan.content.token_shapes import SHAPES, SHORTEST, token_pattern

content = Content(CAPTURE_MODES["span"])
MIXED, HEX, CAPITAL = "a1B2c3D4" * 40, "a1b2c3d4" * 40, "A1B2C3D4" * 40
PLAIN, PASSWORD = "abcdefabcdef", "hunter2" * 2

TOKENS = {
    "OpenAI": "sk-" + MIXED[:48],
    "OpenAI, a project's": "sk-proj-" + MIXED[:20] + "_" + MIXED[:20] + "-" + MIXED[:8],
    "Anthropic": "sk-ant-api03-" + MIXED[:40] + "-" + MIXED[:40] + "AA",
    "OpenRouter": "sk-or-v1-" + HEX[:64],
    "Groq": "gsk_" + MIXED[:52],
    "xAI": "xai-" + MIXED[:80],
    "NVIDIA": "nvapi-" + MIXED[:30] + "-" + MIXED[:30],
    "Replicate": "r8_" + MIXED[:37],
    "Perplexity": "pplx-" + MIXED[:48],
    "Hugging Face": "hf_" + "aBcDeFgHiJ" * 3 + "abcd",
    "LangSmith": "lsv2_pt_" + HEX[:32] + "_" + HEX[:10],
    "Tavily": "tvly-" + MIXED[:32],
    "Pinecone": "pcsk_" + MIXED[:6] + "_" + MIXED[:60],
    "Fireworks": "fw_" + MIXED[:24],
    "AWS, a user's": "AKIA" + CAPITAL[:16],
    "AWS, a session's": "ASIA" + CAPITAL[:16],
    "Bedrock": "ABSK" + MIXED[:120],
    "Google": "AIza" + MIXED[:35],
    "Google, access": "ya29." + MIXED[:60],
    "Google, refresh": "1//0" + MIXED[:40],
    "Google, client": "GOCSPX-" + MIXED[:28],
    "Azure, client": "abc8Q~" + MIXED[:34],
    "Alibaba": "LTAI" + MIXED[:20],
    "GitHub": "ghp_" + MIXED[:36],
    "GitHub, OAuth": "gho_" + MIXED[:36],
    "GitHub, user": "ghu_" + MIXED[:36],
    "GitHub, server": "ghs_" + MIXED[:36],
    "GitHub, refresh": "ghr_" + MIXED[:36],
    "GitHub, fine-grained": "github_pat_" + MIXED[:22] + "_" + MIXED[:59],
    "GitLab": "glpat-" + MIXED[:20],
    "GitLab, runner": "glrt-" + MIXED[:20],
    "Atlassian": "ATATT3" + MIXED[:186],
    "npm": "npm_" + MIXED[:36],
    "PyPI": "pypi-AgEIcHlwaS5vcmc" + MIXED[:80],
    "RubyGems": "rubygems_" + HEX[:48],
    "Docker": "dckr_pat_" + MIXED[:27],
    "NuGet": "oy2" + HEX[:43],
    "Slack, bot": "xoxb-123456789012-123456789012-" + MIXED[:24],
    "Slack, user": "xoxp-123456789012-123456789012-123456789012-" + HEX[:32],
    "Slack, app": "xapp-1-A0123-123456-" + HEX[:64],
    "Telegram": "123456789:AA" + MIXED[:33],
    "SendGrid": "SG." + MIXED[:22] + "." + MIXED[:43],
    "Twilio": "SK" + HEX[:32],
    "Mailgun": "key-" + HEX[:32],
    "Brevo": "xkeysib-" + HEX[:64] + "-" + MIXED[:16],
    "Stripe": "sk_live_" + MIXED[:24],
    "Stripe, restricted": "rk_live_" + MIXED[:24],
    "Stripe, webhook": "whsec_" + MIXED[:32],
    "Shopify": "shpat_" + HEX[:32],
    "Square": "sq0atp-" + MIXED[:22],
    "DigitalOcean": "dop_v1_" + HEX[:64],
    "Databricks": "dapi" + HEX[:32],
    "Doppler": "dp.pt." + MIXED[:43],
    "Dynatrace": "dt0c01." + CAPITAL[:24] + "." + CAPITAL[:64],
    "Grafana": "glsa_" + MIXED[:32] + "_" + HEX[:8],
    "Heroku": "HRKU-AA" + MIXED[:58],
    "Vault": "hvs." + MIXED[:95],
    "Terraform": MIXED[:14] + ".atlasv1." + MIXED[:64],
    "Linear": "lin_api_" + MIXED[:40],
    "Notion": "ntn_" + "1" * 11 + MIXED[:35],
    "PlanetScale": "pscale_tkn_" + MIXED[:43],
    "Postman": "PMAK-" + HEX[:24] + "-" + HEX[:34],
    "OpenShift": "sha256~" + MIXED[:43],
    "Tailscale": "tskey-auth-" + MIXED[:40],
    "age": "AGE-SECRET-KEY-1" + CAPITAL[:58],
    "JSON web token": "eyJ" + MIXED[:40] + ".eyJ" + MIXED[:80] + "." + MIXED[:43],
    "PEM": "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIE" + MIXED + "\n-----END RSA PRIVATE KEY-----",
    "PGP": "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\n" + MIXED + "\n-----END PGP PRIVATE KEY BLOCK-----",
}
AROUND = (
    "{}",
    "before {} after",
    '"{}"',
    "'{}',",
    "({})",
    "key={}&x=1",
    "line\\n{}\\n",
    "\x1b[31m{}\x1b[0m",
    "%20{}",
    "密码{}。",
)


@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_of_a_known_shape_is_recorded_nowhere(kind):
    token = TOKENS[kind]
    for form in AROUND:
        text = form.format(token)
        for recorded in (content.text(text), content.json({"q": [text]}), content.message(ValueError(text))):
            assert token[-12:] not in recorded and REDACTED in recorded, form
    assert token[-12:] not in content.json({token: 1})


WRITTEN = (  # {p} is a password, {k} a key
    "POSTGRES_PASSWORD={p}", "PASSWORD: {p}", "password={p}", "DB_PASS={p}", "pwd={p}", "passwd: {p}",
    "Passphrase: {p}", "DJANGO_SECRET_KEY={k}", "CLIENT_SECRET={k}", "client-secret: {k}",
    "AWS_SECRET_ACCESS_KEY={k}", "GITHUB_TOKEN={k}", "export HF_TOKEN={k}", "apiKey={k}", "API-KEY={k}",
    "api_key: {k}", "ACCOUNTKEY={k}", "AccountKey={k};EndpointSuffix=x", "X-Api-Key: {k}", "x-api-key: {k}",
    "PRIVATE-TOKEN: {k}",
    "PRIVATE-TOKEN: {k}-1234", "Ocp-Apim-Subscription-Key: {k}", "X-Goog-Api-Key:{k}", "AUTHORIZATION: {k}",
    "Authorization: token {k}", "Authorization: Bearer {k}", "authorization: Basic {k}",
    "Proxy-Authorization: Basic {k}", "BEARER {k}", "bearer {k}", "Cookie: session={k}; theme=dark",
    "Set-Cookie: id={k}", "https://example.com/?key={k}", "https://example.com/?a=1&token={k}",
    "https://example.com/?access_token={k}&b=2", "https://x.blob.example.net/c?sv=1&sig={k}{k}",
    "https://hooks.slack.com/services/T0/B0/{k}{k}", "postgres://ada:{p}@db.example/x",
    "https://ada:p@{p}@db.example/x", "https://{k}@github.com/x", "redis://:{p}@cache:1",
    "HTTPConnectionPool(ada:{p}@127.0.0.1:80)", "proxy ada:{p}@localhost refused", "ada:{p}@proxy.example:3128",
    '{{"api_key": "{k}"}}', '{{\\"password\\": \\"{p}\\"}}', "{{'token': '{k}'}}", '{{"Authorization":"Bearer {k}"}}',
    "password:\n  {p}", "api_key:\t{k}", "<password>{p}</password>", "--password {p} --verbose", "--api-key={k}",
    'api_key: str = "{k}"', 'os.environ["OPENAI_API_KEY"] = "{k}"', 'dspy.LM("m", api_key="{k}")', "secret => '{k}'",
    "token := `{k}`", 'curl -H "X-API-KEY: {k}"', "password = '{p}'", "PASSWORD={p}&(!", "password=\u00e4{p}\u00f6",
)  # fmt: skip


@pytest.mark.parametrize("form", WRITTEN)
def test_the_text_before_a_value_marks_it_as_a_secret(form):
    text = form.format(p=PASSWORD, k=PLAIN)
    for recorded in (content.text(text), content.json({"q": [text]}), content.message(ValueError(text))):
        assert PASSWORD not in recorded and PLAIN not in recorded and REDACTED in recorded
    assert Redactor().secrets(Redactor().secrets(text)) == Redactor().secrets(text)


FIELDS = (
    "api_key", "apiKey", "API-Key", "apikey", "openai_api_key", "OPENAI_API_KEY", "x-api-key", "X-Goog-Api-Key",
    "token", "auth_token", "authToken", "github_token", "hf_token", "sas_token", "azure_ad_token", "X-Auth-Token",
    "X-Subscription-Token", "PRIVATE-TOKEN", "accesstoken", "refresh_token", "aws_session_token", "id_token",
    "ocp-apim-subscription-key", "subscription_key", "access_key", "AccountKey", "SharedAccessKey", "secret_key",
    "STRIPE_SECRET_KEY", "signing_key", "encryption_key", "ssh_key", "private_key", "master_key", "AWS_SECRET",
    "client_secret", "webhookSecret", "password", "DB_PASSWORD", "db_password_2", "passwd", "pwd", "pass", "passphrase",
    "userPassword", "auth", "authorization", "Proxy-Authorization", "cookie", "Set-Cookie", "credential", "credentials",
    "connection_string", "connectionString", "jwt", "bearer", "bearer_token", "vault_token", "api_key_value",
)  # fmt: skip


@pytest.mark.parametrize("value", [PLAIN, PASSWORD, MIXED[:24], "Bearer " + MIXED[:24]])
def test_a_field_with_the_name_of_a_secret_is_not_recorded(value):
    shown = json.loads(content.json(dict.fromkeys(FIELDS, value)))
    assert shown == dict.fromkeys(FIELDS, REDACTED)


@pytest.mark.parametrize("value", [PLAIN, PASSWORD, MIXED[:24], "Bearer " + MIXED[:24]])
@pytest.mark.parametrize("name", FIELDS)
def test_a_header_is_not_recorded_as_a_pair_or_as_a_name_and_a_value(name, value):
    shown = content.json([[name, value], (name, value), {"name": name, "value": value}, {"key": name, "value": value}])
    assert value.split()[-1] not in shown and shown.count(name) == 4


def test_cookies_and_mappings_under_a_secret_name_are_not_recorded():
    value = {"cookies": {"sid": PLAIN}, "auth": ("ada", PASSWORD), "secrets": [PLAIN], "credentials": {"x": PLAIN}}
    assert json.loads(content.json(value)) == dict.fromkeys(value, REDACTED)


def test_an_unknown_kind_of_key_is_a_secret_where_it_looks_like_one():
    shown = json.loads(content.json({"fluffy_key": "a1b2c3d4e5f6", "sort_key": "a1b2c3d4e5f6", "flat_key": "date"}))
    assert shown == {"fluffy_key": REDACTED, "sort_key": "a1b2c3d4e5f6", "flat_key": "date"}


# The mechanism: words and markers are looked for first, patterns run only there.


def ungated(text):
    return [found.span() for found in token_pattern().finditer(text)]


@given(
    st.lists(st.sampled_from([*TOKENS.values(), *MIXED[:9], " ", "\n", '"', "é", "-", "_", "?", "/", "=", "words "]))
)
def test_the_search_for_markers_finds_each_token_that_the_pattern_finds(parts):
    text = "".join(parts)
    found = {index for start, end in FINDERS[0](text, read(text)) for index in range(start, end)}
    missed = [span for span in ungated(text) if not found.issuperset(range(*span))]
    assert missed == []


NAMES = [
    "pass", "password", "passwords", "passwd", "passphrase", "passcode", "pwd", "secret", "secrets", "token",
    "authtoken", "key", "keys", "apikey", "apikeys", "auth", "authorization", "cookie", "cookies", "cred", "creds",
    "credential", "credentials", "bearer", "value", "header", "plain", "plaintext", "raw", "b64", "base64", "encoded",
    "encrypted", "tokens", "api", "access", "private", "max", "x", "2",
]  # fmt: skip


def test_the_search_for_names_finds_each_name_that_proves_a_secret():
    words = [*NAMES, *map(str.title, NAMES), *map(str.upper, NAMES), ""]
    names = {separator.join(pair) for pair in itertools.product(words, words) for separator in ("", "_", "-")}
    secret = [name for name in names if proof_of(name) is not Proof.NONE]
    assert [name for name in secret if not find(f'{name}="{MIXED[:32]}"')] == []


def test_the_name_of_a_count_is_passed_over_without_a_look_at_its_words(monkeypatch):
    looks = []
    monkeypatch.setattr(secret_finders, "proof_of", lambda name: looks.append(name) or proof_of(name))
    find('{"max_tokens": 5, "text": "A tokenizer and a monkeywrench", "tokenId": 1, "key": 2}' * 9)
    assert looks == ["key"] * 9


@given(st.sampled_from(WRITTEN), st.text(max_size=20), st.text(max_size=20), st.booleans())
def test_the_characters_around_a_secret_do_not_hide_it(form, before, after, upper):
    form = form.upper().replace("{P}", "{p}").replace("{K}", "{k}") if upper and "?" not in form else form
    text = f"{before}\n{form.format(p=PASSWORD, k=PLAIN)}\n{after}"
    assert PASSWORD not in Redactor().secrets(text) and PLAIN not in Redactor().secrets(text)


@given(st.text() | st.lists(st.sampled_from([*WRITTEN, '"', "\\", "\n", "{", "}"])).map("".join))
def test_the_result_is_json_whatever_is_redacted(text):
    assert set(json.loads(content.json({"x": text, "y": [text, 1]}))) == {"x", "y"}
    assert json.loads(content.json({"x": text}))["x"] == content.text(text)


def test_no_token_is_shorter_than_the_words_that_the_finder_reads():
    assert re._parser.parse(token_pattern().pattern).getwidth()[0] >= SHORTEST


def work(text):
    """Return the least processor time of a few runs in seconds, which other programs of the machine do not change."""
    redactor, best = Redactor(), float("inf")
    for _ in range(3):
        began = time.thread_time()
        redactor.secrets(text)
        best = min(best, time.thread_time() - began)
    return best


def grows_with_the_text(part):
    """Return whether eight times the text takes about eight times the work; a quadratic pattern takes 64 times."""
    small, large = (part * (size // len(part) + 1) for size in (8_192, 65_536))
    return any(work(large) < 24 * max(work(small), 1e-4) for _ in range(3))


MARKERS = [*(prefix for prefixes, _ in SHAPES for prefix in prefixes if prefix), "hooks/", "&sig=", "hookb2/"]
HOSTILE = [
    "eyJ-", "eyJ", "a-", "sk-", "sk-a-", "xoxb-", "ghp_", "a.", "a:", "@", "a:@", "://", "://a:", "://a:@", "a:b@",
    "x:@a:1", "token=", "token:", "key='", "key: ", "password=\\", "pass", "secret ", "secret: ", "auth=auth:",
    "--token ", "bearer ", "cookie: a=", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "-----END", "_", "-", "?",
    "?key=", "%20", "[31m", "\\n", "password: str =", "A1", "aB1", "a", "1", " ", "é", "日本", "\u0130", "12345678:A",
    "abc8Q~", "{", '"', 'token":"', "s.", *MARKERS,
]  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE, ids=repr)
def test_time_is_linear_in_the_text(part):
    assert grows_with_the_text(part)


def test_texts_of_hostile_parts_take_linear_time():
    parts = random.Random(7)  # noqa: S311 - the same parts in each run
    mixed = ["".join(parts.choices(HOSTILE, k=3)) for _ in range(60)]
    assert [part for part in mixed if not grows_with_the_text(part)] == []
