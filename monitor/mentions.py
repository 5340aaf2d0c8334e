"""The use case "watch a company from now on, and backwards": entities matched back over what is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from monitor.domain import Article, Entity, Mention
from monitor.entities.matcher import Matcher, overlapping
from monitor.store.base import Store

_BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)


class Watched:
    """The watchlist's matcher for taking in news: built anew when the watchlist has changed, also in the midst of a
    round. What was stored before a change is `rematch`'s."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entry = -1  # of the audit log, which each change of the watchlist enters
        self._entities: list[Entity] = []
        self._matcher = Matcher([])

    def matcher(self) -> Matcher:
        """To be called while `store.ingesting()`."""
        newest = self._store.audit(1)
        entry = newest[0].seq if newest else 0
        if entry != self._entry:
            entities = self._store.entities()
            if entities != self._entities:
                self._entities, self._matcher = entities, Matcher(entities)
            self._entry = entry
        return self._matcher


def rematch(store: Store, changed: Sequence[Entity], progress: Callable[[int], object] = lambda _: None) -> int:
    """Match changed entities over all stored articles and set their mentions; gives how many there are.

    Entities whose names overlap with a changed one ("Acme" when "Acme Bank" is added) are matched again too, because
    the longest name wins. Reads every stored article once; the store's own transactions stay short. What a worker
    stores meanwhile is read too, and nothing is stored while the mentions of an entity are set.
    """
    everyone = store.entities()
    again = overlapping(changed, everyone)
    if not again:
        return 0
    matcher = Matcher(everyone)
    found: dict[int, list[tuple[int, Mention]]] = {entity.id: [] for entity in again}
    with store.ingesting():
        newest = store.newest_article()  # what is stored after this is matched with these entities, or read below

    def match(article: Article) -> None:
        for mention in matcher.mentions(article.title, article.summary):
            if mention.entity_id in found:
                found[mention.entity_id].append((article.id, mention))

    read = 0
    for article in store.recent_articles(_BEGINNING):
        match(article)
        read += 1
        if read % 1_000 == 0:
            progress(1_000)
    progress(read % 1_000)
    wanted = {entity.id for entity in changed}
    total = 0
    for entity_id, mentions in found.items():
        with store.ingesting():
            for article in store.articles_after(newest, _BEGINNING):
                match(article)
            newest = store.newest_article()
            count = store.replace_mentions(entity_id, mentions)
        total += count if entity_id in wanted else 0
    return total


def rematch_entity(store: Store, entity: Entity) -> int:
    """The same for one entity that was added or changed."""
    return rematch(store, [entity])
