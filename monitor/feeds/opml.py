"""Lists of feeds as OPML, in and out, so that a desk can bring its reader's list and take ours along.

The publisher, its family and the language go in attributes of our own (`publisher`, `family`, `language`), which
other readers ignore. Folders are read as the family's name when a feed has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

from monitor.domain import Feed, NewFeed
from monitor.errors import UploadError
from monitor.feeds.plain import plain_text, web_link

LARGEST = 5 * 2**20
_DOCTYPE = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_LANGUAGE = re.compile(r"[a-z]{2,3}")


def read_opml(path: Path) -> list[NewFeed]:
    """Feeds of an OPML file. Raises `UploadError` that names the file and what is wrong with it."""
    try:
        if path.stat().st_size > LARGEST:
            raise UploadError(f"{path}: larger than {LARGEST // 2**20} MiB, which no OPML list is")
        return parse_opml(path.read_bytes(), str(path))
    except OSError as error:
        raise UploadError(f"{path}: cannot be read ({error.strerror or error})") from error


def parse_opml(data: bytes, name: str = "OPML") -> list[NewFeed]:
    """Feeds of an OPML document, each address once, in order."""
    if _DOCTYPE.search(data.replace(b"\0", b"")):
        raise UploadError(f"{name}: holds a DOCTYPE, which OPML does not need and which is not read")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UploadError(f"{name}: is not OPML ({error})") from error
    if root.tag.lower() != "opml":
        raise UploadError(f"{name}: is not OPML, its first element is <{root.tag[:40]}>")
    body = root.find("body")
    if body is None:
        raise UploadError(f"{name}: is not OPML, it has no <body>")
    found: dict[str, NewFeed] = {}
    _collect(body, "", found)
    if not found:
        raise UploadError(f"{name}: lists no feed (no outline with an http or https xmlUrl)")
    return list(found.values())


def _collect(parent: ElementTree.Element, folder: str, found: dict[str, NewFeed]) -> None:
    waiting = [(child, folder) for child in reversed(parent)]
    while waiting:
        outline, above = waiting.pop()
        title = plain_text(outline.get("title") or outline.get("text"), 200)
        url = web_link(outline.get("xmlUrl") or outline.get("xmlurl"))
        if url is None:
            waiting.extend((child, title or above) for child in reversed(outline))
            continue
        publisher = plain_text(outline.get("publisher"), 200) or title or (urlsplit(url).hostname or "")
        language = (outline.get("language") or "")[:2].lower()
        found.setdefault(
            url,
            NewFeed(
                url=url,
                title=title,
                publisher=publisher,
                family=plain_text(outline.get("family"), 200) or publisher,
                language=language if _LANGUAGE.fullmatch(language) else "en",
                enabled=(outline.get("enabled") or "true").lower() != "false",
                note=plain_text(outline.get("note"), 200),
            ),
        )


def write_opml(feeds: Iterable[Feed], now: datetime) -> str:
    """All feeds but the sample ones as an OPML 2.0 document."""
    root = ElementTree.Element("opml", version="2.0")
    head = ElementTree.SubElement(root, "head")
    ElementTree.SubElement(head, "title").text = "Headwind feeds"
    ElementTree.SubElement(head, "dateCreated").text = format_datetime(now)
    body = ElementTree.SubElement(root, "body")
    for feed in feeds:
        if feed.sample:
            continue
        attributes = {
            "type": "rss",
            "text": feed.title or feed.publisher,
            "title": feed.title or feed.publisher,
            "xmlUrl": feed.url,
            "publisher": feed.publisher,
            "family": feed.family,
            "language": feed.language,
        }
        if not feed.enabled:
            attributes["enabled"] = "false"
        ElementTree.SubElement(body, "outline", attributes)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
