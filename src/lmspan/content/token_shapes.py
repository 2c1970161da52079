"""The shapes of well-known tokens, as data.

Source of the prefixes, alphabets and lengths: the public rule set of gitleaks (MIT license), `config/gitleaks.toml` as
of 2025-11-20 (release 8.30), and the providers' own keys where the rule set has none (LLM providers, mostly). A length
here is a lower bound, below the length in the source, so that the pattern also matches a token that a log has cut.

A row is (prefixes, pattern of the rest). No pattern can match a space, a quotation mark, a bracket, a comma, a
semicolon, a bar, a question mark or a backslash, because a token is a part of one word.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_AN: Final = "[A-Za-z0-9]"
_W: Final = "[A-Za-z0-9_-]"
_HEX: Final = "[A-Fa-f0-9]"

SHAPES: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    # Models, and services for them
    (("sk-ant-", "sk-proj-", "sk-svcacct-", "sk-admin-", "sk-or-v1-", "sk-lf-"), _W + r"{16,}"),
    # one part is long and has a digit: "sk-learn-pipelines" is no token
    (("sk-",), r"(?:[A-Za-z0-9_]{1,12}-){0,5}(?=[A-Za-z_]{0,64}[0-9])[A-Za-z0-9_]{13,}" + _W + "*"),
    (("gsk_", "xai-", "pplx-", "hf_", "api_org_", "r8_", "fw_", "jina_", "tgp_v1_", "esecret_"), _AN + r"{20,}"),
    (("pcsk_", "lsv2_pt_", "lsv2_sk_", "ls__", "apify_api_"), r"[A-Za-z0-9_]{20,}"),
    (("nvapi-", "tvly-", "csk-", "BSA"), r"(?=[A-Za-z_-]{0,64}[0-9])" + _W + r"{20,}"),
    (("pa-",), r"(?=[A-Za-z_-]{0,64}[0-9])" + _W + r"{40,}"),
    (("fc-", "key-", "dapi"), _HEX + r"{32}"),
    # Google, Amazon, Microsoft, Alibaba
    (("AIza", "GOCSPX-", "ya29.", "AQ.Ab"), _W + r"{24,}"),
    (("1//0",), _W + r"{24,}"),
    (("AKIA", "ASIA", "ABIA", "ACCA", "A3T"), r"[A-Z0-9]{16,17}(?![A-Za-z0-9])"),
    (("ABSK", "bedrock-api-key-"), r"[A-Za-z0-9+/]{32,}={0,2}"),
    (("LTAI",), _AN + r"{20}(?![A-Za-z0-9])"),
    (("",), r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}"),
    # Code hosting and packages
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), _AN + r"{20,}"),
    (("github_pat_",), r"[A-Za-z0-9_]{20,}"),
    (
        (
            "glpat-",
            "gldt-",
            "glrt-",
            "glrtr-",
            "glcbt-",
            "glft-",
            "glffct-",
            "glimt-",
            "glagent-",
            "gloas-",
            "glptt-",
            "glsoat-",
            "GR1348941",
        ),
        r"[A-Za-z0-9_.-]{16,}",
    ),
    (("ATATT3", "ATCTT3", "ATBB"), r"[A-Za-z0-9_=-]{20,}"),
    (("npm_", "dckr_pat_", "dckr_oat_"), r"[A-Za-z0-9-]{20,}"),
    (("pypi-",), r"(?=[A-Za-z_-]{0,64}[0-9])" + _W + r"{32,}"),
    (("rubygems_", "shippo_live_", "shippo_test_", "sbp_", "sntryu_", "pul-"), _HEX + r"{32,}"),
    (("oy2",), r"[a-z0-9]{43}(?![A-Za-z0-9])"),
    (("CLOJARS_", "AKCp", "cmVmd"), _AN + r"{55,}"),
    (("sgp_",), r"(?:local_|[A-Fa-f0-9]{16}_)?[A-Fa-f0-9]{40}"),
    (("CCIPAT_",), r"[A-Za-z0-9_]{20,}"),
    # Chat and mail
    (("xoxa-", "xoxb-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xoxe.xox", "xapp-"), r"[A-Za-z0-9-]{11,}"),
    (("",), r"[0-9]{7,16}:A[A-Za-z0-9_-]{32,}"),
    (("SG.",), r"[A-Za-z0-9_=.-]{40,}"),
    (("SK",), _HEX + r"{32}(?![A-Za-z0-9])"),
    (("xkeysib-",), r"[A-Za-z0-9-]{32,}"),
    (("re_",), _AN + r"{8}_" + _AN + r"{20,}"),
    # Payment and shops
    (("sk_live_", "sk_test_", "sk_prod_", "rk_live_", "rk_test_", "rk_prod_"), _AN + r"{10,}"),
    (("whsec_",), r"[A-Za-z0-9+/=]{20,}"),
    (("shpat_", "shpca_", "shppa_", "shpss_"), _HEX + r"{32}"),
    (("sq0atp-", "sq0csp-", "EAAA"), _W + r"{22,}"),
    (("EAAM", "EAAC"), _AN + r"{60,}"),
    (("EZAK", "EZTK"), _AN + r"{50,}"),
    (("FLWSECK_TEST-",), _AN + r"{12,}"),
    # Hosting, data, operations
    (("doo_v1_", "dop_v1_", "dor_v1_"), _HEX + r"{32,}"),
    (("dp.pt.", "dp.st.", "dp.ct."), r"[A-Za-z0-9_.-]{30,}"),
    (("dt0c01.", "dt0s01.", "dt0s16."), r"[A-Za-z0-9.]{32,}"),
    (("fo1_",), _W + r"{32,}"),
    (("fm1a_", "fm1r_", "fm2_", "glc_", "glsa_", "sntrys_"), r"[A-Za-z0-9+/_]{32,}={0,3}"),
    (("HRKU-", "tskey-", "figd_", "rnd_", "sb_secret_", "tfp_"), r"(?=[A-Za-z_-]{0,64}[0-9])" + _W + r"{20,}"),
    (("hvs.", "hvb."), _W + r"{20,}"),
    (("s.",), r"(?=[A-Za-z]{0,24}[0-9])" + _AN + r"{24}(?![A-Za-z0-9])"),
    (("",), _AN + r"{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}"),
    (("lin_api_", "lin_oauth_", "ntn_", "secret_", "ico-", "sm_aat_", "sm_pat_", "sm_sat_", "pnu_"), _AN + r"{24,}"),
    (("pscale_tkn_", "pscale_oauth_", "pscale_pw_"), r"[A-Za-z0-9_=.-]{20,}"),
    (("PMAK-", "NRAK-", "NRII-", "NRJS-", "tk-us-", "rdme_", "phx_", "duffel_live_", "duffel_test_"), _W + r"{19,}"),
    (("sha256~",), _W + r"{40,}"),
    (("sl.",), r"(?=[A-Za-z_=-]{0,64}[0-9])[A-Za-z0-9_=-]{100,}"),
    (("AGE-SECRET-KEY-1",), r"[A-Z0-9]{40,}"),
    (("ops_eyJ",), r"[A-Za-z0-9+/]{60,}={0,3}"),
    (("A3-",), r"[A-Z0-9]{6}-[A-Z0-9]{6}-?[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}"),
)

# A JSON web token, from the beginning of a word only: otherwise each "eyJ" in a long word starts a new attempt.
_WEB_SIGNED: Final = r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{4,}+(?:\.[A-Za-z0-9_-]*+){0,3}"

SHORTEST: Final = 16  # no token is shorter, so that a reader looks at long words only


def _either(patterns: Iterable[str]) -> str:
    return f"(?:{'|'.join(patterns)})"


def _by_first_letter() -> str:
    """Return all shapes as one pattern with one branch for each first letter, because most words match none."""
    rests: dict[str, list[str]] = {}
    for prefix, tail in ((prefix, tail) for prefixes, tail in SHAPES for prefix in prefixes):
        rests.setdefault(prefix[:1], []).append(re.escape(prefix[1:]) + tail)
    return _either(letter + _either(patterns) for letter, patterns in rests.items())


@functools.cache
def token_pattern() -> re.Pattern[str]:
    """Return the pattern of all tokens. The first word that is long enough compiles it: that takes milliseconds."""
    return re.compile(rf"(?<![A-Za-z0-9])(?=[A-Za-z0-9])(?:{_by_first_letter()}|{_WEB_SIGNED})", re.ASCII)


# The part of an address before its secret: web hooks, and signatures of signed addresses (Azure, Amazon, Google).
SECRET_PATH: Final = re.compile(
    r"(?:hooks\.slack\.com/[a-z]{1,16}/|hooks/(?=[0-9]{5})|hook(?:\.office\.com/webhook)?b2/|(?<=[?&-])sig(?:nature)?=)"
    r"(?P<rest>[A-Za-z0-9_%+/=.~@-]{16,})",
    re.ASCII | re.IGNORECASE,
)
SECRET_PATH_STEMS: Final = (b"hook", b"sig")
