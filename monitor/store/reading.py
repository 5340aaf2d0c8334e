"""Reading articles as people see them: one, a story's, or a page of matches."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    column,
    exists,
    func,
    select,
    table,
    text,
)

from models.backend import Prediction
from models.labels import TOPICS
from monitor.domain import ArticleQuery, ScoredArticle
from monitor.store.articles import ArticlesPart, article_columns, article_of
from monitor.store.database import chunks
from monitor.store.schema import (
    articles,
    entities,
    mentions,
    model_history,
    models,
    prediction_topics,
    predictions,
    stories,
    work,
)
from monitor.store.search import Question, ask, fts5, fts5_terms, tsquery
from monitor.store.values import (
    POSITION_BITS,
    load,
    position_at,
    us,
)

SECOND = timedelta(seconds=1)
_SEARCH = table("article_search", column("rowid", BigInteger), column("position", BigInteger))
_DOUBLES = struct.Struct(f"<{len(TOPICS)}d")


class Driver(NamedTuple):
    """The table whose index walks the matches newest first, and the part of the question that it settles."""

    source: Any
    position: Any
    wheres: list[ColumnElement[bool]]
    settles: str


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
        """One page of matches, newest first, and the total number of matches as far as `count_to`."""
        with self.read() as connection:
            live = self._live(connection)
            inner, position = self._matching(query, -1 if live is None else live.id)
            page = inner.order_by(position.desc()).limit(query.limit).offset(query.offset)
            positions = list(connection.execute(page).scalars())
            total = query.offset + len(positions) if positions else 0
            # A page that is not full is the last one; past the last one it takes a count to know.
            more = len(positions) == query.limit if positions else query.offset > 0
            if more and total < query.count_to:
                capped = inner.limit(query.count_to).subquery()
                total = int(connection.execute(select(func.count()).select_from(capped)).scalar_one())
            return (self._scored(connection, [articles.c.position.in_(positions)]) if positions else []), total

    # ── questions ────────────────────────────────────────────────────────────────────────────────────────────────

    def _matching(self, query: ArticleQuery, model: int) -> tuple[Select[Any], Any]:
        """The positions that match, from the one index that walks them newest first, and that index's column. The
        table of articles is joined only when something is asked of it."""
        driver = self._driver(query, model)
        position, wheres = driver.position, [*driver.wheres]
        if query.start is not None:
            wheres.append(position >= position_at(query.start))
        if query.end is not None:
            part = 1 << POSITION_BITS if query.end.microsecond else 0
            wheres.append(position < position_at(query.end) + part)
        rest = self._wheres(query, model, driver.settles)
        source = driver.source
        if source is not articles and rest:
            source = source.join(articles, articles.c.position == position)
        placed = self._placed(query, model, driver)
        return select(position).select_from(source).where(*wheres, *placed, *rest), position

    def _placed(self, query: ArticleQuery, model: int, driver: Driver) -> list[ColumnElement[bool]]:
        """What is asked of predictions and found by the position alone, from an index, without the article's row."""
        said, mine = predictions.alias("placed"), prediction_topics.alias("mine")
        wheres: list[ColumnElement[bool]] = []
        if query.sentiments and driver.settles != "sentiments":
            own = (said.c.model_id == model, said.c.position == driver.position)
            wheres.append(select(said.c.position).where(*own, said.c.sentiment.in_(query.sentiments)).exists())
        if query.topics and driver.settles != "topics":
            own = (mine.c.model_id == model, mine.c.position == driver.position)
            wheres.append(select(mine.c.position).where(*own, mine.c.topic.in_(query.topics)).exists())
        return wheres

    def _driver(self, query: ArticleQuery, model: int) -> Driver:
        p, t = predictions.c, prediction_topics.c
        question = ask(query.text)
        if question.wanted:
            return Driver(_SEARCH, self._search_position, [self._match(question)], "text")
        if query.entities or query.story_id is not None:  # few articles: found by their mentions or story, then sorted
            return Driver(articles, articles.c.position, [], "")
        if len(query.topics) == 1:
            wheres = [t.model_id == model, t.topic == query.topics[0]]
            return Driver(prediction_topics, t.position, wheres, "topics")
        if query.unsure_only:
            return Driver(predictions, p.position, [p.model_id == model, p.unsure], "unsure")
        if len(query.sentiments) == 1:
            wheres = [p.model_id == model, p.sentiment == query.sentiments[0]]
            return Driver(predictions, p.position, wheres, "sentiments")
        return Driver(articles, articles.c.position, [], "")

    @property
    def _search_position(self) -> Any:
        return _SEARCH.c.rowid if self.is_sqlite else _SEARCH.c.position

    def _match(self, question: Question) -> Any:
        if self.is_sqlite:
            return text("article_search MATCH :match").bindparams(match=fts5(question))
        return text("body @@ CAST(:match AS tsquery)").bindparams(match=tsquery(question))

    def _wheres(self, query: ArticleQuery, model: int, settled: str) -> list[ColumnElement[bool]]:
        """What is asked of articles and predictions beyond what the driver settles."""
        c = articles.c
        wheres: list[ColumnElement[bool]] = []
        if query.start is not None and query.start.microsecond:
            wheres.append(c.published >= us(query.start))
        if query.end is not None and query.end.microsecond:
            wheres.append(c.published < us(query.end))
        question = ask(query.text)
        if question.unwanted and not question.wanted:
            wheres.append(self._without(question, query))
        if query.publishers:
            wheres.append(c.publisher.in_(query.publishers))
        if query.languages:
            wheres.append(c.language.in_(query.languages))
        if query.entities:
            named = select(entities.c.id).where(entities.c.name.in_(query.entities))
            # "+ 0": after the full-text index a set to look into; SQLite would try each of its ids for each match.
            own_id = c.id + 0 if settled == "text" else c.id
            wheres.append(own_id.in_(select(mentions.c.article_id).where(mentions.c.entity_id.in_(named))))
        if query.story_id is not None:
            own = select(func.coalesce(stories.c.merged_into, stories.c.id)).where(stories.c.key == query.story_id)
            wheres.append(c.story == own.scalar_subquery())
        if query.group_stories:
            wheres.append(exists().where(stories.c.id == c.story, stories.c.first_position == c.position))
        return [*wheres, *self._predicted(query, model, settled)]

    def _predicted(self, query: ArticleQuery, model: int, settled: str) -> list[ColumnElement[bool]]:
        said = predictions.alias("said")
        conditions: list[ColumnElement[bool]] = []
        if query.min_confidence > 0:
            conditions.append(said.c.confidence >= query.min_confidence)
        if query.unsure_only and settled != "unsure":
            conditions.append(said.c.unsure)
        wheres: list[ColumnElement[bool]] = []
        if conditions:
            own = (said.c.article_id == articles.c.id, said.c.model_id == model)
            wheres.append(select(said.c.article_id).where(*own, *conditions).exists())
        return wheres

    def _without(self, question: Question, query: ArticleQuery) -> ColumnElement[bool]:
        """Articles that hold none of the unwanted terms, when nothing is wanted; those terms are looked up within the
        span that is asked for only."""
        if self.is_sqlite:
            match = text("article_search MATCH :match").bindparams(match=fts5_terms(question.unwanted, "OR"))
        else:
            match = text("NOT (body @@ CAST(:match AS tsquery))").bindparams(match=tsquery(question))
        inside = select(self._search_position).where(match)
        if query.start is not None:
            inside = inside.where(self._search_position >= position_at(query.start))
        if query.end is not None:
            inside = inside.where(self._search_position < position_at(query.end + SECOND))
        return articles.c.position.not_in(inside)

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
