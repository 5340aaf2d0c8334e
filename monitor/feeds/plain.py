"""Text of strangers made plain: no markup, no control characters, no overrides of the reading direction.

What comes out is inert in HTML too: nothing in it looks like a tag, however often it was escaped on the way in.
"""

from __future__ import annotations

import html
import re
from urllib.parse import urlsplit

import nh3

TITLE_LENGTH = 1_000
SUMMARY_LENGTH = 4_000
_RAW_FACTOR = 12  # markup may be so many times longer than the text that is kept of it
_TAG = re.compile(r"<[a-zA-Z/!?]")
_BLOCK = re.compile(r"<(?=/?(?:p|div|br|li|ul|ol|tr|td|th|h[1-6]|blockquote|hr|table|figure|figcaption)\b)", re.I)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
# C0 and C1 controls, lone surrogates, non-characters, and the embeddings, overrides and isolates that could make a
# headline read backwards (Trojan Source, CVE-2021-42574). Letters of right-to-left scripts stay as they are.
_HARMFUL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069\ufeff]")
_SPACE = re.compile(r"\s+")
_CLEANER = nh3.Cleaner(tags=set())
_ROUNDS = 4


def plain_text(value: str | None, limit: int) -> str:
    """One line of plain text of at most `limit` characters."""
    text = (value or "")[: limit * _RAW_FACTOR]
    for _ in range(_ROUNDS):
        tagged, escaped = _TAG.search(text) is not None, _ENTITY.search(text) is not None
        if not tagged and not escaped:
            break
        text = html.unescape(_CLEANER.clean(_BLOCK.sub(" <", text))) if tagged else html.unescape(text)
    else:
        text = text.replace("<", " ")  # still markup after so many rounds: nobody escapes an honest text so often
    if not text.isprintable():  # none of what is harmful is
        text = _HARMFUL.sub("", text)
    text = " ".join(text.split())
    if len(text) > limit:
        text = text[: limit - 1].rstrip() + "…"
    return text


def web_link(value: str | None) -> str | None:
    """The link when it is a usable http or https address, else None."""
    link = (value or "").strip()
    if not link or len(link) > 2_000 or " " in link:
        return None
    if not link.isprintable() and (_HARMFUL.search(link) or _SPACE.search(link)):
        return None
    try:
        parts = urlsplit(link)
        usable = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        return None
    return link if usable else None
