from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import UploadError
from monitor.feeds.defaults import default_feeds
from monitor.feeds.opml import parse_opml, read_opml, write_opml
from tests.feeds.loopback import NOW, feed

LIST = b"""<?xml version="1.0"?><opml version="1.1"><head><title>Mine</title></head><body>
<outline text="Banks"><outline text="Bank news" type="rss" xmlUrl="https://bank.example/rss" language="en-GB"/>
<outline text="Bank news again" xmlUrl="https://bank.example/rss"/></outline>
<outline title="Wire" xmlUrl="https://wire.example/feed?a=1&amp;b=2" publisher="The Wire" family="Wires"/>
<outline text="Bad" xmlUrl="javascript:alert(1)"/><outline text="Local" xmlUrl="file:///etc/passwd"/>
</body></opml>"""


def test_a_list_from_another_reader_is_read_once_per_address() -> None:
    bank, wire = parse_opml(LIST)
    assert (bank.url, bank.title, bank.publisher, bank.language) == (
        "https://bank.example/rss",
        "Bank news",
        "Bank news",
        "en",
    )
    assert (wire.publisher, wire.family) == ("The Wire", "Wires")


def test_what_is_written_reads_back_the_same() -> None:
    ours = [
        feed(
            "https://a.example/f?x=1&y=2", 1, title='A "quoted" <title>', publisher="A", family="Group", language="zh"
        ),
        feed("https://b.example/f", 2, enabled=False),
        feed("http://127.0.0.1/sample", 3, sample=True),
    ]
    back = parse_opml(write_opml(ours, NOW).encode())
    assert [(f.url, f.publisher, f.family, f.language, f.enabled) for f in back] == [
        ("https://a.example/f?x=1&y=2", "A", "Group", "zh", True),
        ("https://b.example/f", "News", "News", "en", False),
    ]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is not OPML"),
        (b"not xml", "is not OPML"),
        (b"<html><body/></html>", "first element is <html>"),
        (b"<opml version='2.0'/>", "has no <body>"),
        (b"<opml version='2.0'><body><outline text='x'/></body></opml>", "lists no feed"),
        (b"<!DOCTYPE opml [<!ENTITY a 'b'>]><opml><body/></opml>", "DOCTYPE"),
    ],
)
def test_what_is_not_opml_is_one_clear_line(data: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "list.opml"
    path.write_bytes(data)
    with pytest.raises(UploadError) as caught:
        read_opml(path)
    assert told in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_the_default_list_is_what_a_risk_team_can_start_from() -> None:
    feeds = default_feeds()
    english = [one for one in feeds if one.language == "en"]
    assert len(english) >= 30 and all(one.enabled for one in english)
    assert [one for one in feeds if one.language == "zh"] and not any(
        one.enabled for one in feeds if one.language == "zh"
    )
    assert len({one.url for one in feeds}) == len(feeds)
    assert all(one.publisher and one.family and one.title and one.note == "unverified" for one in feeds)
    assert all(one.url.startswith(("http://", "https://")) for one in feeds)
