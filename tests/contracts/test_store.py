"""The contract of the seam `Store`, the same on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from monitor.domain import (
    AddCounts,
    AlertState,
    ArticleQuery,
    CellFilter,
    ChannelConfig,
    DateQuality,
    DeliveryState,
    Entity,
    FeedState,
    Mention,
    PollRecord,
    Rule,
    RuleKind,
    SendOutcome,
    Severity,
    Silence,
    TransitionKind,
    Verdict,
)
from monitor.errors import StoreBusyError, StoreError
from monitor.store.sql import SqlStore
from tests.store.made import (
    DAY,
    HOUR,
    LEASE,
    NOW,
    article,
    delivery,
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


def poll(feed_id: int, **changes: object) -> PollRecord:
    values: dict[str, object] = {
        "feed_id": feed_id,
        "polled": NOW,
        "next_poll": NOW + HOUR,
        "interval_s": 900.0,
        "state": FeedState.OK,
        "ok": True,
    }
    return PollRecord(**{**values, **changes})  # type: ignore[arg-type]


def test_a_poll_and_its_articles_are_written_together(store: SqlStore) -> None:
    own = store.add_feed(feed(title=""), NOW)
    batch = [article(1, feed_id=own.id), article(2, feed_id=own.id)]
    counts = store.record_poll(
        poll(own.id, etag='"a"', title="Harbour Post News", items_per_day=4.5, batches_per_day=1.5), batch
    )
    assert counts == AddCounts(new=2)
    after = store.feed(own.id)
    assert after is not None
    assert after.batches_per_day == 1.5
    assert (after.etag, after.title, after.items_per_day, after.last_success) == ('"a"', "Harbour Post News", 4.5, NOW)
    assert after.last_item == batch[0].first_seen
    again = store.record_poll(poll(own.id, etag='"a"'), batch)
    assert again == AddCounts(seen=2)


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
    assert store.add_articles([article(1), article(2), article(1)], NOW) == AddCounts(new=2, seen=1)
    assert store.add_articles([article(2), article(3)], NOW) == AddCounts(new=1, seen=1)
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


# ── search ───────────────────────────────────────────────────────────────────────────────────────────────────────


def found(store: SqlStore, **question: object) -> list[int]:
    """Ids of the matches; the total must agree."""
    page, total = store.search_articles(ArticleQuery(**question))  # type: ignore[arg-type]
    assert total == len(page)
    return [one.article.id for one in page]


@pytest.fixture
def library(store: SqlStore) -> SqlStore:
    go_live(store)
    company = store.save_entity(Entity(id=0, name="Acme Quarries"), NOW)
    here = Mention(entity_id=company.id, where="title", confidence=0.9)
    store.add_articles(
        [
            article(1, "Acme Quarries nears default", summary="Bonds of the miner fell", mentions=(here,)),
            article(2, "Rates rise; Bonds steady", publisher="Inland Times"),
            article(3, "中国人民银行降息", language="zh"),
            article(4, "Acme: fined", story="article-1", publisher="Inland Times", mentions=(here, here)),
            article(60 * 24 * 3, "Bonds fell on Monday"),
        ],
        NOW,
    )
    score(
        store,
        ("default", said("negative", "credit_distress", "litigation", p=0.95)),
        ("Rates", said("neutral", "macro_policy", p=0.5, unsure=True)),
        ("fined", said("negative", "regulation_enforcement", p=0.7)),
        ("Monday", said("negative", "market_move", p=0.6)),
    )
    settle(store)
    return store


def test_a_story_is_asked_whom_its_titles_name(library: SqlStore) -> None:
    other = library.save_entity(Entity(id=0, name="Steady Bonds"), NOW)
    lead = Mention(entity_id=other.id, where="lead", confidence=0.4)
    library.add_articles([article(6, "Acme settles", story="article-1", mentions=(lead,))], NOW)
    assert library.named_in_title(["article-1", "article-2", "gone"]) == {"article-1": frozenset({"Acme Quarries"})}


def test_what_came_is_counted_by_feed_publisher_and_hour(library: SqlStore) -> None:
    source = library.add_feed(feed("https://f.example/1", title="Quarry feed"), NOW)
    library.add_articles([article(7, "Quarry opens", feed_id=source.id, publisher="Inland Times")], NOW)
    hour = int(NOW.timestamp()) // 3600
    came = library.arrivals(NOW - timedelta(days=1), NOW + timedelta(days=1))
    assert ("Quarry feed", "Inland Times", hour, 1) in came
    assert sum(items for *_, items in came) == 5
    assert all(name in ("", "Quarry feed") for name, *_ in came)


QUESTIONS: list[tuple[dict[str, object], list[int]]] = [
    ({}, [1, 2, 3, 4, 5]),
    ({"text": "bonds"}, [1, 2, 5]),
    ({"text": "bonds fell"}, [1, 5]),
    ({"text": '"bonds fell"'}, [5]),
    ({"text": "bonds -fell"}, [2]),
    ({"text": '-"bonds fell" -中国'}, [1, 2, 4]),
    ({"text": "defau*"}, [1]),
    ({"text": "ACME"}, [1, 4]),
    ({"text": "中国"}, [3]),
    ({"text": "人民银行"}, [3]),
    ({"text": "行人"}, []),
    ({"text": "息"}, [3]),
    ({"text": "   "}, [1, 2, 3, 4, 5]),
    ({"start": NOW - DAY, "text": "bonds"}, [1, 2]),
    ({"end": NOW - DAY}, [5]),
    ({"start": NOW - timedelta(minutes=2), "end": NOW - timedelta(minutes=1)}, [2]),
    ({"sentiments": ("negative",)}, [1, 4, 5]),
    ({"sentiments": ("negative", "neutral"), "text": "bonds"}, [1, 2, 5]),
    ({"topics": ("litigation",)}, [1]),
    ({"topics": ("litigation", "macro_policy")}, [1, 2]),
    ({"topics": ("credit_distress",), "sentiments": ("positive",)}, []),
    ({"entities": ("Acme Quarries",)}, [1, 4]),
    ({"entities": ("Acme Quarries",), "sentiments": ("negative",), "topics": ("regulation_enforcement",)}, [4]),
    ({"publishers": ("Inland Times",)}, [2, 4]),
    ({"languages": ("zh",)}, [3]),
    ({"min_confidence": 0.65}, [1, 4]),
    ({"unsure_only": True}, [2]),
    ({"story_id": "article-1"}, [1, 4]),
    ({"group_stories": True}, [2, 3, 4, 5]),
    ({"entities": ("Nobody",)}, []),
]


def test_a_question_finds_what_it_asks_for_newest_first(library: SqlStore) -> None:
    for question, ids in QUESTIONS:
        assert (question, found(library, **question)) == (question, ids)


TYPED = [
    '"',
    '"unclosed',
    "AND OR NOT",
    "NEAR(a b)",
    "a:b",
    "^x",
    "*",
    "-",
    "--",
    "'; DROP TABLE articles;--",
    "(",
    "\\",
    "a AND",
    "body:x",
    "\x00",
    "😀",
    "中*",
    '"" ""',
    "-*",
    "& | ! <->",
    "a" * 5000,
    "x " * 2000,
    "{col}:y",
    "%s %(a)s",
]


def test_the_text_of_a_page_is_searched_with_its_article_and_goes_with_it(store: SqlStore) -> None:
    source = store.add_feed(feed(), NOW)
    store.add_articles([article(1, feed_id=source.id, title="Quarry strike", url="https://q.example/1")], NOW)
    [due] = store.pages_due(None, NOW, 10)
    assert store.pages_due(["Nobody"], NOW, 10) == []
    store.save_page(due.id, None, "no answer", NOW)
    assert store.pages_due(None, NOW, 10) == [] and len(store.pages_due(None, NOW + 2 * HOUR, 10)) == 1

    def titles(words: str) -> list[str]:
        return [one.article.title for one in store.search_articles(ArticleQuery(text=words))[0]]

    store.save_page(due.id, "The examiners from Quillhaven came.\x00", None, NOW)
    assert store.full_text(due.id) == "The examiners from Quillhaven came."
    assert titles("quillhaven") == titles("strike quillhaven") == ["Quarry strike"]
    assert store.pages_due(None, NOW + 2 * HOUR, 10) == []
    store.save_page(due.id, "Read again: the inspectors left.", None, NOW)
    assert (titles("quillhaven"), titles("inspectors")) == ([], ["Quarry strike"])
    store.add_articles([article(1, feed_id=source.id, title="Quarry closes", url="https://q.example/1")], NOW)
    assert (titles("strike"), titles("closes inspectors")) == ([], ["Quarry closes"])
    assert store.apply_retention(NOW + DAY) == 1
    assert titles("inspectors") == [] and store.full_text(due.id) is None
    store.save_page(due.id, "Too late.", None, NOW)
    assert store.full_text(due.id) is None


def test_nothing_that_is_typed_is_a_syntax_error(library: SqlStore) -> None:
    for typed in TYPED:
        page, total = library.search_articles(ArticleQuery(text=typed))
        assert total >= len(page)
        library.search_articles(ArticleQuery(text=f"bonds {typed} -{typed}"))


def test_matches_are_counted_as_far_as_is_asked(library: SqlStore) -> None:
    def total(limit: int, offset: int, count_to: int) -> int:
        return library.search_articles(ArticleQuery(limit=limit, offset=offset, count_to=count_to))[1]

    assert [total(2, 0, count_to) for count_to in (0, 2, 3, 4, 9)] == [2, 2, 3, 4, 5]
    assert [total(2, 4, 9), total(3, 3, 0), total(5, 0, 9), total(2, 8, 9)] == [5, 5, 5, 5]
    assert total(2, 8, 0) == 0


def test_a_page_of_matches_says_who_and_how_many(library: SqlStore) -> None:
    page, total = library.search_articles(ArticleQuery(limit=2, offset=1))
    assert total == 5 and [one.article.id for one in page] == [2, 3]
    [rates, bank] = page
    assert rates.prediction == said("neutral", "macro_policy", p=0.5, unsure=True)
    assert (rates.state, bank.state) == ("scored", "unsupported")
    first = library.article(1)
    assert first is not None and (first.entities, first.story_articles) == (("Acme Quarries",), 2)


# ── scoring ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_queue_is_what_the_live_model_has_not_scored(store: SqlStore) -> None:
    store.add_articles([article(1), article(2), article(3, language="zh")], NOW)
    assert store.live_model() is None and store.unscored_count() == 3
    assert store.claim_unscored("w", 10, NOW, LEASE) == []
    go_live(store)
    assert store.live_model() == ("v1", ("en",))
    assert store.unscored_count() == 2 and store.status().unsupported == 1
    claimed = store.claim_unscored("w", 10, NOW, LEASE)
    assert [one.identity for one in claimed] == ["article-1", "article-2"]
    assert store.claim_unscored("other", 10, NOW, LEASE) == []
    store.save_predictions("v1", [(one.id, said()) for one in claimed], NOW)
    assert store.unscored_count() == 0
    go_live(store, "v2", ("en", "zh"))
    assert store.unscored_count() == 3 and score(store) == 3
    go_live(store, "v1", ("en",))
    assert store.unscored_count() == 0 and store.status().unsupported == 1
    assert [version for _, version, _, _ in store.model_history()] == ["v1", "v2", "v1"]


def test_going_back_to_a_model_brings_its_counts_up_to_date(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1, story="s")], NOW)
    score(store, ("Quarry", said("negative")))
    settle(store)
    go_live(store, "v2")
    score(store, ("Quarry", said("positive", version="v2")))
    store.add_articles([article(2, story="s", publisher="Inland Times")], NOW)
    settle(store)
    assert [row.positive for row in store.rollups(["all"], NOW - DAY, NOW)] == [1]
    go_live(store)
    score(store, ("Quarry", said("negative")))
    settle(store)
    [row] = store.rollups(["all"], NOW - DAY, NOW)
    assert (row.negative, row.articles) == (1, 2)


def test_an_expired_lease_is_free_again_and_released_ones_cost_nothing(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1)], NOW)
    for _ in range(5):
        assert len(store.claim_unscored("w", 10, NOW, LEASE)) == 1
        store.release("w")
    assert len(store.claim_unscored("w", 10, NOW, LEASE)) == 1
    assert store.claim_unscored("x", 10, NOW + LEASE - timedelta(seconds=1), LEASE) == []
    assert len(store.claim_unscored("x", 10, NOW + LEASE, LEASE)) == 1


def test_none_and_numbers_that_are_not_finite_quarantine_an_article(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1), article(2)], NOW)
    broken = said(p=float("nan"))
    store.save_predictions("v1", [(1, None), (2, broken), (99, said())], NOW)
    status = store.status()
    assert (status.quarantined, status.unscored) == (2, 0)
    one = store.article(2)
    assert one is not None and (one.state, one.prediction) == ("quarantined", None)
    settle(store)
    assert store.rollups(["all"], NOW - DAY, NOW) == []


def test_a_prediction_comes_back_with_the_very_same_numbers(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1)], NOW)
    exact = said("negative", "litigation", "fraud_crime", p=0.1 + 0.2)
    store.save_predictions("v1", [(1, exact)], NOW)
    store.save_predictions("v1", [(1, exact)], NOW)
    got = store.article(1)
    assert got is not None and got.prediction == exact


def test_two_workers_never_hold_the_same_article(store: SqlStore, store_url: str, open_at: OpenStore) -> None:
    go_live(store)
    store.add_articles([article(n) for n in range(300)], NOW)
    held: dict[str, list[int]] = {"a": [], "b": [], "c": []}

    def work(name: str, own: SqlStore) -> None:
        while claimed := own.claim_unscored(name, 7, NOW, LEASE):
            held[name] += [one.id for one in claimed]

    threads = [threading.Thread(target=work, args=(name, open_at(store_url))) for name in held]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    ids = [one for those in held.values() for one in those]
    assert len(ids) == len(set(ids)) == 300


# ── counting ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_series_of_the_contract_counts(library: SqlStore) -> None:
    assert library.series_names(NOW - DAY, NOW + DAY) == sorted(
        [
            "all",
            "topic:credit_distress",
            "topic:litigation",
            "topic:regulation_enforcement",
            "topic:macro_policy",
            "entity:Acme Quarries",
            "entity:Acme Quarries/topic:credit_distress",
            "entity:Acme Quarries/topic:litigation",
            "entity:Acme Quarries/topic:regulation_enforcement",
            "publisher:Harbour Post",
            "publisher:Inland Times",
            "language:en",
        ]
    )
    assert library.series_names(NOW - DAY, NOW + DAY, ["entity:Acme Quarries/", "all"])[0] == "all"
    assert library.series_names(NOW - 9 * DAY, NOW - 5 * DAY) == []


def test_every_series_gives_the_stories_that_it_counted(library: SqlStore) -> None:
    for name in library.series_names(NOW - 9 * DAY, NOW + DAY):
        rows = library.rollups([name], NOW - 9 * DAY, NOW + DAY)
        facts = library.story_facts(name, NOW - 9 * DAY, NOW + DAY)
        assert sum(row.stories for row in rows) == len(facts) > 0
        assert sum(row.negative for row in rows) == len(
            library.story_facts(name, NOW - 9 * DAY, NOW + DAY, negative_only=True)
        )
        assert sum(row.score_sum for row in rows) == pytest.approx(sum(fact.score for fact in facts))
    assert library.story_facts("nonsense", NOW - DAY, NOW) == library.story_facts(
        "entity:acme quarries", NOW - DAY, NOW
    )


def test_other_is_left_out_of_all(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1, "Recipe"), article(2, "Quarry")], NOW)
    score(store, ("Recipe", said("neutral", "other")))
    settle(store)
    assert [row.stories for row in store.rollups(["all"], NOW - DAY, NOW)] == [1]
    assert [row.stories for row in store.rollups(["topic:other"], NOW - DAY, NOW)] == [1]
    assert [row.stories for row in store.cells(CellFilter(), NOW - DAY, NOW)] == [2]


def test_what_does_not_count_for_alerts_counts_in_trends(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1, counts=False), article(2)], NOW)
    score(store, ("Quarry", said()))
    settle(store)
    [row] = store.rollups(["all"], NOW - DAY, NOW)
    assert (row.stories, row.negative, row.alert_stories, row.alert_negative) == (2, 2, 1, 1)
    assert len(store.story_facts("all", NOW - DAY, NOW, counting_only=True)) == 1


def test_every_story_is_given_where_every_one_is_asked_for(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1, "Recipe"), article(2, "Quarry")], NOW)
    score(store, ("Recipe", said("negative", "other")))
    settle(store)
    assert [fact.title for fact in store.story_facts("*", NOW - DAY, NOW)] == ["Recipe", "Quarry"]


def test_the_version_of_a_span_grows_when_one_of_its_days_is_counted_anew(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1), article(60 * 24 * 3)], NOW)
    score(store)
    settle(store)
    old, new = (NOW - 5 * DAY, NOW - 2 * DAY), (NOW - DAY, NOW + DAY)
    before = store.counts_version(*old), store.counts_version(*new)
    store.add_articles([article(2)], NOW)
    score(store)
    settle(store)
    assert store.counts_version(*old) == before[0] > 0
    assert store.counts_version(*new) > before[1]


def test_buckets_are_hours_or_days_in_order(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(60 * n) for n in range(50)], NOW)
    score(store)
    settle(store)
    hours = store.rollups(["all"], NOW - 20 * HOUR, NOW - 10 * HOUR)
    assert [row.hour for row in hours] == sorted(row.hour for row in hours) and len(hours) == 10
    days = store.rollups(["all", "language:en"], NOW - 9 * DAY, NOW + DAY, step="day")
    assert [(row.series, row.hour.day, row.stories) for row in days] == [
        (name, day, n) for name in ("all", "language:en") for day, n in ((10, 15), (11, 24), (12, 11))
    ]


@pytest.mark.parametrize("step", ["6h", "day", "all"])
def test_wider_buckets_are_the_sums_of_their_hours(store: SqlStore, step: str) -> None:
    go_live(store)
    store.add_articles([article(60 * n) for n in range(50)], NOW)
    score(store)
    settle(store)
    start, end = NOW - 31 * HOUR, NOW - 2 * HOUR
    width = {"6h": 6 * HOUR, "day": DAY}.get(step)
    first = NOW.replace(minute=0) - 30 * HOUR  # the first whole hour of the span names its only bucket
    expected: dict[tuple[str, datetime], int] = {}
    for row in store.rollups(["all", "language:en"], start, end):
        at = row.hour - (row.hour - datetime(1970, 1, 1, tzinfo=UTC)) % width if width else first - HOUR
        expected[row.series, at] = expected.get((row.series, at), 0) + row.stories
    wide = store.rollups(["all", "language:en"], start, end, step=step)
    assert {(row.series, row.hour): row.stories for row in wide} == expected
    cells = store.cells(CellFilter(), start, end, step=step)
    assert {row.hour: row.stories for row in cells} == {at: n for (name, at), n in expected.items() if name == "all"}
    assert store.cells(CellFilter(topics=("litigation",)), start - 90 * DAY, start - 80 * DAY, step=step) == []


def test_cells_add_up_by_any_filter(library: SqlStore) -> None:
    span = (NOW - 9 * DAY, NOW + DAY)
    by_topic = {row.series: row.stories for row in library.cells(CellFilter(), *span, step="day", by="topic")}
    assert by_topic == {"regulation_enforcement": 1, "macro_policy": 1, "market_move": 1}
    by_publisher = library.cells(CellFilter(), *span, by="publisher")
    assert sum(row.stories for row in by_publisher) == 3
    assert library.cells(CellFilter(languages=("zh",)), *span) == []
    only = library.cells(CellFilter(publishers=("Inland Times",), topics=("macro_policy",)), *span)
    assert [(row.series, row.neutral) for row in only] == [("all", 1)]


def test_story_facts_stream_in_order_of_time(library: SqlStore) -> None:
    facts = list(library.iter_story_facts(NOW - 9 * DAY, NOW + DAY))
    assert [fact.published for fact in facts] == sorted(fact.published for fact in facts)
    assert len(facts) == 3
    worst = library.story_facts("all", NOW - 9 * DAY, NOW + DAY, limit=1)
    assert worst[0].score == min(fact.score for fact in facts)


def test_refresh_is_done_in_pieces_and_says_what_is_left(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(60 * n) for n in range(30)], NOW)
    score(store)
    assert store.refresh_rollups(limit_hours=10) == 20
    assert store.refresh_rollups(limit_hours=10) == 10
    assert store.refresh_rollups(limit_hours=10) == 0
    settle(store)


def test_verify_names_what_differs(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1)], NOW)
    score(store)
    settle(store)
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE rollups SET negative = negative + 7")
        connection.exec_driver_sql("UPDATE story_facts SET score = 5")
    told = "\n".join(store.verify_rollups())
    assert "story article-1" in told and "rollup all 2026-03-12T10:00" in told and "cell Harbour Post" in told
    assert "rollup_days" in told, "days no longer add up to their hours"


# ── entities ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_entity_is_matched_back_and_a_removed_one_leaves_the_counts(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1), article(2)], NOW)
    score(store)
    settle(store)
    own = store.save_entity(Entity(id=0, name="Acme", aliases=("ACM", "Acme Corp"), ticker="ACM", weight=2.5), NOW)
    assert store.entities() == [own]
    pairs = [(1, Mention(entity_id=own.id, where=place, confidence=1.0)) for place in ("title", "lead")]
    assert store.replace_mentions(own.id, [*pairs, (77, pairs[0][1])]) == 2
    settle(store)
    assert [row.stories for row in store.rollups(["entity:Acme"], NOW - DAY, NOW)] == [1]
    again = store.save_entity(Entity(id=0, name="Acme", aliases=("Acme",)), NOW)
    assert again.id == own.id and len(store.entities()) == 1
    store.save_entity(Entity(id=own.id, name="Acme Quarries"), NOW)
    settle(store)
    assert store.rollups(["entity:Acme"], NOW - DAY, NOW) == []
    assert len(store.rollups(["entity:Acme Quarries"], NOW - DAY, NOW)) == 1
    store.remove_entity("Acme Quarries", NOW)
    settle(store)
    assert store.rollups(["entity:Acme Quarries"], NOW - DAY, NOW) == [] and store.entities() == []
    with pytest.raises(StoreError, match="no entity"):
        store.replace_mentions(own.id, [])


# ── rules, alerts, deliveries ────────────────────────────────────────────────────────────────────────────────────


def test_rules_are_kept_as_they_are(store: SqlStore) -> None:
    rule = Rule(
        name="negative-spike",
        kind=RuleKind.SPIKE,
        scope=("all", "topic:*"),
        params={"min_stories": 4, "windows": [6, 24], "nested": {"a": None}},
        severity=Severity.CRITICAL,
        channels=("desk",),
        escalate_after_s=600.0,
    )
    store.save_rule(rule, "ana", NOW)
    assert store.rules() == [rule]
    store.remove_rule("negative-spike", "ana", NOW)
    store.remove_rule("negative-spike", "ana", NOW)
    assert store.rules() == []
    assert [entry.action for entry in store.audit()] == ["rule.remove", "rule.save"]


def test_an_alert_lives_from_open_to_resolved_with_its_time_line(store: SqlStore) -> None:
    [key] = store.apply_transitions([step(TransitionKind.OPEN)], [(0, delivery())], NOW)
    opened = store.alert(key)
    assert opened is not None and opened.evidence == evidence("article-1") and opened.state is AlertState.OPEN
    [sent] = store.deliveries()
    assert (sent.alert_ids, sent.payload, sent.due) == ((key,), {"title": "Quarry closes", "n": 3}, NOW)
    worse = step(TransitionKind.WORSEN, alert_id=key, severity=Severity.CRITICAL, at=NOW + HOUR)
    up = step(TransitionKind.ESCALATE, alert_id=key, at=NOW + 2 * HOUR)
    done = step(TransitionKind.RESOLVE, alert_id=key, at=NOW + 3 * HOUR)
    assert store.apply_transitions([worse, up, done], [(0, delivery("k1")), (1, delivery("k2"))], NOW) == [key] * 3
    closed = store.alert(key)
    assert closed is not None
    assert (closed.state, closed.resolved_at, closed.opened_at) == (AlertState.RESOLVED, NOW + 3 * HOUR, NOW)
    assert [event.kind for event in store.alert_events(key)] == ["open", "worsen", "escalate", "resolve"]
    assert store.last_resolved() == {("negative-spike", "all"): NOW + 3 * HOUR}
    assert {one.key for one in store.deliveries()} == {"k1", "k2"}
    assert store.alerts([AlertState.OPEN]) == [] and store.alerts(since=NOW + HOUR) == []
    assert store.verify_audit() is None


def test_one_open_alert_for_each_rule_and_series(store: SqlStore) -> None:
    [key] = store.apply_transitions([step(TransitionKind.OPEN)], [], NOW)
    assert store.apply_transitions([step(TransitionKind.OPEN)], [], NOW) == [key]
    [other] = store.apply_transitions([step(TransitionKind.OPEN, "entity:Acme", inhibited_by="all")], [], NOW)
    inhibited = store.alert(other)
    assert inhibited is not None and inhibited.inhibited_by == key
    store.change_alert(key, kind="resolve", actor="ana", now=NOW, state=AlertState.RESOLVED)
    [new] = store.apply_transitions([step(TransitionKind.OPEN)], [], NOW)
    assert new != key
    with pytest.raises(StoreError, match="cannot be opened again"):
        store.change_alert(key, kind="reopen", actor="ana", now=NOW, state=AlertState.OPEN)


def test_a_step_about_an_alert_that_a_person_resolved_is_moot(store: SqlStore) -> None:
    [key] = store.apply_transitions([step(TransitionKind.OPEN)], [], NOW)
    store.change_alert(key, kind="resolve", actor="ana", now=NOW, state=AlertState.RESOLVED)
    late = step(TransitionKind.WORSEN, alert_id=key)
    assert store.apply_transitions([late], [(0, delivery("late"))], NOW) == [key]
    assert store.deliveries() == []
    kept = store.alert(key)
    assert kept is not None and kept.state is AlertState.RESOLVED


def test_a_transition_and_its_deliveries_are_written_together_or_not_at_all(store: SqlStore) -> None:
    broken = step(TransitionKind.RESOLVE, "topic:litigation")  # names no alert
    with pytest.raises(StoreError, match="names no open alert"):
        store.apply_transitions([step(TransitionKind.OPEN), broken], [(0, delivery())], NOW)
    assert store.alerts() == [] and store.deliveries() == [] and store.audit() == []


def test_a_persons_steps_are_events_and_audited(store: SqlStore) -> None:
    [key] = store.apply_transitions([step(TransitionKind.OPEN)], [], NOW)
    store.change_alert(key, kind="acknowledge", actor="ana", now=NOW, state=AlertState.ACKNOWLEDGED, note="on it")
    store.change_alert(key, kind="assign", actor="ana", now=NOW, assignee="bo")
    store.change_alert(key, kind="snooze", actor="bo", now=NOW, snoozed_until=NOW + HOUR)
    after = store.change_alert(
        key, kind="verdict", actor="bo", now=NOW, verdict="right", deliveries=[delivery("note", alert_ids=(key,))]
    )
    assert (after.state, after.assignee, after.snoozed_until) == (AlertState.ACKNOWLEDGED, "bo", NOW + HOUR)
    assert after.verdict == "right" and store.deliveries()[0].alert_ids == (key,)
    line = [(event.kind, event.actor, event.note) for event in store.alert_events(key)][1:]
    assert line[0] == ("acknowledge", "ana", "on it") and len(line) == 4
    assert store.audit(limit=1)[0].action == "alert.verdict"
    with pytest.raises(StoreError, match="no alert 999"):
        store.change_alert(999, kind="comment", actor="ana", now=NOW)


def test_silences_hold_between_start_and_end(store: SqlStore) -> None:
    made = store.save_silence(
        Silence(id=0, matcher="topic:*", rule=None, start=NOW, end=NOW + DAY, actor="ana", note="holiday"), NOW
    )
    assert store.silences() == store.silences(NOW + HOUR) == [made]
    assert store.silences(NOW - HOUR) == store.silences(NOW + DAY) == []
    store.end_silence(made.id, "bo", NOW + HOUR)
    assert store.silences(NOW + 2 * HOUR) == []


def test_deliveries_are_leased_retried_and_die_in_the_open(store: SqlStore) -> None:
    assert store.add_deliveries([delivery("a"), delivery("b", due=NOW + HOUR), delivery("a")], NOW) == 1 + 1
    [first] = store.claim_deliveries("w", NOW, LEASE)
    assert first.key == "a" and store.claim_deliveries("x", NOW, LEASE) == []
    assert store.claim_deliveries("x", NOW + LEASE, LEASE, without=[first.channel]) == []
    assert len(store.claim_deliveries("x", NOW + LEASE, LEASE)) == 1
    again = NOW + 2 * HOUR
    store.record_deliveries([(first.id, SendOutcome(status="retry", detail="HTTP 500"), again)], NOW)
    [second] = store.claim_deliveries("w", NOW + HOUR, LEASE)
    assert second.key == "b"
    store.record_deliveries([(second.id, SendOutcome(status="sent"), None)], NOW + HOUR)
    [retried] = store.claim_deliveries("w", again, LEASE)
    assert (retried.attempts, retried.last_error, retried.state) == (1, "HTTP 500", DeliveryState.FAILED)
    store.record_deliveries([(retried.id, SendOutcome(status="failed", detail="HTTP 400"), None)], again)
    [dead] = store.deliveries([DeliveryState.DEAD])
    assert (dead.attempts, dead.last_error) == (2, "HTTP 400")
    assert store.status().deliveries == {"pending": 0, "sent": 1, "failed": 0, "dead": 1}
    store.resend(dead.id, "ana", again)
    assert [one.key for one in store.claim_deliveries("w", again, LEASE)] == ["a"]
    with pytest.raises(StoreError, match="no delivery"):
        store.resend(999, "ana", NOW)


def test_the_audit_never_holds_a_secret_of_a_channel(store: SqlStore) -> None:
    channel = ChannelConfig(name="desk", kind="webhook", options={"url": "https://x.example/?key=hunter2"})
    store.save_channel(channel, "ana", NOW)
    assert store.channels() == [channel]
    assert "hunter2" not in str(store.audit()) and "url" in str(store.audit())
    store.remove_channel("desk", "ana", NOW)
    assert store.channels() == []


# ── desk ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_verdicts_settings_and_beats_are_kept(store: SqlStore) -> None:
    first = Verdict(subject="article:1", actor="ana", at=NOW, right=False, sentiment="neutral", topics=("litigation",))
    second = Verdict(subject="alert:1", actor="bo", at=NOW, right=True, reason="material", note="yes")
    for one in (first, second):
        store.save_verdict(one)
    assert store.verdicts() == [first, second] and store.verdicts("article:") == [first]
    assert store.setting("retention_days") is None
    store.set_setting("retention_days", {"days": 30}, "ana", NOW)
    store.set_setting("retention_days", {"days": 30}, "ana", NOW)
    assert store.setting("retention_days") == {"days": 30}
    assert [entry.action for entry in store.audit()].count("setting") == 1
    store.beat("worker", NOW, {"pid": 1})
    store.beat("worker", NOW + HOUR, {"pid": 2})
    assert store.beats() == {"worker": (NOW + HOUR, {"pid": 2})}


def test_the_audit_chain_holds_and_cannot_be_rewritten(store: SqlStore) -> None:
    for number in range(5):
        store.append_audit("ana", "note", f"subject {number}", {"n": number, "text": "ü中"}, NOW)
    entries = store.audit(limit=3)
    assert [entry.seq for entry in entries] == [5, 4, 3] and entries[0].previous_hash == entries[1].hash
    assert store.verify_audit() is None
    for statement in ("UPDATE audit SET actor = 'eve'", "DELETE FROM audit"):
        with pytest.raises(StoreError, match="append-only"), store.write() as connection:
            connection.exec_driver_sql(statement)
    with store.write() as connection:
        if store.is_sqlite:
            connection.exec_driver_sql("DROP TRIGGER audit_no_update")
        else:
            connection.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER audit_no_change")
        connection.exec_driver_sql("UPDATE audit SET actor = 'eve' WHERE seq = 3")
    told = store.verify_audit()
    assert told is not None and "audit entry 3 (note subject 2) was changed" in told


def test_a_head_that_was_written_down_finds_an_end_that_was_cut_off_and_a_log_made_anew(store: SqlStore) -> None:
    for number in range(4):
        store.append_audit("ana", "note", f"subject {number}", {}, NOW)
    [head, *_] = store.audit()
    written = (head.seq, head.hash)
    store.append_audit("ana", "note", "later", {}, NOW)
    assert store.verify_audit(written) is None
    with store.write() as connection:
        if store.is_sqlite:
            connection.exec_driver_sql("DROP TRIGGER audit_no_delete")
        else:
            connection.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER audit_no_change")
        connection.exec_driver_sql("DELETE FROM audit WHERE seq >= 3")
    assert store.verify_audit() is None, "what is left holds in itself"
    told = store.verify_audit(written)
    assert told is not None and "entry 4 was written down: its end was cut off" in told
    for number in range(3):
        store.append_audit("eve", "note", f"subject {number}", {}, NOW)
    told = store.verify_audit(written)
    assert told is not None and "the log was rewritten" in told


def test_audit_entries_of_many_writers_make_one_chain(store: SqlStore, store_url: str, open_at: OpenStore) -> None:
    def write(name: str, own: SqlStore) -> None:
        for number in range(15):
            own.append_audit(name, "note", str(number), {}, NOW)

    threads = [threading.Thread(target=write, args=(name, open_at(store_url))) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(store.audit()) == 45 and store.verify_audit() is None


def test_data_version_grows_with_what_a_page_could_show(store: SqlStore, store_url: str, open_at: OpenStore) -> None:
    seen = store.data_version()
    assert store.data_version() == seen
    open_at(store_url).add_articles([article(1)], NOW)
    assert store.data_version() > seen


def test_status_counts_everything_once(library: SqlStore) -> None:
    library.add_feed(feed(), NOW)
    off = library.add_feed(feed("https://off.example", enabled=False), NOW)
    library.record_poll(poll(1, polled=NOW + DAY), [])
    assert off.state is FeedState.DISABLED
    status = library.status()
    assert (status.articles, status.stories, status.unscored, status.unsupported) == (5, 4, 0, 1)
    assert status.feeds == {"total": 2, "ok": 1, "failing": 0, "silent": 0, "disabled": 1}
    assert (status.model_version, status.data_as_of, status.alerts_open) == ("v1", NOW + DAY, 0)


def test_an_empty_store_answers_everything(store: SqlStore) -> None:
    assert store.status().data_as_of is None and store.status().model_version is None
    assert store.refresh_rollups() == 0 and store.verify_rollups() == []
    assert store.rollups(["all"], NOW - DAY, NOW) == store.story_facts("all", NOW - DAY, NOW) == []
    assert store.search_articles(ArticleQuery(text="x")) == ([], 0)
    assert list(store.iter_story_facts(NOW - DAY, NOW)) == [] and store.series_names(NOW - DAY, NOW) == []
    assert store.article(1) is None and store.story_articles("x") == [] and store.remove_samples() == 0
    assert store.verify_audit() is None and store.cells(CellFilter(), NOW - DAY, NOW) == []
