"""Filters of the pages as one value, read from and written to the address, so that a view can be shared. Pure.

The address holds labels of the taxonomy, never translated words: a link works in every language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any

from dashboard.times import PRESETS, Span
from models.labels import SENTIMENTS, TOPICS
from monitor.domain import ArticleQuery, CellFilter

PARAMETERS = {
    "range": "range",
    "first": "from",
    "last": "to",
    "text": "q",
    "sentiments": "sentiment",
    "topics": "topic",
    "entities": "entity",
    "publishers": "publisher",
    "languages": "language",
    "confidence": "confidence",
    "unsure": "unsure",
    "grouped": "group",
}
"""Field → its name in the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    range: str = "7d"
    first: date | None = None
    last: date | None = None
    text: str = ""
    sentiments: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    publishers: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    confidence: float = 0.0
    unsure: bool = False
    grouped: bool = True

    @property
    def cells(self) -> CellFilter:
        return CellFilter(publishers=self.publishers, languages=self.languages, topics=self.topics)

    def query(self, span: Span, *, limit: int, offset: int = 0, count_to: int) -> ArticleQuery:
        return ArticleQuery(
            text=self.text,
            start=span.start,
            end=span.end,
            sentiments=self.sentiments,
            topics=self.topics,
            entities=self.entities,
            publishers=self.publishers,
            languages=self.languages,
            min_confidence=self.confidence,
            unsure_only=self.unsure,
            group_stories=self.grouped,
            limit=limit,
            offset=offset,
            count_to=count_to,
        )


def read(params: Mapping[str, Sequence[str]], default: Filters | None = None) -> Filters:
    """Filters from the address; what is unknown or malformed there keeps its default."""
    base = default or Filters()
    found: dict[str, Any] = {}
    for field in fields(Filters):
        given = [value for value in params.get(PARAMETERS[field.name], ()) if value != ""]
        if given:
            value = _parsed(field.name, given)
            if value is not None:
                found[field.name] = value
    if found.get("first") and "range" not in found:
        found["range"] = "custom"
    return replace(base, **found)


def write(filters: Filters, default: Filters | None = None) -> dict[str, list[str]]:
    """What the address has to hold for these filters; a default is left out."""
    base = default or Filters()
    params: dict[str, list[str]] = {}
    for field in fields(Filters):
        value = getattr(filters, field.name)
        if value == getattr(base, field.name):
            continue
        if field.name in ("first", "last") and filters.range != "custom":
            continue
        params[PARAMETERS[field.name]] = _written(value)
    return params


def _parsed(name: str, given: list[str]) -> Any:
    first = given[0]
    if name == "range":
        return first if first in PRESETS else None
    if name in ("first", "last"):
        try:
            return date.fromisoformat(first)
        except ValueError:
            return None
    if name == "text":
        return first[:300]
    if name == "sentiments":
        return tuple(value for value in given if value in SENTIMENTS) or None
    if name == "topics":
        return tuple(value for value in given if value in TOPICS) or None
    if name == "confidence":
        try:
            share = float(first)
        except ValueError:
            return None
        return share if 0 <= share <= 1 else None
    if name in ("unsure", "grouped"):
        return first == "1" if first in ("0", "1") else None
    return tuple(value[:200] for value in given[:50])


def _written(value: Any) -> list[str]:
    if isinstance(value, tuple):
        return [str(item) for item in value]
    if isinstance(value, bool):
        return ["1" if value else "0"]
    if isinstance(value, date):
        return [value.isoformat()]
    if isinstance(value, float):
        return [f"{value:g}"]
    return [str(value)]
