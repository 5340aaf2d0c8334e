"""The live model, the queue with its leases, and predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, literal, select

from models.backend import Prediction
from monitor.domain import Article
from monitor.store.articles import article_columns, article_of
from monitor.store.audit import AuditPart
from monitor.store.reading import ReadingPart, pack
from monitor.store.schema import (
    articles,
    dirty_stories,
    model_history,
    models,
    prediction_topics,
    predictions,
    story_facts,
    work,
)
from monitor.store.values import (
    dump,
    load,
    position_at,
    us,
    when,
)

MAX_ATTEMPTS = 3
_PREDICTION = tuple(predictions.c.keys())
_TOPIC = tuple(prediction_topics.c.keys())
_FREE: dict[str, Any] = {"worker": None, "lease_until": 0}


class ScoringPart(AuditPart, ReadingPart):
    def live_model(self) -> tuple[str, tuple[str, ...]] | None:
        """(version, languages) that predictions, rollups and alerts use now."""
        with self.read() as connection:
            live = self._live(connection)
        return None if live is None else (live.version, tuple(load(live.languages)))

    def set_live_model(self, version: str, languages: Sequence[str], actor: str, reason: str, now: datetime) -> None:
        """Switch; audited. The queue becomes what this model has not scored; facts that it had are refreshed. The
        same version with the same languages again changes nothing."""
        with self.write() as connection:
            live = self._live(connection)
            spoken = dump(list(languages))
            if live is not None and (live.version, live.languages) == (version, spoken):
                return
            connection.execute(
                self.insert(models).on_conflict_do_update(index_elements=["version"], set_={"languages": spoken}),
                {"version": version, "languages": spoken},
            )
            model = connection.execute(select(models.c.id).where(models.c.version == version)).scalar_one()
            connection.execute(model_history.insert().values(model_id=model, at=us(now), actor=actor, reason=reason))
            if live is None or live.id != model:
                self._refill(connection, model)
            was = None if live is None else live.version
            detail = {"from": was, "to": version, "languages": list(languages), "reason": reason}
            self._audit(connection, actor, "model.live", version, detail, now)

    def _refill(self, connection: Connection, model: int) -> None:
        """The queue of another model: all that it has not scored. Quarantine is a model's own and starts anew."""
        connection.execute(work.delete())
        scored = select(predictions.c.article_id).where(
            predictions.c.article_id == articles.c.id, predictions.c.model_id == model
        )
        zero, no = literal(0), literal(False)
        missing = select(articles.c.id, articles.c.language, articles.c.position, zero, zero, no, no).where(
            ~scored.exists()
        )
        names = ["article_id", "language", "position", "attempts", "lease_until", "quarantined", "discard"]
        connection.execute(work.insert().from_select(names, missing))
        facts = select(story_facts.c.story).where(story_facts.c.model_id == model)
        connection.execute(dirty_stories.insert().from_select(["story"], facts))

    def model_history(self) -> list[tuple[datetime, str, str, str]]:
        """(at, version, actor, reason), newest first."""
        query = (
            select(model_history, models.c.version)
            .join(models, models.c.id == model_history.c.model_id)
            .order_by(model_history.c.id.desc())
        )
        with self.read() as connection:
            return [(when(row.at), row.version, row.actor, row.reason) for row in connection.execute(query)]

    # ── the queue ────────────────────────────────────────────────────────────────────────────────────────────────

    def claim_unscored(self, worker: str, limit: int, now: datetime, lease: timedelta) -> list[Article]:
        """Lease articles that the live model supports and has not scored, newest first. An expired lease is free
        again. After one lease without a result, articles come in small batches, after two alone, after three they
        are quarantined: so the article that kills its scorer is found, and its neighbours are scored."""
        with self.write(shown=False) as connection:
            live = self._live(connection)
            if live is None or limit < 1:
                return []
            spoken = load(live.languages)
            while True:
                rows = self._free(connection, spoken, limit, us(now))
                given_up = [row.article_id for row in rows if row.attempts >= MAX_ATTEMPTS]
                if not given_up:
                    break
                connection.execute(
                    work.update().where(work.c.article_id.in_(given_up)).values(quarantined=True, **_FREE)
                )
            if not rows:
                return []
            attempts = rows[0].attempts
            size = (limit, max(1, limit // 8), 1)[attempts]
            ids = [row.article_id for row in rows if row.attempts == attempts][:size]
            connection.execute(
                work.update()
                .where(self.among(work.c.article_id, ids))
                .values(worker=worker, lease_until=us(now + lease), attempts=work.c.attempts + 1, discard=False)
            )
            claimed = connection.execute(article_columns().where(self.among(articles.c.id, ids))).all()
            return [article_of(row) for row in sorted(claimed, key=lambda row: -row.position)]

    def _free(self, connection: Connection, languages: Sequence[str], limit: int, now: int) -> list[Any]:
        """The newest free rows of the queue: one walk down the index for each language."""
        found: list[Any] = []
        for language in languages:
            query = (
                select(work.c.article_id, work.c.position, work.c.attempts)
                .where(~work.c.quarantined, work.c.language == language, work.c.lease_until <= now)
                .order_by(work.c.position.desc())
                .limit(limit)
            )
            if not self.is_sqlite:
                query = query.with_for_update(skip_locked=True)
            found += connection.execute(query).all()
        return sorted(found, key=lambda row: -row.position)[:limit]

    def save_predictions(
        self, version: str, predictions: Sequence[tuple[int, Prediction | None]], now: datetime
    ) -> None:
        """Write predictions and release the leases; None, or a number that is not finite, quarantines the article.
        Articles that are gone are passed over. Predictions of a model that is not live leave the queue as it is."""
        with self.write() as connection:
            live = self._live(connection)
            is_live = live is not None and live.version == version
            model = live.id if is_live else self._model_id(connection, version)
            late = self._discarded(connection, [key for key, _ in predictions]) if is_live else set()
            said = {key: value for key, value in predictions if key not in late}
            good = {key: value for key, value in said.items() if value is not None and _finite(value)}
            bad = sorted(said.keys() - good.keys())
            self._write_predictions(connection, model, good)
            done = self.among(work.c.article_id, sorted(good))
            if is_live:
                connection.execute(work.delete().where(done))
            else:
                connection.execute(work.update().where(done).values(attempts=0, **_FREE))
            if bad:
                given_up = work.update().where(self.among(work.c.article_id, bad))
                connection.execute(given_up.values(quarantined=is_live, **_FREE))

    def _discarded(self, connection: Connection, ids: Sequence[int]) -> set[int]:
        """Articles that were revised while they were leased: what was said is about the old title. They are free."""
        where = self.among(work.c.article_id, ids) & work.c.discard
        freed = connection.execute(
            work.update().where(where).values(discard=False, **_FREE).returning(work.c.article_id)
        )
        return set(freed.scalars())

    def _model_id(self, connection: Connection, version: str) -> int:
        insert = self.insert(models).on_conflict_do_nothing(index_elements=["version"])
        connection.execute(insert, {"version": version, "languages": "[]"})
        return int(connection.execute(select(models.c.id).where(models.c.version == version)).scalar_one())

    def _write_predictions(self, connection: Connection, model: int, good: dict[int, Prediction]) -> None:
        if not good:
            return
        c = articles.c
        query = select(c.id, c.position, c.story).where(self.among(c.id, sorted(good))).order_by(c.id)
        there = connection.execute(query).all()
        rows: list[tuple[Any, ...]] = []
        topics: list[tuple[Any, ...]] = []
        for key, position, _ in there:
            said = good[key]
            rows.append(
                (
                    key,
                    model,
                    position,
                    said.sentiment,
                    said.p_negative,
                    said.p_neutral,
                    said.p_positive,
                    "|".join(said.topics),
                    pack(said.topic_scores),
                    said.confidence,
                    said.unsure,
                    said.truncated,
                )
            )
            topics += [(model, topic, position, key) for topic in dict.fromkeys(said.topics)]
        self._forget_predictions(connection, [key for key, _, _ in there], model)
        self.bulk(connection, predictions, _PREDICTION, rows)
        self.bulk(connection, prediction_topics, _TOPIC, sorted(topics))
        self._mark(connection, {story for _, _, story in there})

    def release(self, worker: str) -> None:
        """Give back the leases of a worker that stops in order; they do not count as attempts."""
        with self.write(shown=False) as connection:
            connection.execute(
                work.update().where(work.c.worker == worker).values(attempts=work.c.attempts - 1, **_FREE)
            )

    def unscored_count(self, since: datetime | None = None) -> int:
        """Articles that wait for the live model; since: only those published at or after it."""
        with self.read() as connection:
            return self._queue_counts(connection, since)[0]

    def _queue_counts(self, connection: Connection, since: datetime | None = None) -> tuple[int, int, int]:
        """(waiting, unsupported, quarantined) under the live model; without one everything waits."""
        live = self._live(connection)
        spoken = None if live is None else set(load(live.languages))
        waiting = unsupported = quarantined = 0
        query = select(work.c.quarantined, work.c.language, func.count()).group_by(work.c.quarantined, work.c.language)
        if since is not None:
            query = query.where(work.c.position >= position_at(since))
        for given_up, language, count in connection.execute(query):
            if given_up:
                quarantined += count
            elif spoken is None or language in spoken:
                waiting += count
            else:
                unsupported += count
        return waiting, unsupported, quarantined


def _finite(said: Prediction) -> bool:
    numbers = (said.p_negative, said.p_neutral, said.p_positive, said.confidence, *said.topic_scores)
    return all(math.isfinite(number) for number in numbers) and bool(said.topics)
