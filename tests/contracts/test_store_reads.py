"""The contract of the seam `Store`, the same on SQLite and on a real PostgreSQL: search and counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from monitor.domain import (
    ArticleQuery,
    CellFilter,
    Entity,
    Mention,
)
from monitor.store.schema import rollups, series
from monitor.store.sql import SqlStore
from tests.contracts.library import found
from tests.store.made import (
    DAY,
    HOUR,
    NOW,
    article,
    feed,
    go_live,
    said,
    score,
    settle,
)

# ── search ───────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── counting ─────────────────────────────────────────────────────────────────────────────────────────────────────


def counted(library: SqlStore, since: datetime) -> set[str]:
    """Every series that has a story since then."""
    inside = select(rollups.c.series_id).where(rollups.c.hour >= int(since.timestamp()) // 3600)
    with library.read() as connection:
        return set(connection.execute(select(series.c.name).where(series.c.id.in_(inside))).scalars())


def test_every_series_of_the_contract_counts(library: SqlStore) -> None:
    assert counted(library, NOW - DAY) == {
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
    }


def test_every_series_gives_the_stories_that_it_counted(library: SqlStore) -> None:
    for name in sorted(counted(library, NOW - 9 * DAY)):
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
