"""Which item is which: the same article keeps its identity over re-polls, and two articles never share one.

A web address identifies an article best; a guid only within its feed, unless it is globally unique by its form; both
may be missing, and both are reused by careless feeds. So an item has candidates, best first: a poll takes the first
that the store knows, else the first.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from monitor.domain import ArticleDraft, DateQuality

_TRACKING = re.compile(
    r"(utm_\w+|at_\w+|mc_[ce]id|mkt_tok|fbclid|gclid|dclid|msclkid|yclid|igshid|twclid|ttclid|_hs\w+|hsa_\w+|vero_\w+"
    r"|ns_\w+|ito|cmp|cmpid|icid|ncid|sref|smid|ref|ref_src|referrer|rss|feedtype|feedname|partner|emc|src|source"
    r"|campaign_id|ocid|wt\.\w+|spm|guccounter|\.tsrc|syndication|taid|mod)",
    re.IGNORECASE,
)
_GLOBAL_GUID = re.compile(r"(https?://|tag:|urn:)", re.IGNORECASE)


def canonical_url(url: str) -> str:
    """The address without what only says how a reader came: tracking parameters, fragment, scheme, default port.

    For comparison, not for opening. Parameters that are left keep their order, for some sites give it a meaning.
    """
    parts = urlsplit(url.strip())
    host = (parts.hostname or "").rstrip(".").removeprefix("www.")
    try:
        port = parts.port
    except ValueError:
        port = None
    if port not in (None, 80, 443):
        host = f"{host}:{port}"
    kept = [(name, value) for name, value in parse_qsl(parts.query, True) if not _TRACKING.fullmatch(name)]
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._").rstrip("/")
    return f"{host}{path}?{urlencode(kept)}" if kept else f"{host}{path}"


def _key(kind: str, *parts: str) -> str:
    return hashlib.sha256("\x1f".join((kind, *parts)).encode("utf-8", "replace")).hexdigest()[:32]


def archive_identity(title: str, published: datetime, url: str | None, source: str) -> str:
    """Identity of a row of an archive; a row with an address is the same article as a feed's item with it."""
    if url and _identifies(url):
        return _key("url", canonical_url(url))
    return _key("row", source, title, published.isoformat())


def _identifies(url: str) -> bool:
    parts = urlsplit(url)
    return parts.path.rstrip("/") != "" or parts.query != ""


def identity_candidates(drafts: Sequence[ArticleDraft], feed_id: int) -> list[tuple[str, ...]]:
    """For each draft of one document its possible identities, best first; each has at least one.

    A link or guid that several items of the document share while they differ otherwise identifies none of them.
    """
    links = [canonical_url(draft.url) if draft.url and _identifies(draft.url) else None for draft in drafts]
    pairs = {(link, draft.guid, draft.title) for link, draft in zip(links, drafts, strict=True)}
    shared_links = Counter(link for link, _ in {(link, guid or title) for link, guid, title in pairs} if link)
    shared_guids = Counter(guid for guid, _ in {(guid, link or title) for link, guid, title in pairs} if guid)
    scope = str(feed_id)
    found = []
    for link, draft in zip(links, drafts, strict=True):
        candidates = []
        if link and shared_links[link] == 1:
            candidates.append(_key("url", link))
        if draft.guid and shared_guids[draft.guid] == 1:
            candidates.append(_key("guid", "" if _GLOBAL_GUID.match(draft.guid) else scope, draft.guid))
        if not candidates:
            day = draft.published.isoformat() if draft.published and draft.date_quality is DateQuality.EXACT else ""
            candidates.append(_key("text", scope, draft.guid or "", link or "", draft.title, day))
        found.append(tuple(candidates))
    return found
