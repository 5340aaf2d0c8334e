"""The contract of the seam `Store`, the same on SQLite and on a real PostgreSQL: feeds, articles and stories."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitor.domain import (
    AddCounts,
    DateQuality,
    FeedState,
    PollRecord,
    TransitionKind,
)
from monitor.errors import StoreBusyError, StoreError
from monitor.store.sql import SqlStore
from tests.contracts.library import found, poll
from tests.store.made import (
    DAY,
    HOUR,
    LEASE,
    NOW,
    article,
    evidence,
    feed,
    go_live,
    said,
    score,
    settle,
    step,
)
from tests.stores import OpenStore

# ── feeds ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_url_twice_gives_the_feed_that_is_there(store: SqlStore) -> None:
    first = store.add_feed(feed(title="One"), NOW)
    again = store.add_feed(feed(title="Two"), NOW + DAY)
    assert again == first
    assert (first.publisher, first.family, first.state) == ("Harbour Post", "Harbour Post", FeedState.NEW)
    assert store.feed(first.id) == store.feed_by_url(first.url) == store.feeds()[0] == first
    assert store.feed(99) is None and store.feed_by_url("https://nowhere.example") is None


def test_due_feeds_come_longest_overdue_first_without_the_disabled(store: SqlStore) -> None:
    late, later, new, off = (store.add_feed(feed(f"https://feeds.example/{n}"), NOW) for n in range(4))
    for which, minutes in ((late, -30), (later, -10)):
        store.record_poll(poll(which.id, next_poll=NOW + timedelta(minutes=minutes)), [])
    store.set_feed_enabled(off.id, False, "not wanted", NOW)
    assert [one.id for one in store.due_feeds(NOW)] == [new.id, late.id, later.id]
    assert [one.id for one in store.due_feeds(NOW, limit=1)] == [new.id]
    disabled = store.feed(off.id)
    assert disabled is not None and (disabled.state, disabled.note) == (FeedState.DISABLED, "not wanted")


def test_a_poll_and_its_articles_are_written_together(store: SqlStore) -> None:
    own = store.add_feed(feed(title=""), NOW)
    batch = [article(1, feed_id=own.id), article(2, feed_id=own.id)]
    counts = store.record_poll(
        poll(own.id, etag='"a"', title="Harbour Post News", items_per_day=4.5, batches_per_day=1.5), batch
    )
    assert counts == AddCounts(new=2, newest=store.newest_article())
    after = store.feed(own.id)
    assert after is not None
    assert after.batches_per_day == 1.5
    assert (after.etag, after.title, after.items_per_day, after.last_success) == ('"a"', "Harbour Post News", 4.5, NOW)
    assert after.last_item == batch[0].first_seen
    again = store.record_poll(poll(own.id, etag='"a"'), batch)
    assert again == AddCounts(seen=2)


def test_polls_of_several_feeds_are_written_as_if_one_came_after_the_other(store: SqlStore) -> None:
    one, other, gone = (store.add_feed(feed(f"https://f{number}.example/rss"), NOW) for number in (1, 2, 3))
    store.remove_feed(gone.id)
    store.add_articles([article(1)], NOW)
    counts = store.record_polls(
        [
            (poll(one.id, etag='"a"'), [article(1, "Harbour reopens", feed_id=one.id), article(2, feed_id=one.id)]),
            (poll(other.id, etag='"b"'), [article(2, feed_id=other.id), article(3, feed_id=other.id)]),
            (poll(gone.id), [article(4, feed_id=gone.id)]),
            (poll(other.id, ok=False, state=FeedState.FAILING, failures=1, error="HTTP 503"), []),
        ]
    )
    assert [(count.new, count.revised, count.seen) for count in counts] == [(1, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 0)]
    assert max(count.newest for count in counts) == store.newest_article()
    assert [(each.etag, each.failures) for each in store.feeds()] == [('"a"', 0), ('"b"', 1)]
    assert store.status().articles == 4


def test_a_failed_poll_keeps_the_validators(store: SqlStore) -> None:
    own = store.add_feed(feed(), NOW)
    store.record_poll(poll(own.id, etag='"a"', last_modified="Thu"), [])
    store.record_poll(poll(own.id, ok=False, state=FeedState.FAILING, failures=3, error="HTTP 503"), [])
    after = store.feed(own.id)
    assert after is not None
    assert (after.etag, after.last_modified, after.failures, after.last_error) == ('"a"', "Thu", 3, "HTTP 503")
    assert after.last_success == NOW and after.state is FeedState.FAILING


def test_polls_that_brought_nothing_are_written_together(store: SqlStore) -> None:
    ok, failing, off, gone = (store.add_feed(feed(f"https://w.example/{n}"), NOW).id for n in range(4))
    first = PollRecord(
        feed_id=failing, polled=NOW - HOUR, next_poll=NOW, interval_s=600, state=FeedState.OK, ok=True, etag='"a"',
        items_per_day=7.0,
    )  # fmt: skip
    store.record_poll(first, ())
    store.set_feed_enabled(off, False, "not ours", NOW)
    store.remove_feed(gone)
    values = {"polled": NOW, "next_poll": NOW + HOUR, "interval_s": 900.0}
    store.record_quiet_polls(
        [
            PollRecord(
                feed_id=ok, state=FeedState.OK, ok=True, etag='"b"', items_per_day=3.0, batches_per_day=2.0, **values
            ),
            PollRecord(feed_id=failing, state=FeedState.FAILING, ok=False, failures=2, error="no answer", **values),
            PollRecord(feed_id=off, state=FeedState.OK, ok=True, **values),
            PollRecord(feed_id=gone, state=FeedState.OK, ok=True, **values),
        ]
    )
    good, bad, disabled = store.feeds()
    assert (good.batches_per_day, bad.batches_per_day) == (2.0, None)
    assert (good.state, good.etag, good.last_success, good.items_per_day) == (FeedState.OK, '"b"', NOW, 3.0)
    assert (bad.state, bad.etag, bad.last_success, bad.items_per_day) == (FeedState.FAILING, '"a"', NOW - HOUR, 7.0)
    assert (bad.failures, bad.last_error, bad.next_poll) == (2, "no answer", NOW + HOUR)
    assert (disabled.state, disabled.enabled) == (FeedState.DISABLED, False), "a person who disabled it wins"


def test_a_moved_feed_keeps_its_row_unless_the_new_address_is_taken(store: SqlStore) -> None:
    a, b = store.add_feed(feed("https://a.example"), NOW), store.add_feed(feed("https://b.example"), NOW)
    store.record_poll(poll(a.id, new_url="https://moved.example"), [])
    store.record_poll(poll(b.id, new_url="https://moved.example"), [])
    assert [one.url for one in store.feeds()] == ["https://moved.example", "https://b.example"]


def test_editing_and_removing_a_feed_leaves_its_articles(store: SqlStore) -> None:
    own = store.add_feed(feed(), NOW)
    store.record_poll(poll(own.id), [article(1, feed_id=own.id)])
    store.edit_feed(own.id, title="T", publisher="P", family="", language="de", now=NOW)
    edited = store.feed(own.id)
    assert edited is not None and (edited.title, edited.family, edited.language) == ("T", "P", "de")
    store.remove_feed(own.id)
    kept = store.article(1)
    assert store.feeds() == [] and kept is not None and kept.article.feed_id is None
    with pytest.raises(StoreError, match="no feed"):
        store.set_feed_enabled(own.id, True, "", NOW)


# ── articles and stories ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_identity_is_stored_once(store: SqlStore) -> None:
    first = store.add_articles([article(1), article(2), article(1)], NOW)
    assert first == AddCounts(new=2, seen=1, newest=store.newest_article())
    second = store.add_articles([article(2), article(3)], NOW)
    assert second == AddCounts(new=1, seen=1, newest=store.newest_article())
    assert second.newest > first.newest
    assert store.known_identities(["article-1", "article-3", "article-9"]) == {"article-1", "article-3"}


def test_an_article_comes_back_as_it_went_in(store: SqlStore) -> None:
    went_in = article(
        1,
        "Größe \U0001f6a2 中国 'quotes' \\ % _",
        summary="lead",
        published=NOW.replace(microsecond=123456),
        first_seen=NOW,
        date_quality=DateQuality.DAY,
        counts=False,
        sample=True,
        author="A. Writer",
    )
    store.add_articles([went_in], NOW)
    got = store.article(1)
    assert got is not None and got.prediction is None and got.state == "waiting"
    for name in ("identity", "story_id", "title", "summary", "published", "first_seen", "date_quality", "counts"):
        assert getattr(got.article, name) == getattr(went_in, name)
    assert (got.article.sample, got.article.author, got.article.url) == (True, "A. Writer", went_in.url)


def test_text_that_a_database_cannot_take_is_cleaned(store: SqlStore) -> None:
    store.add_articles([article(1, "A\x00B \ud800 C")], NOW)
    got = store.article(1)
    assert got is not None and got.article.title == "AB ? C"
    assert store.add_articles([article(1, "A\x00B \ud800 C")], NOW) == AddCounts(seen=1)


def test_a_changed_title_is_a_revision_and_is_scored_again(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1, "Quarry opens")], NOW)
    score(store, ("Quarry", said("positive")))
    settle(store)
    assert store.add_articles([article(1, "Quarry closes")], NOW + HOUR) == AddCounts(revised=1)
    assert store.revisions(1) == [(NOW + HOUR, "Quarry opens", "")]
    got = store.article(1)
    assert got is not None and (got.article.title, got.state) == ("Quarry closes", "waiting")
    assert found(store, text="opens") == [] and found(store, text="closes") == [1]
    assert score(store, ("closes", said("negative"))) == 1
    settle(store)
    assert [row.negative for row in store.rollups(["all"], NOW - DAY, NOW + DAY)] == [1]


def test_a_result_for_the_old_title_that_arrives_late_is_dropped(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1, "Quarry opens")], NOW)
    [claimed] = store.claim_unscored("w", 10, NOW, LEASE)
    store.add_articles([article(1, "Quarry closes")], NOW)
    store.save_predictions("v1", [(claimed.id, said("positive"))], NOW)
    got = store.article(1)
    assert got is not None and got.prediction is None
    [again] = store.claim_unscored("w", 10, NOW, LEASE)
    assert again.title == "Quarry closes"


def test_recent_articles_stream_oldest_first(store: SqlStore) -> None:
    store.add_articles([article(n) for n in range(50)], NOW)
    numbers = [one.identity for one in store.recent_articles(NOW - timedelta(minutes=20), NOW - timedelta(minutes=9))]
    assert numbers == [f"article-{n}" for n in range(20, 9, -1)]


def test_what_others_added_is_told_by_number(store: SqlStore) -> None:
    assert store.newest_article() == 0
    store.add_articles([article(n) for n in range(3)], NOW)
    known = store.newest_article()
    store.add_articles([article(n) for n in range(2, 6)], NOW)
    assert store.newest_article() > known
    after = [one.identity for one in store.articles_after(known, NOW - timedelta(minutes=4))]
    assert sorted(after) == ["article-3", "article-4"], "neither what was known nor what is too old"


def test_of_all_processes_one_at_a_time_takes_in_news(store_url: str, open_at: OpenStore) -> None:
    one, other = open_at(store_url), open_at(store_url, busy_timeout_s=0.2)
    with one.ingesting():
        with pytest.raises(StoreBusyError), other.ingesting():
            pytest.fail("two at a time")
        one.add_articles([article(1)], NOW)
    with other.ingesting():
        assert other.newest_article() == one.newest_article()


def test_a_story_counts_once_with_all_its_voices(store: SqlStore) -> None:
    go_live(store)
    store.add_articles(
        [
            article(60, "Quarry closes", story="s", publisher="Harbour Post", family="Harbour", counts=False),
            article(50, "Quarry closes today", story="s", publisher="Harbour Mail", family="Harbour"),
            article(40, "Quarry shuts", story="s", publisher="Inland Times"),
        ],
        NOW,
    )
    score(store, ("closes", said("negative", "business_operations")), ("shuts", said("negative", "litigation")))
    settle(store)
    [fact] = store.story_facts("all", NOW - DAY, NOW)
    assert (fact.story_id, fact.articles, fact.sentiment, fact.counts) == ("s", 3, "negative", True)
    assert fact.publishers == ("Harbour Post", "Harbour Mail", "Inland Times")
    assert fact.families == ("Harbour", "Inland Times")
    assert (fact.main_topic, fact.topics) == ("business_operations", ("business_operations",))
    assert fact.published == NOW - HOUR and fact.first_seen == NOW - timedelta(minutes=50)
    assert fact.title == "Quarry closes"
    [row] = store.rollups(["all"], NOW - DAY, NOW)
    assert (row.articles, row.stories, row.negative, row.alert_negative) == (3, 1, 1, 1)
    assert store.rollups(["topic:litigation"], NOW - DAY, NOW) == []
    first = store.article(1)
    assert first is not None and (first.story_articles, first.story_publishers) == (3, 3)


def test_an_earlier_copy_moves_the_story_to_its_hour(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(10, story="s")], NOW)
    score(store)
    settle(store)
    store.add_articles([article(200, story="s")], NOW)
    score(store)
    settle(store)
    [row] = store.rollups(["all"], NOW - DAY, NOW)
    assert row.hour == (NOW - timedelta(minutes=200)).replace(minute=0) and row.articles == 2


def test_merged_stories_count_once_and_late_copies_follow(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1), article(90), article(3)], NOW)
    score(store)
    store.merge_stories("article-1", ["article-90"])
    store.merge_stories("article-3", ["article-1", "missing"])
    store.add_articles([article(5, story="article-90")], NOW)
    score(store)
    settle(store)
    [fact] = store.story_facts("all", NOW - DAY, NOW)
    assert (fact.story_id, fact.articles, fact.hour) == ("article-3", 4, (NOW - 2 * HOUR).replace(minute=0))
    assert [one.article.identity for one in store.story_articles("article-90")] == [
        "article-90",
        "article-5",
        "article-3",
        "article-1",
    ]
    assert store.status().stories == 1


def test_samples_go_without_a_trace_and_real_news_stays(store: SqlStore) -> None:
    go_live(store)
    own = store.add_feed(feed(sample=True), NOW)
    store.add_articles([article(n, sample=True, feed_id=own.id) for n in range(1, 6)] + [article(9)], NOW)
    score(store, ("Quarry", said()))
    settle(store)
    about_samples = step(TransitionKind.OPEN, evidence=evidence("article-1", "article-2"))
    about_both = step(TransitionKind.OPEN, "topic:litigation", evidence=evidence("article-1", "article-9"))
    store.apply_transitions([about_samples, about_both], [], NOW)
    assert store.remove_samples() == 5
    settle(store)
    status = store.status()
    assert (status.articles, status.stories, status.samples, status.feeds["total"]) == (1, 1, 0, 0)
    assert [one.series for one in store.alerts()] == ["topic:litigation"]
    assert sum(row.articles for row in store.rollups(["all"], NOW - DAY, NOW)) == 1
    assert found(store, text="Quarry") == [6]


def test_retention_lets_whole_stories_go(store: SqlStore) -> None:
    go_live(store)
    old, new = NOW - 40 * DAY, NOW - DAY
    store.add_articles(
        [
            article(1, story="straddles", published=old),
            article(2, story="straddles", published=new),
            article(3, published=old),
            article(4, published=new),
        ],
        NOW,
    )
    score(store)
    settle(store)
    assert store.apply_retention(NOW - 30 * DAY) == 1
    settle(store)
    assert {one.identity for one in store.recent_articles(NOW - 99 * DAY)} == {"article-1", "article-2", "article-4"}
    assert store.status().stories == 2
    assert sum(row.stories for row in store.rollups(["all"], NOW - 99 * DAY, NOW)) == 2
