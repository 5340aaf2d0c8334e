"""Text that came from outside (feeds, uploads, messages) on its way to a page: always shown as text.

Streamlit's labels, captions and messages read markdown, and plotly reads a subset of HTML: a function for each reader.
What is shown with `st.text` or in a dataframe needs none; spreadsheets, which read formulas, are the work of
monitor/text/export.py.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_WORD_JOINER = "\u2060"  # invisible; keeps `:name:` from being read as an emoji after the escapes are resolved


def plain(text: object) -> str:
    """Text for a place that reads markdown: every punctuation mark escaped, one line.

    A word joiner after each colon, hyphen and angle also keeps Streamlit's own replacements (`:smile:`,
    `:material/home:`, `->`), which run after markdown has resolved the escapes, from changing what was written.
    """
    line = _CONTROL.sub(" ", str(text)).strip()
    escaped = _PUNCTUATION.sub(r"\\\1", line)
    return re.sub(r"(\\[:<>=-])", rf"\1{_WORD_JOINER}", escaped)


def chart_text(text: object, width: int = 0) -> str:
    """Text for a plotly label or hover, which reads a subset of HTML; cut to `width` characters when given."""
    line = _CONTROL.sub(" ", str(text)).strip()
    if width and len(line) > width:
        line = line[: width - 1].rstrip() + "…"
    # `$…$` starts MathJax where it is loaded; a full-width dollar sign never does.
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("$", "＄")


def safe_link(url: str | None) -> str | None:
    """The address if it is http or https with a host, else None: nothing else is ever put behind a click."""
    if not url:
        return None
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    return url.strip() if parts.scheme.lower() in ("http", "https") and parts.netloc else None
