"""What every part of the app shares: settings, the store, and what is opened once."""

from __future__ import annotations

import threading
from datetime import datetime

from models.backend import Classifier
from monitor.deliver import Couriers, Pacer
from monitor.feeds.fetch import Fetcher
from monitor.feeds.parser import ParserPool
from monitor.feeds.stories import StoryIndex
from monitor.leader import Lead
from monitor.settings import Settings
from monitor.store.base import Store
from monitor.store.open import shown_url


class Core:
    """The composition root's common ground. Nothing heavy is opened before it is needed."""

    def __init__(self, settings: Settings, store: Store, *, scores_apart: bool = False) -> None:
        self.settings = settings
        self.store = store
        self._scores_apart = scores_apart
        self._lock = threading.RLock()
        self._lead: Lead | None = None
        self._classifier: Classifier | None = None
        self._refused: tuple[str | None, str, float] | None = None  # live version that was not opened, why, when
        self._fetcher: Fetcher | None = None
        self._parser: ParserPool | None = None
        self._index: StoryIndex | None = None
        self._pacer = Pacer()
        self._couriers = Couriers()
        self._reminded: datetime | None = None

    @property
    def store_name(self) -> str:
        return shown_url(self.settings.store_url)
