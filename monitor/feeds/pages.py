"""The text of an article from its web page, by trafilatura. Runs in a worker that may be killed: see parser.py."""

from __future__ import annotations

import trafilatura

from monitor.errors import FeedError
from monitor.feeds.plain import plain_text

TEXT_LENGTH = 20_000
"""Characters of a text that are kept."""
_MARKUP = (b"<html", b"<!doctype html", b"<body", b"<article", b"<p")


def page_text(body: bytes, content_type: str = "", url: str = "") -> str:
    """One line of plain text of at most `TEXT_LENGTH` characters: the article without menus, comments and scripts.
    Raises `FeedError` (not_a_page) when there is no article in it. Never asks the network."""
    if "html" not in content_type.lower() and not any(mark in body[:4_000].lower() for mark in _MARKUP):
        raise FeedError("this is not a web page", kind="not_a_page")
    found = trafilatura.extract(body, include_comments=False, include_tables=False, favor_precision=True)
    text = plain_text(found, TEXT_LENGTH)
    if not text:
        raise FeedError("no article was found on the page", kind="not_a_page")
    return text
