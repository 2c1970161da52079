"""The page's document with its style inside, so that a browser paints it with the first response."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Final

STATIC: Final = Path(__file__).parent / "static"
_LINKED_STYLE: Final = re.compile(r'<link rel="stylesheet"[^\n]*')


@cache
def style() -> str:
    """Return the style sheet of the page."""
    return (STATIC / "style.css").read_text("utf-8")


def document() -> str:
    """Return the HTML of the page, with its style inside."""
    html = (STATIC / "index.html").read_text("utf-8")
    return _LINKED_STYLE.sub(lambda _: f"<style>{style()}</style>", html)


def digest(text: str) -> str:
    """Return the source expression of a Content-Security-Policy that allows an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
