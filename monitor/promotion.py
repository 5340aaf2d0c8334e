"""Use case: which model version serves. A candidate is opened, compared with the live one, and only then put live.

Nothing changes before every check has passed: a checkpoint that cannot be trusted (`CheckpointError` of
models.registry), a candidate that is worse beyond noise, or a person without the right leaves the old version serving.
What was decided, with its figures, is in the audit log, refusals and overrides included.

It does not re-score: articles without a prediction by the new version are in the queue by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import models
from models.backend import Classifier, join_title_and_summary
from models.dataset import load_file
from models.errors import CheckpointError
from models.gate import Comparison, LabelledText, Slice, compare, figures
from models.labels import SENTIMENTS, TOPICS
from monitor.errors import PromotionError
from monitor.people import Person, allow
from monitor.review import labelled_rows
from monitor.store.base import Store

FROZEN: Final = Path(models.__file__).parent / "frozen" / "headlines.csv"
FROZEN_LANGUAGE: Final = "en"
MIN_VERDICTS: Final = 20  # fewer rows could not show a loss anyway

_ROLLBACK: Final = "rollback from "
_REASON: Final = 500

OpenClassifier = Callable[[str], Classifier]
"""Opens and verifies a version: `models.registry.open_classifier`, or a scripted one in tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A switch that took place. comparison is None where there was nothing to compare with or it was not asked for.

    overridden: the gate refused, and a person promoted all the same. unscored: articles that now wait for the version.
    """

    version: str
    previous: str | None
    languages: tuple[str, ...]
    comparison: Comparison | None
    objections: tuple[str, ...]
    overridden: bool
    unscored: int

    def __str__(self) -> str:
        line = f"{self.version} is live" + (f", after {self.previous}" if self.previous else "")
        if self.overridden:
            line += f"; against the gate: {'; '.join(self.objections)}"
        return line + (f"; {self.unscored} articles wait to be scored by it" if self.unscored else "")


def promote(
    store: Store,
    version: str,
    actor: str,
    now: datetime,
    *,
    role: str,
    open_classifier: OpenClassifier,
    override_reason: str = "",
    frozen: Path = FROZEN,
) -> Promotion:
    """Put a version live if the gate lets it pass, or for a reason in words if it does not.

    Raises `NotAllowedError` for anyone but an admin, `CheckpointError` for a checkpoint that is refused (no reason
    overrides that), and `PromotionError`, which names head and slices with figures, when the gate refuses.
    """
    allow(store, Person(actor, role), "admin", "promote a model", now)
    live = store.live_model()
    if live is not None and live[0] == version:
        raise PromotionError(f"{version} is live already")
    try:
        candidate = open_classifier(version)
    except CheckpointError as error:
        # Somebody tried to serve what cannot be trusted: worth a line in the log, though nothing changes.
        store.append_audit(actor, "model.refused", version, {"checkpoint": str(error)}, now)
        raise
    if candidate.version != version:
        raise PromotionError(
            f"{version}: its manifest calls it {candidate.version!r}; promote it by that name, from the checkpoints"
        )
    comparison, objections = _judge(store, live, candidate, open_classifier, frozen)
    reason = override_reason.strip()[:_REASON]
    detail: dict[str, Any] = {
        "from": live[0] if live else None,
        "objections": list(objections),
        "slices": [_plain(one) for one in comparison.slices] if comparison else [],
        "override": reason,
    }
    if objections and not reason:
        store.append_audit(actor, "model.refused", version, detail, now)
        raise PromotionError(
            f"{version} is worse than {live[0] if live else 'nothing'} and stays out: {'; '.join(objections)}. "
            "Give a reason to promote it all the same"
        )
    if store.live_model() != live:
        raise PromotionError("the live version changed meanwhile, so the comparison no longer holds; try again")
    store.append_audit(actor, "model.gate", version, detail, now)
    why = f"promoted against the gate: {reason}" if objections else "promoted: passed the gate"
    store.set_live_model(version, candidate.languages, actor, why, now)
    return Promotion(
        version=version,
        previous=live[0] if live else None,
        languages=tuple(candidate.languages),
        comparison=comparison,
        objections=objections,
        overridden=bool(objections),
        unscored=store.unscored_count(),
    )


def rollback(
    store: Store, actor: str, now: datetime, *, role: str, open_classifier: OpenClassifier, reason: str = ""
) -> Promotion:
    """Put back the version before this one. Not gated: it is the way out of a bad promotion. Rolling back twice goes
    back two versions. Raises `NotAllowedError` for anyone but an admin, `PromotionError` when there is none before, and
    `CheckpointError` when that one can no longer be trusted or found; the present one then serves on."""
    allow(store, Person(actor, role), "admin", "roll a model back", now)
    served = served_versions(store.model_history())
    if len(served) < 2:
        raise PromotionError("no version served before this one; there is nothing to roll back to")
    present, target = served[-1], served[-2]
    classifier = open_classifier(target)
    if classifier.version != target:
        raise CheckpointError(f"{target}: its manifest calls it {classifier.version!r}")
    words = f": {reason.strip()[:_REASON]}" if reason.strip() else ""
    store.set_live_model(target, classifier.languages, actor, f"{_ROLLBACK}{present}{words}", now)
    return Promotion(
        version=target,
        previous=present,
        languages=tuple(classifier.languages),
        comparison=None,
        objections=(),
        overridden=False,
        unscored=store.unscored_count(),
    )


def served_versions(history: Sequence[tuple[datetime, str, str, str]]) -> list[str]:
    """Versions that serve or served and were not rolled back, oldest first, the live one last. Pure.

    history: (at, version, actor, reason), newest first, as the store keeps it.
    """
    stack: list[str] = []
    for _, version, _, reason in reversed(history):
        if reason.startswith(_ROLLBACK) and version in stack[:-1]:
            stack.pop()
            while stack[-1] != version:
                stack.pop()
        elif not stack or stack[-1] != version:
            stack.append(version)
    return stack


def frozen_rows(path: Path = FROZEN) -> list[LabelledText]:
    """The frozen set. Raises `models.errors.DataError`, which names line and column, when it cannot be used."""
    return [
        LabelledText(
            text=example.joined,
            sentiment=None if example.sentiment is None else SENTIMENTS[example.sentiment],
            topics=tuple(TOPICS[index] for index in example.topics),
        )
        for example in load_file(path)
    ]


def measure(classifier: Classifier, path: Path = FROZEN) -> tuple[float | None, float | None]:
    """(sentiment accuracy, topics micro-F1) of a version on the frozen set, for the model page."""
    rows = frozen_rows(path)
    return figures(rows, classifier.predict([row.text for row in rows]))


def _judge(
    store: Store,
    live: tuple[str, tuple[str, ...]] | None,
    candidate: Classifier,
    open_classifier: OpenClassifier,
    frozen: Path,
) -> tuple[Comparison | None, tuple[str, ...]]:
    """What was compared, and what speaks against the candidate, each in words with figures."""
    if live is None:
        return None, ()
    lost = [code for code in live[1] if code not in candidate.languages]
    objections = [f"languages: {', '.join(lost)} would no longer be supported"] if lost else []
    try:
        present = open_classifier(live[0])
    except CheckpointError as error:
        return None, (*objections, f"the live version cannot be opened for the comparison ({error})")
    both = set(present.languages) & set(candidate.languages)
    slices: list[Slice] = []
    if FROZEN_LANGUAGE in both:
        slices += _ask(frozen_rows(frozen), present, candidate, "")
    else:
        objections.append(f"no language of the frozen set ({FROZEN_LANGUAGE}) is spoken by both versions")
    # By themselves, not added to the written texts: people judge what was shown to them, which is no fair draw, so
    # verdicts may speak against a candidate and never make up for what it loses elsewhere.
    verdicts = [
        LabelledText(text=join_title_and_summary(row.title, row.summary), sentiment=row.sentiment, topics=row.topics)
        for row in labelled_rows(store)
        if row.language in both
    ]
    if len(verdicts) >= MIN_VERDICTS:
        slices += _ask(verdicts, present, candidate, "verdicts, ")
    comparison = Comparison(slices=tuple(slices))
    return comparison, (*objections, *map(str, comparison.worse))


def _ask(rows: Sequence[LabelledText], live: Classifier, candidate: Classifier, prefix: str) -> tuple[Slice, ...]:
    texts = [row.text for row in rows]
    return compare(rows, live.predict(texts), candidate.predict(texts), prefix).slices


def _plain(one: Slice) -> dict[str, Any]:
    return {
        "name": one.name,
        "n": one.n,
        "live": round(one.live, 4),
        "candidate": round(one.candidate, 4),
        "p_value": round(one.p_value, 5),
        "worse": one.worse,
    }
