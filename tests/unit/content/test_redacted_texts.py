"""Texts with secrets as they are recorded, whole: a secret is taken out from its first character to its last."""

import pytest

from lmspan.content.redaction import Redactor
from lmspan.content.secret_finders import find, known, read

KEY, PLAIN, PASSWORD = "a1B2c3D4e5F6", "abcdefabcdef", "hunter2hunter2"
TOKEN = "gh" + "p_" + KEY * 3  # put together here, so that no file holds the shape of one
SLACK = "https://hooks.slack.com/services/"
BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
R = "[redacted]"

RECORDED = {
    # names and values; what is after the value stays
    f"DB_PASS={PASSWORD} end": f"DB_PASS={R} end",
    f"password={PASSWORD}, user=ada": f"password={R}, user=ada",
    f"passwd: {PASSWORD}\nuser: ada": f"passwd: {R}\nuser: ada",
    f"password:\n  {PASSWORD} end": f"password:\n  {R} end",
    f"AccountKey={PLAIN};EndpointSuffix=x": f"AccountKey={R};EndpointSuffix=x",
    f"token={KEY} token={KEY} token={KEY}": f"token={R} token={R} token={R}",
    f"token: {KEY}, secret: {KEY}, pwd: {KEY}": f"token: {R}, secret: {R}, pwd: {R}",
    f"PASSWORD={PASSWORD}&(!,x end": f"PASSWORD={R} end",
    f"FOO_TOKEN={KEY};{KEY}|x end": f"FOO_TOKEN={R} end",
    f"foo_token={KEY};x end": f"foo_token={R};x end",
    f"Foo_Token={KEY};x end": f"Foo_Token={R};x end",
    f"password=\u00e4{PASSWORD}\u00f6 end": f"password={R} end",
    f"password={KEY * 60} end": f"password={R} end",
    # signs
    f"api_key := {KEY}": f"api_key := {R}",
    f"api_key => {KEY}": f"api_key => {R}",
    f"api_key === {KEY}": f"api_key === {R}",
    f"api_key{' ' * 8}:{' ' * 8}{KEY}": f"api_key{' ' * 8}:{' ' * 8}{R}",
    f"<password>{PASSWORD}</password>": f"<password>{R}</password>",
    f"--password {PASSWORD} --verbose": f"--password {R} --verbose",
    f"--api-key={PLAIN} --verbose": f"--api-key={R} --verbose",
    f"bearer {KEY}, next": f"bearer {R}, next",
    f"BEARER {PLAIN} next": f"BEARER {R} next",
    f"https://example.com/?key={PLAIN}&b=2": f"https://example.com/?key={R}&b=2",
    f"https://example.com/?a=1&KEY={KEY}#x": f"https://example.com/?a=1&KEY={R}",
    # quotes, types and schemes
    f'{{"api_key": "{PLAIN}", "a": 1}}': f'{{"api_key": "{R}", "a": 1}}',
    f'{{\\"password\\": \\"{PASSWORD}\\", x}}': f'{{\\"password\\": \\"{R}\\", x}}',
    f"['api_key'] = '{PLAIN}' end": f"['api_key'] = '{R}' end",
    f"'api_key': b'{KEY}' end": f"'api_key': b'{R}' end",
    f'api_key=rb"{KEY}" end': f'api_key=rb"{R}" end',
    f"token := `{PLAIN}` end": f"token := `{R}` end",
    f"token: str = '{KEY}' end": f"token: str = '{R}' end",
    f"token: str='{KEY}' end": f"token: str='{R}' end",
    # a value before a sign is no type
    f"password: {PASSWORD}\n====": f"password: {R}\n====",
    f"PASSWORD: {PASSWORD}\n=0": f"PASSWORD: {R}\n=0",
    f"api_key: {KEY}\n=== x": f"api_key: {R}\n=== x",
    f"Password: {PASSWORD} = x": f"Password: {R} = x",
    f"Password: {PASSWORD}='x'": f"Password: {R}'x'",
    f"password='{KEY}\\'x": f"password='{R}\\'x",
    f"Authorization: Bearer {PLAIN} end": f"Authorization: Bearer {R} end",
    f"Authorization: Digest {KEY} end": f"Authorization: Digest {R} end",
    f"Authorization: apikey {KEY} end": f"Authorization: apikey {R} end",
    f'password: "{KEY} and more" end': f'password: "{R}" end',
    'a_passphrase="correct horse battery" end': f'a_passphrase="{R}" end',
    "secret = 'SOME_VALUE_X1'": f"secret = '{R}'",
    # a word and a mixed word: what the name proves and the sign decide
    "password=swordfish": f"password={R}",
    "password:=swordfish": f"password:={R}",
    "pwd=swordfish": f"pwd={R}",
    "<password>swordfish<": f"<password>{R}<",
    "--password swordfish": f"--password {R}",
    "PASSWORD=swordfish": f"PASSWORD={R}",
    "FOO_TOKEN=swordfish": f"FOO_TOKEN={R}",
    "password='swordfish'": f"password='{R}'",
    "access_token: sword9": f"access_token: {R}",
    "access-token: sword9": f"access-token: {R}",
    "api_key: sword9": f"api_key: {R}",
    # cookies
    f"cookie: a={KEY}; b=2\nnext": f"cookie: {R}\nnext",
    'Set-Cookie: a=1" next': f'Set-Cookie: {R}" next',
    f"Cookie: {KEY} next": f"Cookie: {R} next",
    # addresses
    f"postgres://ada:{PASSWORD}@db.example/x": f"postgres://ada:{R}@db.example/x",
    f"https://ada:p@{PASSWORD}@db.example/x": f"https://ada:{R}@db.example/x",
    f"https://{KEY}@host/x": f"https://{R}@host/x",
    f"https://{KEY}:{PASSWORD}@host/x": f"https://{R}:{R}@host/x",
    f"redis://:{PASSWORD}@cache:1": f"redis://:{R}@cache:1",
    "https://ada:8080x@host": f"https://ada:{R}@host",
    f"proxy ada:{PASSWORD}@localhost refused": f"proxy ada:{R}@localhost refused",
    f"ada:{PASSWORD}@10.0.0.1 end": f"ada:{R}@10.0.0.1 end",
    f"ada:{PASSWORD}@example.com:99 end": f"ada:{R}@example.com:99 end",
    f"(ada:{PASSWORD}@localhost, bob:{PASSWORD}@localhost)": f"(ada:{R}@localhost, bob:{R}@localhost)",
    f"a@b ada:{PASSWORD}@localhost": f"a@b ada:{R}@localhost",
    f"{SLACK}T0/B0/{KEY} end": f"{SLACK}{R} end",
    f"{SLACK}T0/B0/{KEY} {SLACK}T1/B1/{KEY} end": f"{SLACK}{R} {SLACK}{R} end",
    f"a hook {SLACK}T0/B0/{KEY}": f"a hook {SLACK}{R}",
    f"https://x/c?sv=1&sig={PLAIN}{PLAIN} end": f"https://x/c?sv=1&sig={R} end",
    # blocks
    f"a {BEGIN}x{END} b {BEGIN}y{END} c": f"a {R} b {R} c",
    f"a {BEGIN}\nx\n{END}\nb": f"a {R}\nb",
    f"a {BEGIN.lower()}\nx\n{END.lower()}\nb": f"a {R}\nb",
    f"{BEGIN}\nMIIE{PLAIN}": R,
    f"{BEGIN}\\nMIIE{PLAIN}": R,
    f"{BEGIN}\nProc-Type: 4": R,
    f"{END} {BEGIN}\nMIIE{PLAIN}": f"{END} {R}",
    f"look for {BEGIN} and then {BEGIN}\nx{END}": f"look for {R}",
    # tokens of a known shape
    f"{TOKEN}": R,
    f"a {TOKEN} b '{TOKEN}' c": f"a {R} b '{R}' c",
    f"line\\n{TOKEN}\\n": f"line\\n{R}\\n",
    f"\x1b[31m{TOKEN}\x1b[0m": f"\x1b[31m{R}\x1b[0m",
    f"%20{TOKEN}": f"%20{R}",
    f"{'w' * 50} {TOKEN} {'w' * 50}": f"{'w' * 50} {R} {'w' * 50}",
    f"\u5bc6\u7801{TOKEN}\u3002": f"\u5bc6\u7801{R}\u3002",
}
FAR = "word " * 40
"""A text with this before is too long for the one quick pattern."""


@pytest.mark.parametrize("text", RECORDED, ids=range(len(RECORDED)))
def test_a_text_is_recorded_without_its_secrets_and_otherwise_as_it_is(text):
    assert Redactor().secrets(text) == RECORDED[text]
    assert Redactor().secrets(f"{FAR}\n{text}") == f"{FAR}\n{RECORDED[text]}"


KEPT = (
    # code that reads the value, and other names for it
    f"token={KEY}(1)", f"token={KEY}[0]", "password=os.environ.x", "password=a.b", "password = secret",
    "password=password", "api_key: API_TOKEN", "API_KEY='OPENAI_KEY'", "password='two words here' end",
    # a word and a mixed word, where the name or the sign proves too little
    "password: swordfish", "password==swordfish", "token=swordfish", "token: swordfish", "--token swordfish",
    "token='swordfish'", "token: sword9", "sort_key: sword9", "api_key: swordfish", "password=TOKEN",
    "password: PASS_swordfish",
    # signs that assign nothing
    f"password {PASSWORD}", f"token {KEY}", f"password>{PASSWORD}", f"x password> {PASSWORD}", f"api_key ==== {KEY}",
    f"token: str {KEY}", f"api_key{' ' * 9}: {KEY}", f"key={KEY}", f"?Key={KEY}", f"x key={KEY}",
    # addresses
    "https://ada:{x}@host", "https://ada:$x@host", "https://ada:<x>@host", "https://ada:[x]@host",
    "https://ada:*x@host", "https://ada:%x@host", "https://ada:8080?x@host", "https://ada:80#x@host",
    "https://ada:@host", "https://ada@host", f"ada:{PASSWORD}@example.com", f"ada:{PASSWORD}@localhosts",
    f"{SLACK}short", "hook and sign, a signature= of few",
    # blocks
    f"{BEGIN} in it", "-----BEGIN PUBLIC KEY-----x-----END PUBLIC KEY-----", f"-----begin {END}", "-----BEGIN",
)  # fmt: skip


@pytest.mark.parametrize("text", KEPT, ids=range(len(KEPT)))
def test_a_text_that_gives_no_secret_away_stays(text):
    assert Redactor().secrets(text) == text
    assert Redactor().secrets(f"{FAR}\n{text}") == f"{FAR}\n{text}"


def test_a_text_is_read_in_small_letters_with_each_character_at_its_place():
    assert read("Aé日\u0130\ud800z") == b"a????z"


# secrets that are known ----------------------------------------------------------------------------------------------

LONG = "plum pudding 42 xyzz"  # as long as a secret that is taken out of longer words, too


@pytest.mark.parametrize(
    ("text", "secret", "spans"),
    [
        ("a plum42 b plum42", "plum42", [(2, 8), (11, 17)]),
        ("plum42plum42", "plum42", []),
        ("(plum42)", "plum42", [(1, 7)]),
        ("xplum42", "plum42", []),
        ("plum42x", "plum42", []),
        ("\\nplum42", "plum42", [(2, 8)]),
        ("%3Dplum42", "plum42", [(3, 9)]),
        ("nplum42", "plum42", []),
        ("3Dplum42", "plum42", []),
        ("%3Dxplum42", "plum42", []),
        ("-plum42-", "-plum42-", [(0, 8)]),
        ("a-plum42-b", "-plum42-", [(1, 9)]),
        (f"x{LONG}x", LONG, [(1, 21)]),
        (f"x{LONG[1:]}x", LONG[1:], []),
        ("nothing", "plum42", []),
    ],
)
def test_a_known_secret_is_found_as_a_word_and_a_long_one_anywhere(text, secret, spans):
    assert list(known(text, secret)) == spans


@pytest.mark.parametrize("length", [95, 96, 97, 200])
def test_a_secret_is_found_in_a_text_of_any_length(length):
    text = f"token={KEY}".rjust(length)
    assert find(text) == [(length - len(KEY), length)]
    assert find("w" * 3 + " " * (length - 3)) == []
