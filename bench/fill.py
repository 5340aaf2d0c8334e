"""`python -m bench.fill --articles 1000000 --home DIR`: a store filled with made news, for benchmarks at size.

    python -m bench.fill --articles 1000000 --home /tmp/big            # 5 years, scored and counted, SQLite
    python -m bench.fill --articles 100000 --url postgresql://… --unscored
    HEADWIND_HOME=/tmp/big python -m monitor web                        # look at it

What it holds: 60 invented publishers in 40 families (3 in a hundred stories are Chinese, which the live model does not
serve), 40 invented companies on the watchlist, stories of one or three articles spread evenly over `--days` up to
`--end` (default: the present hour), predictions of the shipped model's version, facts, rollups and cells. The texts
are put together from our own word lists; nothing about them is news. With `--unscored` everything waits in the queue.

The rows go in by set-based SQL, not through `add_articles`, so that ten million take minutes. Probabilities are
multiples of 1/1024: sums of scores are then exact in any order, and `rollups --verify` must agree to the bit.
The store must be empty. Nothing here is safe against a crash: a fill that broke off is to be deleted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, column, table, text

from bench.made import COMPANIES, FAMILIES, FOREIGN, GROUP, PUBLISHERS, Block, Ints, Text, blocks, texts
from models import registry
from models.labels import TOPICS
from monitor.domain import Entity, NewFeed
from monitor.errors import MonitorError
from monitor.rollups import ANY, HOUR_US, OTHER
from monitor.store import open_store
from monitor.store.reading import pack
from monitor.store.schema import SUMS, cells, rollups
from monitor.store.search import search_body, tsvector_body
from monitor.store.sql import SqlStore
from monitor.store.values import POSITION_BITS, join_names


def fill(
    store: SqlStore,
    articles: int,
    *,
    end: datetime,
    days: float = 1826,
    scored: bool = True,
    progress: Callable[[int], object] = lambda done: None,
) -> int:
    """Fill an empty store with about `articles` articles (a multiple of eight); gives how many. Raises `MonitorError`
    when there are articles already."""
    if store.status().articles:
        raise MonitorError("fill: the store has articles already; name an empty one")
    manifest = registry.read_manifest(registry.resolve(None))
    store.set_live_model(manifest.version, manifest.languages, "bench", "filled", end)
    made = texts()
    for number, name in enumerate(PUBLISHERS):
        address, language = f"https://news.invalid/{number}.xml", "zh" if number >= 60 - FOREIGN else "en"
        store.add_feed(
            NewFeed(
                url=address,
                title=name,
                publisher=name,
                family=FAMILIES[number],
                language=language,
                enabled=False,
                note="made",
            ),
            end,
        )
    entity_ids = [store.save_entity(Entity(id=0, name=name, aliases=(name,)), end).id for name in COMPANIES]
    with store.engine.connect() as connection:
        if store.is_sqlite:
            raw = connection.connection.driver_connection
            for pragma in ("synchronous=OFF", "journal_mode=MEMORY", "cache_size=-400000", "temp_store=FILE"):
                raw.execute(f"PRAGMA {pragma}")  # type: ignore[union-attr]
        writer = Writer(store, connection.execution_options(headwind_write=True), made, entity_ids)
        with connection.begin():
            writer.prepare()
        total = 0
        for block in blocks(articles, end - timedelta(days=days), end):
            with connection.begin():
                writer.articles(block, scored)
                if scored:
                    writer.counts(block)
            total += len(block.article)
            progress(total)
        with connection.begin():
            writer.finish(total)
        if store.is_sqlite:
            raw.execute("PRAGMA journal_mode=WAL")  # type: ignore[union-attr]
        else:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    return total


class Writer:
    """The SQL of a fill. Temporary tables hold the texts and publishers; a block is joined with them."""

    def __init__(self, store: SqlStore, connection: Connection, made: Sequence[Text], entity_ids: Sequence[int]):
        self.store, self.connection, self.made = store, connection, made
        live = store._live(connection)
        connection.rollback()
        self.model = int(live.id)
        self.entity_ids = np.array(entity_ids, dtype=np.int64)
        self.series: dict[str, int] = {}
        self._prepare_counts()

    def prepare(self) -> None:
        run = self.connection.exec_driver_sql
        blob = "blob" if self.store.is_sqlite else "bytea"
        run(
            "CREATE TEMP TABLE made (n bigint PRIMARY KEY, title text, summary text, language text, entity bigint, "
            f"sentiment text, p0 double precision, p1 double precision, p2 double precision, topics text, "
            f"main text, scores {blob}, confidence double precision, names text, body text)"
        )
        run("CREATE TEMP TABLE made_topics (n bigint, topic text)")
        run("CREATE TEMP TABLE press (n bigint PRIMARY KEY, name text, family text, feed bigint)")
        run("CREATE TEMP TABLE fresh (id bigint, position bigint, story bigint, n bigint, published bigint, by bigint)")
        run(
            "CREATE TEMP TABLE told (story bigint, first_article bigint, position bigint, n bigint, published bigint, "
            "articles bigint, by0 bigint, by1 bigint, by2 bigint)"
        )
        rows, topics = [], []
        for n, one in enumerate(self.made):
            p = [share / 1024 for share in one.thousandths]
            top = max(range(3), key=p.__getitem__)
            scores = pack([0.875 if t == one.topics[0] else 0.625 if t in one.topics else 0.03125 for t in TOPICS])
            entity = None if one.entity is None else int(self.entity_ids[one.entity])
            names = join_names([] if one.entity is None else [COMPANIES[one.entity]])
            body = (search_body if self.store.is_sqlite else tsvector_body)(one.title, one.summary)
            sentiment = ("negative", "neutral", "positive")[top]
            rows.append((n, one.title, one.summary, one.language, entity, sentiment, *p, "|".join(one.topics),
                         one.topics[0], scores, p[top], names, body))  # fmt: skip
            topics += [(n, topic) for topic in one.topics]
        self._bulk("made", ("n", "title", "summary", "language", "entity", "sentiment", "p0", "p1", "p2", "topics",
                            "main", "scores", "confidence", "names", "body"), rows)  # fmt: skip
        self._bulk("made_topics", ("n", "topic"), topics)
        run("CREATE INDEX made_topics_n ON made_topics (n)")
        press = [(n, name, FAMILIES[n], n + 1) for n, name in enumerate(PUBLISHERS)]
        self._bulk("press", ("n", "name", "family", "feed"), press)

    def articles(self, block: Block, scored: bool) -> None:
        """Stories, articles, mentions, the index, and either predictions with facts or places in the queue."""
        run = self.connection.exec_driver_sql
        positions = ((block.at // 1_000_000) << POSITION_BITS) | block.article
        self._columns(
            "fresh",
            id=block.article,
            position=positions,
            story=block.story[block.of],
            n=block.text[block.of],
            published=block.at,
            by=block.by,
        )
        home = len(PUBLISHERS) - FOREIGN
        second = np.where(block.size == 3, (block.publisher + 7) % home, -1)
        third = np.where(block.size == 3, (block.publisher + 19) % home, -1)
        alone = block.publisher >= home  # the copies of a Chinese story have its publisher
        self._columns(
            "told",
            story=block.story,
            first_article=block.first,
            position=((block.published // 1_000_000) << POSITION_BITS) | block.first,
            n=block.text,
            published=block.published,
            articles=block.size,
            by0=block.publisher,
            by1=np.where(alone, -1, second),
            by2=np.where(alone, -1, third),
        )
        key = "'fill-' || substr('0000000' || {0}, length('' || {0}), 8)"
        run(f"INSERT INTO stories (id, key, first_position) SELECT story, {key.format('story')}, position FROM told")
        run(
            "INSERT INTO articles (id, position, identity, story, feed_id, publisher, family, language, title, "
            "summary, url, author, published, first_seen, date_quality, counts, sample) "
            f"SELECT f.id, f.position, {key.format('f.id')}, f.story, p.feed, p.name, p.family, m.language, m.title, "
            "m.summary, 'https://news.invalid/' || f.id, '', f.published, f.published, 'exact', true, false "
            "FROM fresh f JOIN made m ON m.n = f.n JOIN press p ON p.n = f.by ORDER BY f.id"
        )
        run(
            "INSERT INTO mentions (entity_id, article_id, place, confidence, alias) "
            "SELECT m.entity, f.id, 'title', 1.0, '' FROM fresh f JOIN made m ON m.n = f.n "
            "WHERE m.entity IS NOT NULL ORDER BY m.entity, f.id"
        )
        if self.store.is_sqlite:
            run(
                "INSERT INTO article_search (rowid, body) SELECT f.position, m.body FROM fresh f "
                "JOIN made m ON m.n = f.n ORDER BY f.position"
            )
        else:
            run(
                "INSERT INTO article_search (article_id, position, body) SELECT f.id, f.position, "
                "CAST(m.body AS tsvector) FROM fresh f JOIN made m ON m.n = f.n ORDER BY f.position"
            )
        waits = "m.language <> 'en'" if scored else "true"
        run(
            "INSERT INTO work (article_id, language, position, attempts, lease_until, quarantined, discard) "
            "SELECT f.id, m.language, f.position, 0, 0, false, false FROM fresh f JOIN made m ON m.n = f.n "
            f"WHERE {waits} ORDER BY f.id"
        )
        if scored:
            self._predictions()

    def _predictions(self) -> None:
        run = self.connection.exec_driver_sql
        run(
            "INSERT INTO predictions (article_id, model_id, position, sentiment, p_negative, p_neutral, p_positive, "
            f"topics, topic_scores, confidence, unsure, truncated) SELECT f.id, {self.model}, f.position, "
            "m.sentiment, m.p0, m.p1, m.p2, m.topics, m.scores, m.confidence, m.confidence < 0.55, false "
            "FROM fresh f JOIN made m ON m.n = f.n WHERE m.language = 'en' ORDER BY f.id"
        )
        run(
            f"INSERT INTO prediction_topics (model_id, topic, position, article_id) SELECT {self.model}, t.topic, "
            "f.position, f.id FROM fresh f JOIN made m ON m.n = f.n JOIN made_topics t ON t.n = f.n "
            "WHERE m.language = 'en' ORDER BY t.topic, f.position"
        )
        # Copies lie seven and nineteen publishers apart and groups ten, so the families of a story all differ.
        mark = "chr(31)" if not self.store.is_sqlite else "char(31)"
        publishers, families = (
            f"{mark} || a.{name} || {mark} || coalesce(b.{name} || {mark}, '') || coalesce(c.{name} || {mark}, '')"
            for name in ("name", "family")
        )
        run(
            "INSERT INTO story_facts (model_id, story, hour, first_article, published, first_seen, date_quality, "
            "sentiment, p_negative, score, confidence, main_topic, topics, entities, publishers, families, languages, "
            f"articles, counts) SELECT {self.model}, t.story, t.published / {HOUR_US}, t.first_article, t.published, "
            "t.published, 'exact', m.sentiment, m.p0, m.p2 - m.p0, m.confidence, m.main, m.topics, m.names, "
            f"{publishers}, {families}, {mark} || m.language || {mark}, t.articles, true "
            "FROM told t JOIN made m ON m.n = t.n JOIN press a ON a.n = t.by0 LEFT JOIN press b ON b.n = t.by1 "
            "LEFT JOIN press c ON c.n = t.by2 WHERE m.language = 'en' ORDER BY t.story"
        )

    # ── counts, with numpy: a block's hours are its own ──────────────────────────────────────────────────────────

    def _prepare_counts(self) -> None:
        """For each text the series that count it, whoever published it; and the sums of one story of it."""
        topics = {topic: place for place, topic in enumerate(TOPICS)}
        self.topic_of = np.array([topics[one.topics[0]] for one in self.made])
        self.english = np.array([one.language == "en" for one in self.made])
        shares = np.array([one.thousandths for one in self.made], dtype=np.int64)
        top = shares.argmax(axis=1)
        self.sentiment = np.stack([top == 0, top == 1, top == 2], axis=1).astype(np.int64)
        self.score = shares[:, 2] - shares[:, 0]  # in 1/1024, exact
        names: list[list[str]] = []
        for one in self.made:
            own = [] if one.topics[0] == OTHER else ["all"]
            own += [f"topic:{topic}" for topic in one.topics]
            if one.entity is not None:
                own.append(f"entity:{COMPANIES[one.entity]}")
                own += [f"entity:{COMPANIES[one.entity]}/topic:{topic}" for topic in one.topics]
            names.append([*own, "language:en"])
        known = sorted({name for own in names for name in own} | {f"publisher:{name}" for name in PUBLISHERS})
        self.names = known
        place = {name: at for at, name in enumerate(known)}
        most = max(map(len, names))
        self.series_of = np.full((len(self.made), most), -1, dtype=np.int64)
        for n, own in enumerate(names):
            self.series_of[n, : len(own)] = [place[name] for name in own]
        self.publisher_series = np.array([place[f"publisher:{name}"] for name in PUBLISHERS])

    def counts(self, block: Block) -> None:
        """Rollups and cells of the block's stories."""
        counted = np.flatnonzero(self.english[block.text])
        which, hour = block.text[counted], block.published[counted] // HOUR_US
        one = np.stack(
            [block.size[counted], np.ones_like(which), *self.sentiment[which].T, self.score[which]],
            axis=1,
        )
        home = len(PUBLISHERS) - FOREIGN
        three = block.size[counted] == 3
        pairs = [(np.arange(len(which)), self.series_of[which, at]) for at in range(self.series_of.shape[1])]
        for ahead, those in ((0, np.ones_like(three)), (7, three), (19, three)):
            rows = np.flatnonzero(those)
            pairs.append((rows, self.publisher_series[(block.publisher[counted][rows] + ahead) % home]))
        rows = np.concatenate([rows[series >= 0] for rows, series in pairs])
        series = np.concatenate([series[series >= 0] for _, series in pairs])
        if not self.series:
            self.series = self.store._series_ids(self.connection, set(self.names))
        ids = np.array([self.series[name] for name in self.names])
        key, sums = _grouped(hour[rows] * len(ids) + series, one[rows])
        self._sums(rollups, [("series_id", ids[key % len(ids)]), ("hour", key // len(ids))], sums)
        wide = len(PUBLISHERS) * len(TOPICS)
        cell = (hour * len(PUBLISHERS) + block.publisher[counted]) * len(TOPICS) + self.topic_of[which]
        key, sums = _grouped(cell, one)
        publishers, labels = np.array(PUBLISHERS, dtype=object), np.array(TOPICS, dtype=object)
        by = [
            ("hour", key // wide),
            ("publisher", publishers[key // len(TOPICS) % len(PUBLISHERS)]),
            ("language", np.full(len(key), "en", dtype=object)),
            ("topic", labels[key % len(TOPICS)]),
        ]
        self._sums(cells, by, sums)
        key, sums = _grouped(hour * len(TOPICS) + self.topic_of[which], one)
        everyone = np.full(len(key), ANY, dtype=object)
        by = [
            ("hour", key // len(TOPICS)),
            ("publisher", everyone),
            ("language", np.full(len(key), "en", dtype=object)),
            ("topic", labels[key % len(TOPICS)]),
        ]
        self._sums(cells, by, sums)
        days = np.unique(hour // 24)
        # The first day may lie in the block before as well: it is added up again.
        self.store._add_up_days(self.connection, self.model, days.tolist())

    def _sums(self, target: Any, by: Sequence[tuple[str, Any]], sums: Ints) -> None:
        """Write grouped sums: articles, stories, negative, neutral, positive, score in 1/1024."""
        columns = [values.tolist() for _, values in by]
        articles, stories, negative, neutral, positive = (sums[:, at].tolist() for at in range(5))
        score = (sums[:, 5] / 1024).tolist()
        model = [self.model] * len(score)
        rows = sorted(
            zip(model, *columns, articles, stories, negative, neutral, positive, score, stories, negative, strict=True)
        )
        self.store.bulk(self.connection, target, ("model_id", *(name for name, _ in by), *SUMS), rows)

    def finish(self, total: int) -> None:
        run = self.connection.exec_driver_sql
        run(f"UPDATE counters SET value = {total} WHERE name = 'articles'")
        run(f"UPDATE counters SET value = {total // 8 * GROUP} WHERE name = 'stories'")
        for name in ("made", "made_topics", "press", "fresh", "told"):
            run(f"DROP TABLE {name}")
        if self.store.is_sqlite:
            run(f"UPDATE counters SET value = {total} WHERE name = 'article_id'")
            run("UPDATE counters SET value = value + 1 WHERE name = 'data_version'")
        else:
            run(f"SELECT setval('article_id', {total})")
            run("SELECT setval(pg_get_serial_sequence('stories', 'id'), (SELECT max(id) FROM stories))")

    def _columns(self, name: str, **columns: Ints) -> None:
        self.connection.exec_driver_sql(f"DELETE FROM {name}")
        self._bulk(name, tuple(columns), list(zip(*(values.tolist() for values in columns.values()), strict=True)))

    def _bulk(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.store.bulk(self.connection, table(name, *(column(each) for each in columns)), columns, rows)


def _grouped(keys: Ints, values: Ints) -> tuple[Ints, Ints]:
    """Distinct keys, rising, and the sums of their rows."""
    distinct, place = np.unique(keys, return_inverse=True)
    sums = np.stack(
        [np.bincount(place, weights=values[:, at], minlength=len(distinct)) for at in range(values.shape[1])], axis=1
    )
    return distinct, np.rint(sums).astype(np.int64)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.fill", description="Fill an empty store with made news.")
    parser.add_argument("--articles", type=int, required=True, metavar="N")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--home", type=Path, help="folder of a new SQLite store, as HEADWIND_HOME")
    place.add_argument("--url", help="database URL, as HEADWIND_DATABASE_URL")
    parser.add_argument("--days", type=float, default=1826, help="how far back the news goes (default: five years)")
    parser.add_argument("--end", metavar="ISO", help="aware time of the newest article (default: the present hour)")
    parser.add_argument("--unscored", action="store_true", help="leave everything in the queue")
    arguments = parser.parse_args(argv)
    end = datetime.fromisoformat(arguments.end) if arguments.end else datetime.now(UTC)
    end = end.replace(minute=0, second=0, microsecond=0)
    begun = time.monotonic()

    def progress(done: int) -> None:
        print(f"\r{done:,} articles, {time.monotonic() - begun:.0f} s", end="", flush=True)

    try:
        if arguments.home:
            arguments.home.mkdir(parents=True, exist_ok=True)
        store = open_store(arguments.url or f"sqlite:///{arguments.home / 'headwind.db'}")
        try:
            total = fill(
                store,
                arguments.articles,
                end=end,
                days=arguments.days,
                scored=not arguments.unscored,
                progress=progress,
            )
            size = store.path.stat().st_size if store.path else 0
        finally:
            store.close()
    except MonitorError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\n{total:,} articles" + (f", {size / 1e9:.2f} GB" if size else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
