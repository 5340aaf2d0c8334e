"""Watched companies and where articles mention them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from monitor.domain import Entity, Mention
from monitor.errors import StoreError
from monitor.store.articles import ArticlesPart
from monitor.store.audit import AuditPart
from monitor.store.database import chunks
from monitor.store.schema import (
    articles,
    dirty_stories,
    entities,
    mentions,
)
from monitor.store.values import (
    dump,
    load,
)

_BATCH = 10_000


class EntitiesPart(AuditPart, ArticlesPart):
    def entities(self) -> list[Entity]:
        with self.read() as connection:
            rows = connection.execute(select(entities).order_by(entities.c.name)).all()
        return [_entity(row) for row in rows]

    def save_entity(self, entity: Entity, now: datetime) -> Entity:
        """Insert or replace by name; an id renames that entity. Audited."""
        values: dict[str, Any] = {
            "name": entity.name,
            "aliases": dump(list(entity.aliases)),
            "ticker": entity.ticker,
            "lei": entity.lei,
            "weight": entity.weight,
        }
        with self.write() as connection:
            by_name = connection.execute(select(entities.c.id).where(entities.c.name == entity.name)).scalar()
            if entity.id and by_name not in (None, entity.id):
                raise StoreError(f"store: another entity is already called {entity.name}")
            there = entity.id or by_name
            if there:
                old = connection.execute(select(entities.c.name).where(entities.c.id == there)).scalar()
                if old is None:
                    raise StoreError(f"store: there is no entity {there}")
                connection.execute(entities.update().where(entities.c.id == there).values(**values))
                if old != entity.name:
                    self._mark_entity(connection, int(there))
                saved = replace(entity, id=int(there))
            else:
                made = connection.execute(entities.insert().values(**values).returning(entities.c.id))
                saved = replace(entity, id=int(made.scalar_one()))
            detail = {**values, "aliases": list(entity.aliases)}
            self._audit(connection, "system", "entity.save", entity.name, detail, now)
        return saved

    def remove_entity(self, name: str, now: datetime) -> None:
        with self.write() as connection:
            there = connection.execute(select(entities.c.id).where(entities.c.name == name)).scalar()
            if there is None:
                return
            self._mark_entity(connection, there)
            connection.execute(entities.delete().where(entities.c.id == there))
            self._audit(connection, "system", "entity.remove", name, {}, now)

    def replace_mentions(self, entity_id: int, mentions: Iterable[tuple[int, Mention]]) -> int:
        """Set the (article id, mention) pairs of one entity, mark the hours dirty; gives how many."""
        rows: dict[tuple[int, str], dict[str, Any]] = {}
        for article_id, mention in mentions:
            rows[article_id, mention.where] = {
                "entity_id": entity_id,
                "article_id": article_id,
                "place": mention.where,
                "confidence": mention.confidence,
                "alias": mention.alias,
            }
        with self.write() as connection:
            there = connection.execute(select(entities.c.id).where(entities.c.id == entity_id)).scalar()
            if there is None:
                raise StoreError(f"store: there is no entity {entity_id}")
            return self._replace_mentions(connection, entity_id, rows)

    def _replace_mentions(
        self, connection: Connection, entity_id: int, rows: dict[tuple[int, str], dict[str, Any]]
    ) -> int:
        self._mark_entity(connection, entity_id)
        connection.execute(mentions.delete().where(mentions.c.entity_id == entity_id))
        known: set[int] = set()
        for chunk in chunks(sorted({article_id for article_id, _ in rows})):
            known.update(connection.execute(select(articles.c.id).where(articles.c.id.in_(chunk))).scalars())
        kept = [row for (article_id, _), row in rows.items() if article_id in known]
        for part in chunks(kept, _BATCH):
            connection.execute(mentions.insert(), list(part))
        self._mark_entity(connection, entity_id)
        return len(kept)

    def _mark_entity(self, connection: Connection, entity_id: int) -> None:
        named = select(mentions.c.article_id).where(mentions.c.entity_id == entity_id)
        touched = select(articles.c.story).distinct().where(articles.c.id.in_(named))
        connection.execute(dirty_stories.insert().from_select(["story"], touched))


def _entity(row: Any) -> Entity:
    return Entity(
        id=row.id,
        name=row.name,
        aliases=tuple(load(row.aliases)),
        ticker=row.ticker,
        lei=row.lei,
        weight=row.weight,
    )
