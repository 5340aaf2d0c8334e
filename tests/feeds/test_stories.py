from __future__ import annotations

import random
from datetime import timedelta

import pytest

from monitor.feeds.stories import WINDOW, Item, StoryIndex
from tests.feeds.loopback import NOW


def together(first: str, second: str, hours: float = 1) -> bool:
    index = StoryIndex()
    one = index.assign([Item("a", first, NOW)])
    return index.assign([Item("b", second, NOW + timedelta(hours=hours))]) == one


HALT = "Calderwick Bank halts withdrawals after liquidity shortfall"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (HALT, HALT),
        (HALT, f"UPDATE 2-{HALT}"),
        (HALT, f"{HALT}: sources"),
        (HALT, "Calderwick Bank halts withdrawals following a liquidity shortfall"),
        (
            "Regulator fines Tollgate Insurance over claims handling",
            "Tollgate Insurance fined by regulator over claims handling",
        ),
        ("监管机构因理赔问题对保险公司处以罚款", "监管机构因理赔问题对该保险公司处以罚款"),
    ],
)
def test_copies_with_small_edits_are_one_story(first: str, second: str) -> None:
    assert together(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Calderwick Bank shares rise 5 percent after results", "Calderwick Bank shares rise 7 percent after results"),
        ("Calderwick Bank shares rise sharply after results", "Calderwick Bank shares fall sharply after results"),
        ("Calderwick Bank approves merger with Tollgate", "Calderwick Bank rejects merger with Tollgate"),
        ("Calderwick Bank will not cut its dividend this year", "Calderwick Bank will cut its dividend this year"),
        ("Calderwick says December sales fell in all regions", "Brightharrow says December sales fell in all regions"),
        ("Five things to know on Tuesday in the markets", "Five things to know on Wednesday in the markets"),
        ("亚洲市场开盘前需要了解的五件事", "欧洲市场开盘前需要了解的五件事"),
        ("Calderwick Bank names a new finance chief", "Storm closes ports along the northern coast"),
    ],
)
def test_what_changes_the_event_keeps_titles_apart(first: str, second: str) -> None:
    assert not together(first, second)


def test_a_column_that_comes_every_day_is_a_new_story_every_day() -> None:
    assert together("Stocks hitting yearly highs", "Stocks hitting yearly highs", hours=1)
    assert not together("Stocks hitting yearly highs", "Stocks hitting yearly highs", hours=24)


def test_a_story_ends_72_hours_after_its_first_article() -> None:
    title = "Calderwick Bank halts withdrawals after a sudden liquidity shortfall at its mortgage arm"
    assert together(title, title, hours=71)
    assert not together(title, title, hours=73)


def test_a_story_is_named_by_its_first_article_and_keeps_its_name() -> None:
    index = StoryIndex()
    title = "Calderwick Bank halts withdrawals after liquidity shortfall"
    assert index.assign([Item(name, title, NOW) for name in "abc"]) == ["a", "a", "a"]
    assert index.assign([Item("b", "Quite another title now", NOW)]) == ["a"], "a revision stays in its story"
    assert (index.story_of("c"), index.story_of("z")) == ("a", None)


def test_what_is_forgotten_joins_nothing_and_takes_no_room() -> None:
    index = StoryIndex()
    title = "Calderwick Bank halts withdrawals after liquidity shortfall"
    index.assign([Item("a", title, NOW)])
    index.forget_before(NOW + timedelta(seconds=1))
    assert len(index) == 0 and not index._buckets
    assert index.assign([Item("b", title, NOW + timedelta(hours=1))]) == ["b"]


def test_empty_and_tiny_titles_are_stories_of_their_own() -> None:
    index = StoryIndex()
    assert index.assign([Item("a", "…", NOW), Item("b", "—", NOW), Item("c", "涨", NOW)]) == ["a", "b", "c"]


def test_the_answer_does_not_depend_on_how_titles_come_in_batches() -> None:
    chooser = random.Random(3)
    words = "bank rates shares profit merger fine bond default rating outage lawsuit oil gold"
    items = [
        Item(str(n), " ".join(chooser.choices(words.split(" "), k=6)), NOW + timedelta(minutes=n)) for n in range(300)
    ]
    whole, single = StoryIndex(), StoryIndex()
    assert whole.assign(items) == [single.assign([item])[0] for item in items]
    assert timedelta(hours=72) == WINDOW
