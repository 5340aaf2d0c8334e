"""Reading articles as people see them: one, a story's, or a page of matches."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, literal_column, select, text

from models.backend import Prediction
from models.labels import TOPICS
from monitor.domain import ArticleQuery, ScoredArticle
from monitor.store.articles import ArticlesPart, article_columns, article_of
from monitor.store.database import chunks
from monitor.store.schema import (
    articles,
    entities,
    load,
    mentions,
    model_history,
    models,
    position_at,
    prediction_topics,
    predictions,
    stories,
    us,
    work,
)
from monitor.store.search import Question, ask, fts5, fts5_terms, tsquery

COUNT_CAP = 10_000
_DOUBLES = struct.Struct(f"<{len(TOPICS)}d")


def pack(scores: Sequence[float]) -> bytes:
    return _DOUBLES.pack(*scores)


class ReadingPart(ArticlesPart):
    def article(self, article_id: int) -> ScoredArticle | None:
        with self.read() as connection:
            found = self._scored(connection, [articles.c.id == article_id], limit=1)
        return found[0] if found else None

    def story_articles(self, story_id: str) -> list[ScoredArticle]:
        """All articles of a story, oldest first; the name of a merged story gives the story that was kept."""
        with self.read() as connection:
            own = select(func.coalesce(stories.c.merged_into, stories.c.id)).where(stories.c.key == story_id)
            return self._scored(connection, [articles.c.story == own.scalar_subquery()], oldest_first=True)

    def search_articles(self, query: ArticleQuery) -> tuple[list[ScoredArticle], int]:
        """One page of matches, newest first, and the total number of matches (capped at 10,000)."""
        with self.read() as connection:
            model = self._live(connection)
            wheres = self._wheres(query, None if model is None else model.id)
            position = articles.c.position
            inner = select(position).where(*wheres).order_by(None)
            total = connection.execute(select(func.count()).select_from(inner.limit(COUNT_CAP).subquery())).scalar_one()
            if not total:
                return [], 0
            page = inner.order_by(position.desc()).limit(query.limit).offset(query.offset)
            positions = list(connection.execute(page).scalars())
            return (self._scored(connection, [position.in_(positions)]) if positions else []), int(total)

    # ── questions ────────────────────────────────────────────────────────────────────────────────────────────────

    def _wheres(self, query: ArticleQuery, model: int | None) -> list[ColumnElement[bool]]:
        c = articles.c
        wheres: list[ColumnElement[bool]] = []
        if query.start is not None:
            wheres += [c.position >= position_at(query.start), c.published >= us(query.start)]
        if query.end is not None:
            wheres += [c.position < position_at(query.end) + (1 << 24), c.published < us(query.end)]
        question = ask(query.text)
        if question:
            wheres.append(self._matches(question, query.start, query.end))
        if query.publishers:
            wheres.append(c.publisher.in_(query.publishers))
        if query.languages:
            wheres.append(c.language.in_(query.languages))
        if query.entities:
            named = select(entities.c.id).where(entities.c.name.in_(query.entities))
            wheres.append(c.id.in_(select(mentions.c.article_id).where(mentions.c.entity_id.in_(named))))
        if query.story_id is not None:
            own = select(func.coalesce(stories.c.merged_into, stories.c.id)).where(stories.c.key == query.story_id)
            wheres.append(c.story == own.scalar_subquery())
        if query.group_stories:
            first = exists().where(stories.c.id == c.story, stories.c.first_position == c.position)
            wheres.append(first)
        wheres += self._predicted(query, model)
        return wheres

    def _predicted(self, query: ArticleQuery, model: int | None) -> list[ColumnElement[bool]]:
        p, t = predictions.c, prediction_topics.c
        live = -1 if model is None else model
        conditions: list[ColumnElement[bool]] = []
        if query.sentiments:
            conditions.append(p.sentiment.in_(query.sentiments))
        if query.min_confidence > 0:
            conditions.append(p.confidence >= query.min_confidence)
        if query.unsure_only:
            conditions.append(p.unsure)
        wheres: list[ColumnElement[bool]] = []
        if conditions:
            wheres.append(exists().where(p.article_id == articles.c.id, p.model_id == live, *conditions))
        if query.topics:
            wheres.append(
                exists().where(t.model_id == live, t.topic.in_(query.topics), t.position == articles.c.position)
            )
        return wheres

    def _matches(self, question: Question, start: datetime | None, end: datetime | None) -> ColumnElement[bool]:
        position = articles.c.position
        if not self.is_sqlite:
            body = text("body @@ CAST(:query AS tsquery)").bindparams(query=tsquery(question))
            found: Any = select(literal_column("article_id")).select_from(text("article_search")).where(body)
            return articles.c.id.in_(found)
        if not question.wanted:
            return position.not_in(_fts(fts5_terms(question.unwanted, "OR")))
        return position.in_(_fts(fts5(question)))

    # ── rows to values ───────────────────────────────────────────────────────────────────────────────────────────

    def _live(self, connection: Connection) -> Any:
        """Row (id, version, languages) of the live model, or None."""
        query = (
            select(models.c.id, models.c.version, models.c.languages)
            .join(model_history, model_history.c.model_id == models.c.id)
            .order_by(model_history.c.id.desc())
            .limit(1)
        )
        return connection.execute(query).one_or_none()

    def _scored(
        self,
        connection: Connection,
        wheres: Sequence[ColumnElement[bool]],
        *,
        oldest_first: bool = False,
        limit: int | None = None,
    ) -> list[ScoredArticle]:
        live = self._live(connection)
        model = -1 if live is None else live.id
        languages = set() if live is None else set(load(live.languages))
        p = predictions
        query: Select[Any] = (
            article_columns()
            .add_columns(
                p.c.p_negative,
                p.c.p_neutral,
                p.c.p_positive,
                p.c.topics,
                p.c.topic_scores,
                p.c.confidence,
                p.c.unsure,
                p.c.truncated,
                work.c.quarantined,
            )
            .outerjoin(p, and_(p.c.article_id == articles.c.id, p.c.model_id == model))
            .outerjoin(work, work.c.article_id == articles.c.id)
            .where(*wheres)
            .order_by(articles.c.position if oldest_first else articles.c.position.desc())
        )
        rows = connection.execute(query if limit is None else query.limit(limit)).all()
        names = self._names(connection, [row.id for row in rows])
        sizes = self._sizes(connection, sorted({row.story for row in rows}))
        version = "" if live is None else live.version
        return [
            ScoredArticle(
                article=article_of(row),
                prediction=None if row.topics is None else prediction_of(row, version),
                state=_state(row, languages, live is not None),
                entities=tuple(names.get(row.id, ())),
                story_articles=sizes[row.story][0],
                story_publishers=sizes[row.story][1],
            )
            for row in rows
        ]

    def _names(self, connection: Connection, ids: Sequence[int]) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for chunk in chunks(ids):
            query = (
                select(mentions.c.article_id, entities.c.name)
                .join(entities, entities.c.id == mentions.c.entity_id)
                .where(mentions.c.article_id.in_(chunk))
                .distinct()
                .order_by(entities.c.name)
            )
            for article_id, name in connection.execute(query):
                found.setdefault(article_id, []).append(name)
        return found

    def _sizes(self, connection: Connection, ids: Sequence[int]) -> dict[int, tuple[int, int]]:
        c = articles.c
        found: dict[int, tuple[int, int]] = {}
        for chunk in chunks(ids):
            query = (
                select(c.story, func.count(), func.count(c.publisher.distinct()))
                .where(c.story.in_(chunk))
                .group_by(c.story)
            )
            for story, count, publishers in connection.execute(query):
                found[story] = (count, publishers)
        return found


def _fts(expression: str) -> Any:
    match = text("article_search MATCH :match").bindparams(match=expression)
    return select(literal_column("rowid")).select_from(text("article_search")).where(match)


def _state(row: Any, languages: set[str], live: bool) -> str:
    if row.topics is not None:
        return "scored"
    if row.quarantined:
        return "quarantined"
    return "waiting" if row.language in languages or not live else "unsupported"


def prediction_of(row: Any, version: str) -> Prediction:
    """A `Prediction` from a row of predictions, with the very numbers that were saved."""
    return Prediction(
        p_negative=row.p_negative,
        p_neutral=row.p_neutral,
        p_positive=row.p_positive,
        topics=tuple(row.topics.split("|")),
        topic_scores=_DOUBLES.unpack(row.topic_scores),
        confidence=row.confidence,
        unsure=row.unsure,
        truncated=row.truncated,
        model_version=version,
    )


__all__ = ["ReadingPart", "pack", "prediction_of"]
