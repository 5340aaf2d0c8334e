"""From the bytes of a feed document to a `ParsedFeed`. Runs in a worker that may be killed: see parser.py.

feedparser gets bytes in a stream, never a string or a name, which it would take for a URL or a file. Its own
sanitiser stays off: it cleans only some fields and can be held for minutes; every field is made plain here.
"""

from __future__ import annotations

import io
import json
import re
from calendar import timegm
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_tz
from typing import Any

import feedparser

from monitor.domain import ArticleDraft, DateQuality, ParsedFeed
from monitor.errors import FeedError
from monitor.feeds.dating import quality_of
from monitor.feeds.plain import SUMMARY_LENGTH, TITLE_LENGTH, plain_text, web_link

NEWEST = 1_000
_ITEM = re.compile(rb"<(?:\w{1,20}:)?(?:item|entry)[\s>]")
_DATE = re.compile(rb"<(?:pubDate|published|updated|dc:date)[^<>]{0,200}>([^<]{1,80})<", re.I)
_ROOT_END = re.compile(rb"</(?:\w{1,20}:)?(?:rss|feed|rdf)\s*>", re.I)
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body)[\s>]", re.I)
_SITEMAP = re.compile(rb"<(?:\w{1,20}:)?(?:urlset|sitemapindex)[\s>]")
_NOTICE = re.compile(
    r"(?:feed |rss )?error(?:\s*(?:\d{3}|message|notice|document|$))|bridge returned error"
    r"|(?:4\d\d|5\d\d)\b[ :-]+(?:not found|forbidden|gone|bad gateway|internal|service|too many)"
    r"|(?:this |the )?(?:rss )?feed (?:(?:is|was|has been) (?:no longer|not|discontinued|closed|retired|removed"
    r"|disabled|unavailable)|not found|unavailable)"
    r"|错误(?:提示|信息|页面|$)|订阅(?:返回错误|已?失效|已?过期|不存在|错误)|产品下线|该?(?:源|订阅|频道)已(?:下线|停用|失效)",
    re.I,
)
_LANGUAGE = re.compile(r"([a-zA-Z]{2,3})(?:[-_][\w-]*)?\s*")
_PERIOD_S = {"hourly": 3600.0, "daily": 86400.0, "weekly": 604800.0, "monthly": 2592000.0, "yearly": 31536000.0}


def parse_document(body: bytes, content_type: str = "", url: str = "") -> ParsedFeed:
    """RSS, Atom, RDF or JSON Feed as drafts, newest 1,000. Raises `FeedError` (not_a_feed) for anything else."""
    if body.lstrip()[:1] == b"{" or "json" in content_type.lower():
        return _parse_json(body, url)
    trimmed, dropped = _newest_items(body)
    headers = {"content-location": url} if url else {}
    if content_type:
        headers["content-type"] = content_type
    parsed = feedparser.parse(
        io.BytesIO(trimmed), response_headers=headers, sanitize_html=False, resolve_relative_uris=False
    )
    narrow = body.replace(b"\0", b"") if b"\0" in body[:200] else body  # UTF-16 and UTF-32 read as ASCII here
    if not parsed.version:
        raise FeedError(_what_it_is(narrow), kind="not_a_feed")
    if parsed.bozo and not _ROOT_END.search(narrow):
        raise FeedError("the feed document is cut short", kind="not_a_feed")
    drafts, unusable = _drafts(map(_draft, parsed.entries))
    title = plain_text(_text(parsed.feed, "title"), 200)
    _refuse_notice(title, plain_text(_text(parsed.feed, "subtitle"), 200), drafts)
    return ParsedFeed(
        title=title,
        language=_language(_text(parsed.feed, "language")),
        drafts=drafts,
        ttl_s=_ttl(parsed.feed),
        dropped=dropped + unusable,
    )


def _refuse_notice(title: str, subtitle: str, drafts: Sequence[ArticleDraft]) -> None:
    """A service that no longer brings a feed may go on answering with one that says so: one item, and no news.
    Taken for news it would read as calm. Raises `FeedError` with its words."""
    if len(drafts) != 1:
        return
    said = drafts[0].title
    if any(_NOTICE.match(text) for text in (title, subtitle)) or _NOTICE.match(said):
        words = ": ".join(dict.fromkeys(text for text in (title, said) if text))
        raise FeedError(f"the feed holds only a notice of an error: {words[:200]}", kind="not_a_feed")


def _what_it_is(body: bytes) -> str:
    head = body[:20_000]
    if _SITEMAP.search(head):
        return "this is a sitemap, not a feed"
    if _HTML.search(head):
        return "the server sent a web page instead of a feed"
    return "this is not an RSS, Atom or JSON feed"


def _newest_items(body: bytes) -> tuple[bytes, int]:
    """The document with its newest 1,000 items only, and how many are gone: parsing 50,000 would take minutes.

    Works on bytes, so only for encodings that agree with ASCII; others are bounded by the parser's time limit.
    """
    starts = [match.start() for match in _ITEM.finditer(body)]
    if len(starts) <= NEWEST:
        return body, 0
    last_end = max(body.rfind(b"</item>"), body.rfind(b"</entry>"))
    last_end = body.index(b">", last_end) + 1 if last_end > starts[-1] else len(body)
    chunks = [body[start:end] for start, end in zip(starts, [*starts[1:], last_end], strict=True)]
    order = sorted(range(len(chunks)), key=lambda index: (-_rough_time(chunks[index]), index))
    kept = sorted(order[:NEWEST])
    return body[: starts[0]] + b"".join(chunks[index] for index in kept) + body[last_end:], len(chunks) - NEWEST


def _rough_time(chunk: bytes) -> float:
    """Seconds since the epoch, only to put items in order; items without a date stay in the order of the document."""
    found = _DATE.search(chunk)
    if not found:
        return 0.0
    raw = found[1].decode("latin-1").strip()
    try:
        if raw[:4].isdigit():
            moment = datetime.fromisoformat(raw)
            return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).timestamp()
        parts = parsedate_tz(raw)
        return float(timegm((*parts[:6], 0, 0, 0)) - (parts[9] or 0)) if parts else 0.0
    except (ValueError, OverflowError, OSError):
        return 0.0


def _drafts(found: Iterable[ArticleDraft | None]) -> tuple[tuple[ArticleDraft, ...], int]:
    drafts, unusable = [], 0
    for draft in found:
        if draft is None:
            unusable += 1
        else:
            drafts.append(draft)
    return tuple(drafts[:NEWEST]), unusable + max(0, len(drafts) - NEWEST)


def _text(entry: Any, name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""


def _draft(entry: Any) -> ArticleDraft | None:
    content = entry.get("content") or [{}]
    summary = plain_text(_text(entry, "summary") or _text(content[0], "value"), SUMMARY_LENGTH)
    published, quality = _date(entry)
    return _made(
        guid=_text(entry, "id"),
        url=web_link(_text(entry, "link")),
        title=plain_text(_text(entry, "title"), TITLE_LENGTH),
        summary=summary,
        author=plain_text(_text(entry, "author"), 200),
        published=published,
        quality=quality,
        language=_language(_text(entry, "language")),
    )


def _made(
    *,
    guid: str,
    url: str | None,
    title: str,
    summary: str,
    author: str,
    published: datetime | None,
    quality: DateQuality,
    language: str | None,
) -> ArticleDraft | None:
    """A draft, or None for an item that says nothing. One without a title takes the beginning of its text."""
    if not title:
        title = summary if len(summary) <= 120 else summary[:120].rsplit(" ", 1)[0] + "…"
    if not title:
        return None
    return ArticleDraft(
        guid=plain_text(guid, 1_000) or None,
        url=url,
        title=title,
        summary="" if summary == title else summary,
        author=author,
        published=published,
        date_quality=quality,
        language=language,
    )


def _date(entry: Any) -> tuple[datetime | None, DateQuality]:
    for name in ("published", "updated", "created"):
        raw, parsed = _text(entry, name), entry.get(f"{name}_parsed")
        if raw and parsed:
            quality = quality_of(raw)
            try:
                moment = datetime.fromtimestamp(timegm(parsed), tz=UTC)
            except (ValueError, OverflowError, OSError):
                quality = DateQuality.NONE
            if quality is not DateQuality.NONE:
                return moment, quality
    return None, DateQuality.NONE


def _language(value: str) -> str | None:
    found = _LANGUAGE.fullmatch(value.strip())
    return found[1].lower() if found else None


def _ttl(feed: Any) -> float | None:
    """Seconds between polls that the feed itself asks for: <ttl> in minutes, or the syndication module."""
    minutes = _text(feed, "ttl").strip()
    if minutes.isascii() and minutes.isdigit() and 0 < int(minutes[:9]) <= 100_000:
        return int(minutes[:9]) * 60.0
    period = _PERIOD_S.get(_text(feed, "sy_updateperiod").strip().lower())
    if period is None:
        return None
    times = _text(feed, "sy_updatefrequency").strip()
    return period / max(1, int(times[:6])) if times.isascii() and times.isdigit() else period


# ── JSON Feed (jsonfeed.org 1.0 and 1.1) ─────────────────────────────────────────────────────────────────────────


def _parse_json(body: bytes, url: str) -> ParsedFeed:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FeedError("this is neither a feed nor whole JSON", kind="not_a_feed") from error
    if not isinstance(document, dict) or "jsonfeed.org/version/" not in str(document.get("version", "")):
        raise FeedError("this is JSON, but not a JSON Feed", kind="not_a_feed")
    items = [item for item in document.get("items") or [] if isinstance(item, dict)]
    items.sort(key=lambda item: _rough_time(f"<published>{item.get('date_published', '')}<".encode()), reverse=True)
    drafts, unusable = _drafts(map(_json_draft, items[:NEWEST]))
    return ParsedFeed(
        title=plain_text(_text(document, "title"), 200),
        language=_language(_text(document, "language")),
        drafts=drafts,
        dropped=unusable + max(0, len(items) - NEWEST),
    )


def _json_draft(item: dict[str, Any]) -> ArticleDraft | None:
    authors = item.get("authors") or [item.get("author")]
    names = (
        [_text(author, "name") for author in authors if isinstance(author, dict)] if isinstance(authors, list) else []
    )
    raw = _text(item, "date_published") or _text(item, "date_modified")
    published, quality = None, DateQuality.NONE
    try:
        moment = datetime.fromisoformat(raw)
        quality = quality_of(raw)
        published = (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError):
        quality = DateQuality.NONE
    text = _text(item, "summary") or _text(item, "content_text") or _text(item, "content_html")
    return _made(
        guid=str(item.get("id") or ""),
        url=web_link(_text(item, "url") or _text(item, "external_url")),
        title=plain_text(_text(item, "title"), TITLE_LENGTH),
        summary=plain_text(text, SUMMARY_LENGTH),
        author=plain_text(", ".join(filter(None, names)), 200),
        published=published if quality is not DateQuality.NONE else None,
        quality=quality,
        language=_language(_text(item, "language")),
    )
