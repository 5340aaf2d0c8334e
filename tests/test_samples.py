"""The sample news: enough of it, varied, of invented names, and never from the future."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

import feedparser

from monitor.sample_feeds import SampleFeedServer
from monitor.samples import past_items, pasted_example, publishers, spike_items, watchlist


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{3,}", text.lower()))


def test_there_are_at_least_600_distinct_stories_of_varied_prose(now: datetime) -> None:
    firsts = {item.url.rsplit("/", 1)[1]: item for item in reversed(past_items(now))}
    assert len(firsts) >= 600
    shapes = Counter(re.sub(r"[\d.,]+|[A-Z][\w'-]*", "_", item.title) for item in firsts.values())
    assert shapes.most_common(1)[0][1] <= 3, "one template with other names and numbers is not varied prose"
    by_length = sorted((words(item.title) for item in firsts.values()), key=lambda found: sorted(found))
    same = [(a, b) for a, b in pairwise(by_length) if len(a & b) / max(1, len(a | b)) > 0.7]
    assert same == []


def test_the_past_spans_weeks_and_ends_before_now(now: datetime) -> None:
    items = past_items(now)
    assert items[0].published < now - timedelta(days=35)
    assert items[-1].published <= now
    assert len({item.publisher.family for item in items}) >= 5


def test_some_stories_are_syndicated(now: datetime) -> None:
    ids = Counter(item.url.rsplit("/", 1)[1] for item in past_items(now))
    assert sum(count > 1 for count in ids.values()) >= 100


def test_the_spike_company_is_watched_and_its_bad_news_comes_from_many_families(now: datetime) -> None:
    names = [entity.name for entity in watchlist()]
    items = spike_items(now)
    about = Counter(name for item in items for name in names if name.split()[0] in f"{item.title} {item.summary}")
    name, count = about.most_common(1)[0]
    assert count >= 20
    assert len({i.publisher.family for i in items if name.split()[0] in i.title + i.summary}) >= 4


def test_a_sample_feed_shows_an_item_only_when_its_time_has_come(now: datetime) -> None:
    coming = spike_items(now)
    server = SampleFeedServer([], coming)
    slug = coming[-1].publisher.slug
    before = feedparser.parse(server.document(slug, now - timedelta(minutes=1)))
    after = feedparser.parse(server.document(slug, now + timedelta(hours=3)))
    assert len(before.entries) == 0
    assert coming[-1].title in [entry.title for entry in after.entries]
    server._server.server_close()


def test_the_sample_feeds_answer_a_conditional_request_with_304(now: datetime) -> None:
    server = SampleFeedServer(past_items(now), [])
    server.start()
    try:
        url = f"{server.base}/{next(iter(publishers().values())).slug}.xml"
        with urllib.request.urlopen(url) as answer:
            etag = answer.headers["ETag"]
            assert feedparser.parse(answer.read()).entries
        again = urllib.request.Request(url, headers={"If-None-Match": etag})
        try:
            urllib.request.urlopen(again)
            status = 200
        except urllib.error.HTTPError as error:
            status = error.code
        assert status == 304
    finally:
        server.stop()


def test_the_example_to_paste_is_an_article() -> None:
    assert len(pasted_example().split()) > 350
