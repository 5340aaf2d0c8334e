"""The pure part of counting: from articles to a story's fact, from facts to sums."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain import series_of
from monitor.rollups import ANY, HOUR_US, Fact, Member, count, fact_of

ENGLISH = frozenset({"en"})


def member(number: int, **changes: Any) -> Member:
    values: dict[str, Any] = {
        "id": number,
        "published": number * 1_000_000,
        "first_seen": number * 1_000_000,
        "date_quality": "exact",
        "publisher": "Harbour Post",
        "family": "Harbour",
        "language": "en",
        "counts": True,
        "p_negative": 0.7,
        "p_neutral": 0.2,
        "p_positive": 0.1,
        "topics": ("litigation",),
    }
    return Member(**{**values, **changes})


def fact(*members: Member, entities: tuple[str, ...] = ()) -> Fact:
    made = fact_of(members, entities, ENGLISH)
    assert made is not None
    return made


def test_a_story_that_nobody_scored_has_no_fact() -> None:
    assert fact_of([member(1, topics=None)], (), ENGLISH) is None
    assert fact_of([], (), ENGLISH) is None


def test_sentiment_is_that_of_the_mean_probabilities() -> None:
    made = fact(member(1), member(2, p_negative=0.1, p_neutral=0.1, p_positive=0.8))
    assert made.sentiment == "positive" and made.score == pytest.approx(0.05)


def test_an_article_still_waiting_is_a_voice_but_has_no_say() -> None:
    made = fact(member(1, topics=None, family="Inland", publisher="Inland Times"), member(2))
    assert (made.articles, made.families, made.main_topic) == (2, ("Inland", "Harbour"), "litigation")
    assert made.first_article == 1


def test_an_article_in_an_unsupported_language_is_left_out() -> None:
    made = fact(member(1, language="zh", topics=None, publisher="P"), member(2))
    assert (made.articles, made.languages, made.publishers, made.first_article) == (1, ("en",), ("Harbour Post",), 2)


def test_topics_are_those_of_at_least_half_and_the_first_articles_main_one() -> None:
    made = fact(
        member(1, topics=("market_move", "macro_policy")),
        member(2, topics=("litigation",)),
        member(3, topics=("litigation", "other")),
        member(4, topics=("fraud_crime", "other")),
    )
    assert made.topics == ("market_move", "litigation")


def test_only_a_counting_article_gives_the_time_of_first_sight() -> None:
    made = fact(member(1, counts=False, first_seen=5), member(2, first_seen=900), member(3, first_seen=700))
    assert made.counts and made.first_seen == 700
    assert not fact(member(1, counts=False)).counts


def test_a_story_is_in_every_series_once() -> None:
    made = fact(member(1, topics=("litigation", "fraud_crime")), entities=("Acme", "Bolt"))
    names = list(series_of(made))
    assert len(names) == len(set(names)) == 11
    assert "entity:Bolt/topic:fraud_crime" in names and "all" in names
    assert "all" not in list(series_of(fact(member(1, topics=("other",)))))


members = st.builds(
    member,
    st.integers(1, 10**7),
    publisher=st.sampled_from("AB"),
    language=st.sampled_from(["en", "de"]),
    counts=st.booleans(),
    p_negative=st.sampled_from([0.7, 0.1]),
    p_positive=st.sampled_from([0.2, 0.05]),
    topics=st.sampled_from([("litigation",), ("other",), ("macro_policy", "litigation"), None]),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(members, min_size=1, max_size=4), max_size=12))
def test_cells_add_up_to_all_stories_whatever_comes(stories: list[list[Member]]) -> None:
    ordered = [sorted(those, key=lambda one: (one.published, one.id)) for those in stories]
    facts = [made for made in (fact_of(those, (), ENGLISH) for those in ordered) if made is not None]
    by_series, by_cell = count(facts)
    for everyone in (False, True):  # the cells of the publishers, and those over all of them
        part = [sums for cell, sums in by_cell.items() if (cell[1] == ANY) is everyone]
        assert sum(sums.stories for sums in part) == len(facts)
        assert sum(sums.articles for sums in part) == sum(made.articles for made in facts)
    for sums in (*by_series.values(), *by_cell.values()):
        assert sums.negative + sums.neutral + sums.positive == sums.stories
        assert 0 <= sums.alert_negative <= min(sums.negative, sums.alert_stories)
    whole = sum(sums.stories for (_, name), sums in by_series.items() if name == "all")
    assert whole == sum(made.main_topic != "other" for made in facts)
    assert {hour for hour, _ in by_series} == {made.published // HOUR_US for made in facts}
    assert count(facts) == (by_series, by_cell)
