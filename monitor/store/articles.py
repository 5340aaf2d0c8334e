"""Articles and stories going in and out of the store; reading them is in reading.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, func, select, table, text

from monitor.domain import AddCounts, Article, DateQuality, NewArticle
from monitor.store.database import Database, chunks
from monitor.store.schema import (
    article_pages,
    articles,
    counters,
    dirty_stories,
    entities,
    feeds,
    mentions,
    prediction_topics,
    predictions,
    revisions,
    stories,
    work,
)
from monitor.store.search import clean, search_body, tsvector_body
from monitor.store.values import (
    position_at,
    position_of,
    us,
    when,
)

INSERT_CHUNK = 5000
PAGE = 2000
_SEARCH = table("article_search")  # made by the migrations: FTS5 or a table with a tsvector
_INGEST_LOCK = 0x48574149
_PG_NEWEST = text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM article_id")
_ARTICLE = tuple(articles.c.keys())
_WORK = ("article_id", "language", "position", "attempts", "lease_until", "quarantined", "discard")
_MENTION = ("entity_id", "article_id", "place", "confidence", "alias")


class Known(NamedTuple):
    id: int
    position: int
    story: int
    title: str
    summary: str
    language: str


class ArticlesPart(Database):
    def add_articles(self, articles: Sequence[NewArticle], now: datetime) -> AddCounts:
        """Insert new identities; a known identity with another title keeps the old one as a revision and is scored
        again; otherwise it counts as seen. One transaction for each 5,000: a batch is there as a whole or not."""
        new = revised = seen = newest = 0
        for chunk in chunks(articles, INSERT_CHUNK):
            with self.write(ingest=True) as connection:
                counts = self._add_articles(connection, chunk, now)
            new, revised, seen = new + counts.new, revised + counts.revised, seen + counts.seen
            newest = max(newest, counts.newest)
        return AddCounts(new=new, revised=revised, seen=seen, newest=newest)

    def _add_articles(self, connection: Connection, batch: Sequence[NewArticle], now: datetime) -> AddCounts:
        return self._add_batches(connection, [batch], now)[0]

    def _add_batches(
        self, connection: Connection, batches: Sequence[Sequence[NewArticle]], now: datetime
    ) -> list[AddCounts]:
        """Several batches at once, as if one came after the other; what each of them brought."""
        if not any(batches):
            return [AddCounts() for _ in batches]
        if not self.is_sqlite:  # one writer of articles at a time, so that an identity is looked up and inserted safely
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _INGEST_LOCK})
        first: dict[str, tuple[int, NewArticle]] = {}
        for number, batch in enumerate(batches):
            for article in batch:
                first.setdefault(article.identity, (number, article))
        known = self._known(connection, list(first))
        fresh = [(number, article) for identity, (number, article) in first.items() if identity not in known]
        ids = self._insert(connection, [article for _, article in fresh])
        changed = [
            (number, known[identity], article)
            for identity, (number, article) in first.items()
            if identity in known and known[identity].title != clean(article.title)
        ]
        for _, was, article in changed:
            self._revise(connection, was, article, now)
        new, revised = Counter(number for number, _ in fresh), Counter(number for number, *_ in changed)
        newest = {number: key for (number, _), key in zip(fresh, ids, strict=True)}
        return [
            AddCounts(
                new=new[number],
                revised=revised[number],
                seen=len(batch) - new[number] - revised[number],
                newest=newest.get(number, 0),
            )
            for number, batch in enumerate(batches)
        ]

    def _known(self, connection: Connection, identities: Sequence[str]) -> dict[str, Known]:
        c = articles.c
        found: dict[str, Known] = {}
        query = select(c.identity, c.id, c.position, c.story, c.title, c.summary, c.language)
        for row in connection.execute(query.where(self.among(c.identity, identities))):
            found[row[0]] = Known(*row[1:])
        return found

    def _insert(self, connection: Connection, fresh: Sequence[NewArticle]) -> list[int]:
        """The ids that were given, rising."""
        if not fresh:
            return []
        ids = self._next_ids(connection, len(fresh))
        published = [us(article.published) for article in fresh]
        positions = [position_of(at, article_id) for at, article_id in zip(published, ids, strict=True)]
        story_ids, old_stories = self._story_ids(connection, fresh, positions)
        feed_ids = {article.feed_id for article in fresh} - {None}
        known_feeds: set[int] = set()
        if feed_ids:
            known_feeds.update(connection.execute(select(feeds.c.id).where(self.among(feeds.c.id, feed_ids))).scalars())
        rows: list[tuple[Any, ...]] = [
            (
                ids[index],
                positions[index],
                article.identity,
                story_ids[article.story_id],
                article.feed_id if article.feed_id in known_feeds else None,
                article.publisher,
                article.family,
                article.language,
                clean(article.title),
                clean(article.summary),
                article.url,
                clean(article.author),
                published[index],
                us(article.first_seen),
                article.date_quality.value,
                article.counts,
                article.sample,
            )
            for index, article in enumerate(fresh)
        ]
        self.bulk(connection, articles, _ARTICLE, rows)
        self.bulk(connection, work, _WORK, [(row[0], row[7], row[1], 0, 0, False, False) for row in rows])
        self._index(connection, [(row[0], row[1], row[8], row[9]) for row in rows])
        self._insert_mentions(connection, zip(ids, fresh, strict=True))
        self._mark(connection, {row[3] for row in rows} & old_stories)
        made = len({row[3] for row in rows} - old_stories)
        self.count_by(connection, articles=len(rows), samples=sum(article.sample for article in fresh), stories=made)
        return ids

    def count_by(self, connection: Connection, **changes: int) -> None:
        """What `status` counts, kept up in the transaction that changes it: counting ten million rows takes seconds.
        Comes last in a transaction, so that no one waits for a row while holding a counter."""
        for name, change in sorted(changes.items()):
            if change:
                where = counters.c.name == name
                connection.execute(counters.update().where(where).values(value=counters.c.value + change))

    def _next_ids(self, connection: Connection, count: int) -> list[int]:
        """New article ids, rising; none is ever used twice."""
        if not self.is_sqlite:
            drawn = connection.execute(text("SELECT nextval('article_id') FROM generate_series(1, :n)"), {"n": count})
            return sorted(int(value) for value in drawn.scalars())
        row = counters.c.name == "article_id"
        last = int(connection.execute(select(counters.c.value).where(row)).scalar_one())
        connection.execute(counters.update().where(row).values(value=last + count))
        return list(range(last + 1, last + 1 + count))

    def _story_ids(
        self, connection: Connection, fresh: Sequence[NewArticle], positions: Sequence[int]
    ) -> tuple[dict[str, int], set[int]]:
        """Row of each named story (made if missing, followed if merged), and which of them were there before."""
        earliest: dict[str, int] = {}
        for article, position in zip(fresh, positions, strict=True):
            earliest[article.story_id] = min(position, earliest.get(article.story_id, position))
        ids, first_positions = self._find_stories(connection, list(earliest))
        missing = sorted(set(earliest) - set(ids))
        if missing:
            insert = self.insert(stories).on_conflict_do_nothing(index_elements=["key"])
            connection.execute(insert, [{"key": key, "first_position": earliest[key]} for key in missing])
            made, made_positions = self._find_stories(connection, missing)
            ids |= made
            first_positions |= made_positions
        new = {ids[key] for key in missing}
        lower: dict[int, int] = {}
        for key, position in earliest.items():
            story = ids[key]
            if position < lower.get(story, first_positions[story]):
                lower[story] = position
        self._lower_first_positions(connection, lower)
        return ids, set(ids.values()) - new

    def _find_stories(self, connection: Connection, keys: Sequence[str]) -> tuple[dict[str, int], dict[int, int]]:
        ids: dict[str, int] = {}
        first_positions: dict[int, int] = {}
        kept = stories.alias("kept")
        target = func.coalesce(kept.c.id, stories.c.id)
        position = func.coalesce(kept.c.first_position, stories.c.first_position)
        query = select(stories.c.key, target, position).select_from(
            stories.outerjoin(kept, kept.c.id == stories.c.merged_into)
        )
        for key, story, first in connection.execute(query.where(self.among(stories.c.key, keys))):
            ids[key] = story
            first_positions[story] = first
        return ids, first_positions

    def _lower_first_positions(self, connection: Connection, lower: dict[int, int]) -> None:
        if lower:
            update = stories.update().where(stories.c.id == bindparam("b_id")).values(first_position=bindparam("b_at"))
            connection.execute(update, [{"b_id": story, "b_at": at} for story, at in sorted(lower.items())])

    def _insert_mentions(self, connection: Connection, batch: Iterable[tuple[int, NewArticle]]) -> None:
        rows = {
            (mention.entity_id, article_id, mention.where): (
                mention.entity_id,
                article_id,
                mention.where,
                mention.confidence,
                mention.alias,
            )
            for article_id, article in batch
            for mention in article.mentions
        }
        if not rows:
            return
        there = set(connection.execute(select(entities.c.id)).scalars())  # one may have been removed meanwhile
        self.bulk(connection, mentions, _MENTION, [row for row in rows.values() if row[0] in there])

    def _revise(self, connection: Connection, was: Known, article: NewArticle, now: datetime) -> None:
        connection.execute(
            revisions.insert().values(article_id=was.id, replaced=us(now), title=was.title, summary=was.summary)
        )
        title, summary = clean(article.title), clean(article.summary)
        connection.execute(articles.update().where(articles.c.id == was.id).values(title=title, summary=summary))
        self._unindex(connection, [(was.id, was.position, was.title, was.summary)])
        self._index(connection, self._with_pages(connection, [(was.id, was.position, title, summary)]))
        self._forget_predictions(connection, [was.id])
        # A result that is on its way for the old title must not count: `discard` makes save_predictions drop it.
        leased = select(work.c.worker).where(work.c.article_id == was.id, work.c.worker.is_not(None))
        on_its_way = connection.execute(leased).one_or_none() is not None
        connection.execute(work.delete().where(work.c.article_id == was.id))
        self.bulk(connection, work, _WORK, [(was.id, was.language, was.position, 0, 0, False, on_its_way)])
        connection.execute(mentions.delete().where(mentions.c.article_id == was.id))
        self._insert_mentions(connection, [(was.id, article)])
        self._mark(connection, {was.story})

    def _forget_predictions(self, connection: Connection, article_ids: Sequence[int], model: int | None = None) -> None:
        """Remove what models (or one model) said of these articles."""
        p, t = predictions.c, prediction_topics.c
        own = self.among(p.article_id, article_ids)
        those = own if model is None else and_(own, p.model_id == model)
        rows = connection.execute(select(p.model_id, p.topics, p.position).where(those)).all()
        if not rows:
            return
        keys = [
            {"b_model": row.model_id, "b_topic": topic, "b_position": row.position}
            for row in rows
            for topic in row.topics.split("|")
        ]
        delete = prediction_topics.delete().where(
            t.model_id == bindparam("b_model"),
            t.topic == bindparam("b_topic"),
            t.position == bindparam("b_position"),
        )
        connection.execute(delete, keys)
        connection.execute(predictions.delete().where(those))

    def _mark(self, connection: Connection, touched: Iterable[int]) -> None:
        """Say that the facts of these stories must be recomputed."""
        self.bulk(connection, dirty_stories, ("story",), [(story,) for story in sorted(touched)])

    def _index(self, connection: Connection, rows: Sequence[tuple[int, int, str, str]]) -> None:
        """Put (id, position, title, summary) into the full-text index; in order, which FTS5 wants."""
        ordered = sorted(rows, key=lambda row: row[1])
        if self.is_sqlite:
            bodies = [(position, search_body(title, summary)) for _, position, title, summary in ordered]
            self.bulk(connection, _SEARCH, ("rowid", "body"), bodies)
        else:
            vectors = [(key, position, tsvector_body(title, summary)) for key, position, title, summary in ordered]
            self.bulk(connection, _SEARCH, ("article_id", "position", "body"), vectors)

    def _with_pages(
        self, connection: Connection, rows: Sequence[tuple[int, int, str, str]]
    ) -> list[tuple[int, int, str, str]]:
        """The rows as the index has them: the full text of an article's page, where there is one, after its summary."""
        p = article_pages.c
        those = self.among(p.article_id, [row[0] for row in rows])
        found = connection.execute(select(p.article_id, p.text).where(those, p.text.is_not(None)))
        pages: dict[int, str] = {row.article_id: row.text for row in found}
        return [(*row[:3], f"{row[3]}\n{pages[row[0]]}") if row[0] in pages else row for row in rows]

    def _unindex(self, connection: Connection, rows: Sequence[tuple[int, int, str, str]]) -> None:
        """The index keeps no text: taking an article out needs the text that was put in."""
        rows = self._with_pages(connection, rows)
        if self.is_sqlite:
            delete = text(
                "INSERT INTO article_search (article_search, rowid, body) VALUES ('delete', :position, :body)"
            )
            taken: list[dict[str, Any]] = [
                {"position": position, "body": search_body(title, summary)} for _, position, title, summary in rows
            ]
            connection.execute(delete, sorted(taken, key=lambda row: row["position"]))
        else:
            delete = text("DELETE FROM article_search WHERE article_id = :id")
            connection.execute(delete, [{"id": article_id} for article_id, *_ in rows])

    # ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def known_identities(self, identities: Sequence[str]) -> set[str]:
        found: set[str] = set()
        with self.read() as connection:
            for chunk in chunks(identities):
                query = select(articles.c.identity).where(self.among(articles.c.identity, chunk))
                found.update(connection.execute(query).scalars())
        return found

    def recent_articles(self, since: datetime, until: datetime | None = None) -> Iterator[Article]:
        """Articles published in [since, until), oldest first. Each page is a read of its own, so that a slow
        consumer never holds the WAL back."""
        after = position_at(since) - 1
        end = None if until is None else us(until)
        while True:
            query = _article_columns().where(articles.c.position > after, articles.c.published >= us(since))
            if end is not None:
                query = query.where(articles.c.published < end, articles.c.position <= position_at(until) | 0xFFFFFF)  # type: ignore[arg-type]
            with self.read() as connection:
                rows = connection.execute(query.order_by(articles.c.position).limit(PAGE)).all()
            yield from (article_of(row) for row in rows)
            if len(rows) < PAGE:
                return
            after = rows[-1].position

    def newest_article(self) -> int:
        """The highest id that was given to an article, 0 in an empty store."""
        with self.read() as connection:
            if not self.is_sqlite:
                return int(connection.execute(_PG_NEWEST).scalar_one())
            row = select(counters.c.value).where(counters.c.name == "article_id")
            return int(connection.execute(row).scalar_one())

    def articles_after(self, article_id: int, since: datetime) -> Iterator[Article]:
        """Articles with a higher id that were published at or after `since`, in the order of their ids."""
        while True:
            query = _article_columns().where(articles.c.id > article_id, articles.c.published >= us(since))
            with self.read() as connection:
                rows = connection.execute(query.order_by(articles.c.id).limit(PAGE)).all()
            yield from (article_of(row) for row in rows)
            if len(rows) < PAGE:
                return
            article_id = rows[-1].id

    def revisions(self, article_id: int) -> list[tuple[datetime, str, str]]:
        """Earlier versions as (replaced at, title, summary), newest first."""
        query = select(revisions).where(revisions.c.article_id == article_id).order_by(revisions.c.id.desc())
        with self.read() as connection:
            return [(when(row.replaced), row.title, row.summary) for row in connection.execute(query)]


def _article_columns() -> Any:
    return select(articles, stories.c.key.label("story_key")).join(stories, stories.c.id == articles.c.story)


def article_of(row: Any) -> Article:
    """An `Article` from a row of articles joined with its story's key."""
    return Article(
        id=row.id,
        identity=row.identity,
        story_id=row.story_key,
        feed_id=row.feed_id,
        publisher=row.publisher,
        family=row.family,
        language=row.language,
        title=row.title,
        summary=row.summary,
        url=row.url,
        author=row.author,
        published=when(row.published),
        first_seen=when(row.first_seen),
        date_quality=DateQuality(row.date_quality),
        counts=row.counts,
        sample=row.sample,
    )


article_columns = _article_columns
