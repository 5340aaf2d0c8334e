"""The use case "watch a company from now on, and backwards": entities matched back over what is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from monitor.domain import Entity, Mention
from monitor.entities.matcher import Matcher, overlapping
from monitor.store.base import Store

_BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)


def rematch(store: Store, changed: Sequence[Entity], progress: Callable[[int], object] = lambda _: None) -> int:
    """Match changed entities over all stored articles and set their mentions; gives how many there are.

    Entities whose names overlap with a changed one ("Acme" when "Acme Bank" is added) are matched again too, because
    the longest name wins. Reads every stored article once; the store's own transactions stay short.
    """
    everyone = store.entities()
    again = overlapping(changed, everyone)
    if not again:
        return 0
    matcher = Matcher(everyone)
    found: dict[int, list[tuple[int, Mention]]] = {entity.id: [] for entity in again}
    read = 0
    for article in store.recent_articles(_BEGINNING):
        for mention in matcher.mentions(article.title, article.summary):
            if mention.entity_id in found:
                found[mention.entity_id].append((article.id, mention))
        read += 1
        if read % 1_000 == 0:
            progress(1_000)
    progress(read % 1_000)
    wanted = {entity.id for entity in changed}
    total = 0
    for entity_id, mentions in found.items():
        count = store.replace_mentions(entity_id, mentions)
        total += count if entity_id in wanted else 0
    return total


def rematch_entity(store: Store, entity: Entity) -> int:
    """The same for one entity that was added or changed."""
    return rematch(store, [entity])
