"""Where the past comes from: the store, or a list of story facts held in memory."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from monitor.alerts.history import History, history_from_counts, history_from_facts, midnight
from monitor.domain import ArticleQuery, ScoredArticle, StoryFact, series_of
from monitor.errors import AlertError

if TYPE_CHECKING:
    from monitor.store.base import Store


class StoreSource:
    """Hour cells and story facts of the store, under its live model. Implements `HistorySource`."""

    def __init__(self, store: Store, patterns: Sequence[str] = ()) -> None:
        """patterns: scope of the rules; `entity:*/topic:*` series are read only when one of them asks."""
        self._store = store
        self.crosses = any("/topic:" in pattern or pattern == "*" for pattern in patterns)

    def history(self, start: datetime, end: datetime) -> History:
        rows = self._store.alert_counts(midnight(start), end, topics_of_entities=self.crosses)
        return history_from_counts(rows, start, end)

    def negative_facts(self, series: str, start: datetime, end: datetime, limit: int) -> list[StoryFact]:
        return self._store.story_facts(series, start, end, negative_only=True, counting_only=True, limit=limit)

    def named_in_title(self, story_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        return self._store.named_in_title(story_ids)

    def search(self, query: ArticleQuery) -> list[ScoredArticle]:
        return self._store.search_articles(query)[0]

    def arrivals(self, start: datetime, end: datetime) -> list[tuple[str, str, int, int]]:
        return self._store.arrivals(start, end)


class FactsSource:
    """Story facts in memory: replays of corpora, and tests. Implements `HistorySource`."""

    def __init__(self, facts: Iterable[StoryFact]) -> None:
        self._facts = sorted(facts, key=lambda fact: fact.published)
        self._times = [fact.published for fact in self._facts]

    def history(self, start: datetime, end: datetime) -> History:
        return history_from_facts(self._between(midnight(start), end), start, end)

    def negative_facts(self, series: str, start: datetime, end: datetime, limit: int) -> list[StoryFact]:
        found = [
            fact
            for fact in self._between(start, end)
            if fact.counts and fact.sentiment == "negative" and series in series_of(fact)
        ]
        found.sort(key=lambda fact: -fact.p_negative)
        return found[:limit]

    def named_in_title(self, story_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Story facts do not say where they name an entity: in memory, each is taken to name it in its title."""
        wanted = set(story_ids)
        return {fact.story_id: frozenset(fact.entities) for fact in self._facts if fact.story_id in wanted}

    def search(self, query: ArticleQuery) -> list[ScoredArticle]:
        raise AlertError("backtest: keyword rules need the articles of a store; story facts have no text")

    def arrivals(self, start: datetime, end: datetime) -> list[tuple[str, str, int, int]]:
        """By publisher: story facts do not say which feed brought them."""
        seen = Counter(
            (publisher, int(fact.first_seen.timestamp()) // 3600)
            for fact in self._facts
            if fact.counts and start <= fact.first_seen < end
            for publisher in fact.publishers
        )
        return [("", publisher, hour, items) for (publisher, hour), items in seen.items()]

    def _between(self, start: datetime, end: datetime) -> list[StoryFact]:
        return self._facts[bisect_left(self._times, start) : bisect_left(self._times, end)]
