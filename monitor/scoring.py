"""Use case: score the queue. Claim → predict → save → recount, until nothing waits or someone says stop.

It never holds a lock while scoring: a claim is a lease in the store, so a kill loses nothing. One article that makes
the classifier fail is found by halving its batch, and is set aside instead of holding up the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from models.backend import Classifier, Prediction, join_title_and_summary
from monitor.domain import Article
from monitor.store.base import Store

log = structlog.get_logger("scoring")

BATCH = 512
LEASE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """scored: got a prediction. set_aside: the classifier could not read them (quarantined)."""

    scored: int = 0
    set_aside: int = 0

    def __add__(self, other: ScoreReport) -> ScoreReport:
        return ScoreReport(self.scored + other.scored, self.set_aside + other.set_aside)


def score_queue(
    store: Store,
    classifier: Classifier,
    worker: str,
    clock: Callable[[], datetime],
    *,
    limit: int | None = None,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[int], object] = lambda n: None,
) -> ScoreReport:
    """Score what waits for the live model, newest first, at most `limit` articles, and refresh the counts.

    The batch in hand is always finished and saved; `stopped` is asked between batches. Ends when another version goes
    live: the queue is then that version's, and what this one says would never shorten it.
    """
    total = ScoreReport()
    done = 0
    while not stopped() and (limit is None or done < limit):
        live = store.live_model()
        if live is not None and live[0] != classifier.version:
            log.warning("the queue is another version's", live=live[0], loaded=classifier.version)
            break
        size = BATCH if limit is None else min(BATCH, limit - done)
        articles = store.claim_unscored(worker, size, clock(), LEASE)
        if not articles:
            break
        predictions = predict_or_set_aside(classifier, articles)
        store.save_predictions(classifier.version, predictions, clock())
        missing = sum(prediction is None for _, prediction in predictions)
        total += ScoreReport(len(predictions) - missing, missing)
        done += len(articles)
        progress(len(articles))
    refresh_counts(store, stopped)
    return total


def refresh_counts(store: Store, stopped: Callable[[], bool] = lambda: False) -> None:
    """Recompute dirty hours until none is left; each step is a transaction of its own."""
    while store.refresh_rollups() and not stopped():
        pass


def predict_or_set_aside(classifier: Classifier, articles: Sequence[Article]) -> list[tuple[int, Prediction | None]]:
    """Predictions in order. Where a batch fails, its halves are tried; a single failing article gets None."""
    texts = [join_title_and_summary(article.title, article.summary) for article in articles]
    try:
        return [(article.id, one) for article, one in zip(articles, classifier.predict(texts), strict=True)]
    except MemoryError:
        raise  # the machine's trouble, not the article's: leases expire and the batch comes back
    except Exception as error:
        if len(articles) == 1:
            log.warning("article set aside", article=articles[0].id, error=f"{type(error).__name__}: {error}"[:200])
            return [(articles[0].id, None)]
        middle = len(articles) // 2
        return predict_or_set_aside(classifier, articles[:middle]) + predict_or_set_aside(classifier, articles[middle:])
