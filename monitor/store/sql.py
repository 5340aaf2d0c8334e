"""The one implementation of the seam, put together from its parts."""

from __future__ import annotations

from monitor.store.base import Store
from monitor.store.desk import DeskPart
from monitor.store.entities import EntitiesPart
from monitor.store.feeds import FeedsPart
from monitor.store.lifecycle import LifecyclePart
from monitor.store.pages import PagesPart
from monitor.store.verify import VerifyPart


class SqlStore(FeedsPart, PagesPart, EntitiesPart, LifecyclePart, VerifyPart, DeskPart):
    """`Store` on SQLite or PostgreSQL."""

    def backup(self, path: str) -> None:
        """A consistent copy while others read and write."""
        from monitor.store.backup import write_backup  # it opens stores itself

        write_backup(self.url, path)


def _agrees(store: SqlStore) -> Store:
    """mypy reads here that the implementation is the seam."""
    return store
