"""Feed text made fit for a message: one line, no control or direction characters, cut to length. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from monitor.domain import Severity

# Direction and invisible characters that can make a headline read as something else (Trojan Source, CVE-2021-42574).
# Zero-width joiner and non-joiner stay: emoji and several scripts need them.
_INVISIBLE: Final = re.compile(
    "[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_BLANK: Final = re.compile(r"[\s\x00-\x20\x7f-\xa0\u2028\u2029]+")

SEVERITY_ORDER: Final = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


def one_line(text: str) -> str:
    """The text as one line: line breaks and control characters become a space, direction characters go."""
    seen = _BLANK.sub(" ", _INVISIBLE.sub("", text))
    kept = (char for char in seen if unicodedata.category(char) not in ("Cc", "Cs", "Co", "Cn"))
    return " ".join("".join(kept).split())


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, an ellipsis marking what was cut; no combining mark is left without its letter."""
    if len(text) <= limit:
        return text
    end = max(0, limit - 1)
    while end > 0 and (unicodedata.combining(text[end]) or text[end] in "\u200d\ufe0f"):
        end -= 1
    return text[:end].rstrip() + "…"


def cut_bytes(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, an ellipsis (3 bytes) marking what was cut."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit:
        return text
    return raw[: max(0, limit - 3)].decode("utf-8", "ignore").rstrip() + "…"


_PARTS = {
    "": "The pipeline",
    "worker": "The worker",
    "poll": "Polling",
    "score": "Scoring",
    "watch": "Watching",
    "deliver": "Delivery",
}


def series_label(series: str) -> str:
    """A series as people say it: `entity:Acme/topic:fraud_crime` → "Acme, fraud crime"."""
    if series == "all":
        return "All news"
    kind, _, rest = series.partition(":")
    if kind == "topic":
        return rest.replace("_", " ").capitalize()
    if kind == "entity":
        name, slash, topic = rest.partition("/topic:")
        return f"{name}, {topic.replace('_', ' ')}" if slash else name
    if kind in ("publisher", "language", "feed"):
        return f"{kind.capitalize()} {rest}"
    if kind == "pipeline":
        return _PARTS.get(rest, series)
    return series
