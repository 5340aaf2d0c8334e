"""The use case "read the pages": the full text of articles, where a deployment asks for it. Off by default.

Pages go the way of feeds: fetched within the same guard and limits, read in processes that can be killed. Whatever
goes wrong is a line on the page's own row; the article is in the store long before and loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.domain import Article, Fetched
from monitor.errors import FeedError, StoreError
from monitor.feeds.fetch import Fetcher
from monitor.feeds.parser import ParserPool
from monitor.ingest import probe
from monitor.store.base import Store

ALL = "all"


@dataclass(frozen=True, slots=True)
class PageResult:
    """characters: of the text that was kept; error: why there is none."""

    article: Article
    characters: int = 0
    error: str | None = None


def publishers_of(setting: str) -> Sequence[str] | None:
    """The setting `full_text` as `pages_due` wants it: None for `all`, else the publishers it names."""
    named = [part.strip() for part in setting.split(",") if part.strip()]
    return None if named == [ALL] else named


def read_pages(
    store: Store,
    fetcher: Fetcher,
    parser: ParserPool,
    publishers: Sequence[str] | None,
    now: datetime,
    stopped: Callable[[], bool] = lambda: False,
    limit: int = 100,
) -> Iterator[PageResult]:
    """Read up to `limit` pages of fresh articles; a result for each as it completes."""
    waiting = {article.id: article for article in store.pages_due(publishers, now, limit)}
    probes = [probe(article.id, article.url or "") for article in waiting.values()]
    for asked, outcome in fetcher.fetch_many(probes, now):
        if stopped():
            return
        article = waiting[asked.id]
        text, error = _text_of(parser, outcome)
        try:
            store.save_page(article.id, text, error, now)
        except StoreError as trouble:  # nothing is written: the next round asks again
            text, error = None, str(trouble)
        yield PageResult(article, len(text or ""), error)


def _text_of(parser: ParserPool, outcome: Fetched | FeedError) -> tuple[str | None, str | None]:
    if isinstance(outcome, FeedError):
        return None, str(outcome)
    try:
        return parser.text_of(outcome), None
    except FeedError as error:
        return None, str(error)
