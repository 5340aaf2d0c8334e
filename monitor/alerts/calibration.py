"""From a false-alarm budget to a threshold: how rare must a count be, so that the desk hears from us as often as it
agreed to?

The store's own past is scanned with the live statistic; for each candidate threshold on the adjusted p-value q the
alerts that it would have opened are counted week by week. Weeks are the blocks of a block bootstrap (Künsch 1989,
Ann. Stat. 17; whole weeks keep the dependence between hours and between series), and the threshold is the loosest one
whose bootstrap distribution of alerts a week stays, in the median, within the budget. A past with real crises in it
makes the threshold stricter, never looser.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.alerts.history import Floats
from monitor.alerts.statistics import Scan

CALIBRATED: Final = "alerts.calibration"
"""The store's setting that holds each rule's calibration: {rule: {"for": …, "calibration": Calibration.to_dict()}}."""

WEEKS_NEEDED: Final = 6
WEEKS_USED: Final = 52
LOOSEST: Final = 0.2
STRICTEST: Final = 1e-8
QUIET_HOURS: Final = 24  # a series that was above the threshold within a day goes on with the alert it has
_STEPS: Final = 80  # each a fifth stricter than the one before: a coarse grid wastes part of the budget
_RESAMPLES: Final = 200
_PRIOR_PER_BUDGET: Final = 0.008  # q a week of budget where there is no past yet; measured on three news streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """threshold: an alert opens at q at or below it. weeks: of past it rests on, 0 for the prior.

    per_week: alerts a week that the past would have brought at it, with its 10 and 90 per cent points."""

    threshold: float
    budget: float
    weeks: int
    per_week: float
    low: float
    high: float
    made_at: datetime

    def to_dict(self) -> dict[str, Any]:
        return {
            "threshold": self.threshold,
            "budget": self.budget,
            "weeks": self.weeks,
            "per_week": self.per_week,
            "low": self.low,
            "high": self.high,
            "made_at": self.made_at.isoformat(),
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Calibration:
        return cls(**{**value, "made_at": datetime.fromisoformat(value["made_at"])})


def prior_threshold(budget: float) -> float:
    """What a store without enough past uses: strict enough for a watchlist of some tens of series."""
    return float(np.clip(_PRIOR_PER_BUDGET * budget, STRICTEST, LOOSEST))


def calibrate(
    scan: Scan,
    budget: float,
    now: datetime,
    *,
    last: int | None = None,
    table: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Calibration:
    """Threshold for `budget` alerts a week over all scanned series, from the scan's hours before index `last`
    (counted from the scan's first hour), at most a year of them. table: `onset_table(scan)`, where it is asked often.
    """
    stop = scan.q.shape[1] if last is None else last
    usable = ~scan.young[:stop]
    begin = int(np.argmax(usable)) if usable.any() else stop
    begin = max(begin, stop - WEEKS_USED * 168)
    weeks = (stop - begin) // 168
    if weeks < WEEKS_NEEDED:
        threshold = prior_threshold(budget)
        return Calibration(
            threshold=threshold, budget=budget, weeks=0, per_week=budget, low=0.0, high=2 * budget, made_at=now
        )
    grid = np.geomspace(LOOSEST, STRICTEST, _STEPS)
    hourly = onset_table(scan) if table is None else table
    counts = hourly[:, stop - weeks * 168 : stop].reshape(_STEPS, weeks, 168).sum(axis=2)
    picks = np.random.default_rng(seed).integers(0, weeks, size=(_RESAMPLES, weeks))
    means = counts[:, picks].mean(axis=2)  # [steps, resamples]
    middle = np.median(means, axis=1)
    fits = np.flatnonzero(middle <= budget)
    step = int(fits[0]) if len(fits) else len(grid) - 1
    low, high = np.quantile(means[step], (0.1, 0.9))
    return Calibration(
        threshold=float(grid[step]),
        budget=budget,
        weeks=int(weeks),
        per_week=float(counts[step].mean()),
        low=float(low),
        high=float(high),
        made_at=now,
    )


def onset_table(scan: Scan) -> NDArray[np.int64]:
    """[thresholds, hours] how many series would have opened an alert at each hour, for each candidate threshold."""
    return np.array([onsets(scan.q, step, QUIET_HOURS) for step in np.geomspace(LOOSEST, STRICTEST, _STEPS)])


def onsets(q: Floats, threshold: float, quiet_hours: int) -> NDArray[np.int64]:
    """[hours] how many series cross the threshold after at least `quiet_hours` without crossing it."""
    above = q <= threshold
    total = np.cumsum(above, axis=1)
    before = np.zeros_like(total)
    before[:, 1:] = total[:, :-1]
    earlier = np.zeros_like(total)
    earlier[:, quiet_hours + 1 :] = total[:, : -quiet_hours - 1]
    return np.asarray((above & (before == earlier)).sum(axis=0))
