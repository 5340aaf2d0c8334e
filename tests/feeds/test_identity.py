from __future__ import annotations

import pytest

from monitor.domain import ArticleDraft
from monitor.feeds.identity import archive_identity, canonical_url, identity_candidates
from tests.feeds.loopback import NOW


def draft(title: str = "Rates rise", guid: str | None = None, url: str | None = None) -> ArticleDraft:
    return ArticleDraft(guid=guid, url=url, title=title, summary="")


@pytest.mark.parametrize(
    "same",
    [
        "https://www.news.example/a/b?id=7&utm_source=rss&utm_medium=feed",
        "http://news.example/a/b?id=7#top",
        "https://NEWS.example:443/a/b/?id=7&fbclid=x",
        "https://news.example/a/b?id=7&at_medium=RSS&smid=tw",
    ],
)
def test_an_address_is_the_same_however_a_reader_came(same: str) -> None:
    assert canonical_url(same) == "news.example/a/b?id=7"


def test_parameters_that_name_the_article_stay() -> None:
    assert canonical_url("https://n.example/a?id=7") != canonical_url("https://n.example/a?id=8")
    assert canonical_url("https://n.example/a?p=1&q=2") != canonical_url("https://n.example/a?q=2&p=1")


def test_the_same_item_keeps_its_identity_when_its_link_gets_a_tracking_tail() -> None:
    first = identity_candidates([draft(guid="g1", url="https://n.example/a")], 1)
    later = identity_candidates([draft(guid="g1", url="https://n.example/a?utm_campaign=x")], 1)
    assert first == later


def test_a_reused_guid_does_not_make_one_of_two_articles() -> None:
    one, other = identity_candidates(
        [draft(guid="g", url="https://n.example/a"), draft(guid="g", url="https://n.example/b")], 1
    )
    assert not set(one) & set(other)


def test_a_shared_home_page_link_does_not_make_one_of_two_articles() -> None:
    home = "https://n.example/"
    one, other = identity_candidates([draft("One", "g1", home), draft("Two", "g2", home)], 1)
    assert not set(one) & set(other)


def test_guids_of_different_feeds_do_not_meet_unless_they_are_global() -> None:
    assert identity_candidates([draft(guid="17")], 1) != identity_candidates([draft(guid="17")], 2)
    urn = draft(guid="urn:uuid:1225c695-cfb8-4ebb-aaaa-80da344efa6a")
    assert identity_candidates([urn], 1) == identity_candidates([urn], 2)


def test_without_link_and_guid_the_text_decides() -> None:
    [one], [same], [other] = (identity_candidates([draft(title)], 1) for title in ("One", "One", "Other"))
    assert one == same != other


def test_a_row_of_an_archive_is_the_article_of_the_feed_with_its_address() -> None:
    url = "https://n.example/a"
    assert archive_identity("Other words", NOW, url, "News") == identity_candidates([draft(url=url)], 1)[0][0]
    assert archive_identity("Rates rise", NOW, None, "A") != archive_identity("Rates rise", NOW, None, "B")
