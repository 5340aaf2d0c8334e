"""What is usual: the band of the negative share, and which series changed most. Pure, on counts.

The pages show a band for the eye; whether an alert fires is decided by monitor/alerts alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

MIN_STORIES = 200
"""Fewer stories in the past than this, and the band is not drawn: too young to say what is usual."""

MIN_BUCKETS = 14
_Z = 1.96


def past_buckets(step: timedelta) -> int:
    """How many earlier buckets of a step say what is usual: four weeks of hours, two months of days, half a year."""
    return {timedelta(hours=1): 24 * 28, timedelta(hours=6): 4 * 28, timedelta(days=1): 60}.get(step, 26)


def with_band(frame: pd.DataFrame, past: int) -> pd.DataFrame:
    """Adds share, usual, low, high to rows of equal steps with columns stories and negative, oldest first.

    past: how many earlier buckets say what is usual. The band of a bucket is p ± 1.96·sqrt(φ·p·(1-p)/n): p is the
    pooled share of the past, n the bucket's own stories, φ the Pearson dispersion of the past buckets against p, at
    least 1, so that a series that swings from bucket to bucket has a wide band. NaN where the past is too thin or
    the bucket is empty. Source: quasi-likelihood for over-dispersed proportions (McCullagh and Nelder 1989, 4.5).
    """
    out = frame.copy()
    stories = out["stories"].to_numpy(float)
    negative = out["negative"].to_numpy(float)
    share = np.divide(negative, stories, out=np.full(len(out), np.nan), where=stories > 0)
    before = lambda values: (  # noqa: E731
        pd.Series(values).shift(1).rolling(past, min_periods=1).sum().to_numpy(float)
    )
    past_stories, past_negative = before(stories), before(negative)
    filled = before((stories > 0).astype(float))
    with np.errstate(divide="ignore", invalid="ignore"):
        usual = past_negative / past_stories
        # Σ (x - n·p)² / (n·p·(1-p)) over the past, opened up so that rolling sums are enough.
        squares = before(np.divide(negative**2, stories, out=np.zeros_like(stories), where=stories > 0))
        chi = (squares - 2 * usual * past_negative + usual**2 * past_stories) / (usual * (1 - usual))
        dispersion = np.maximum(1.0, chi / np.maximum(1.0, filled - 1))
        half = _Z * np.sqrt(dispersion * usual * (1 - usual) / stories)
    young = (past_stories < MIN_STORIES) | (filled < MIN_BUCKETS) | ~np.isfinite(usual) | (stories == 0)
    out["share"] = share
    out["usual"] = np.where(young, np.nan, usual)
    out["low"] = np.where(young, np.nan, np.clip(usual - half, 0.0, 1.0))
    out["high"] = np.where(young, np.nan, np.clip(usual + half, 0.0, 1.0))
    return out


@dataclass(frozen=True, slots=True)
class Change:
    """How the negative stories of a series moved. z: difference of two counts in standard deviations."""

    series: str
    now: int
    before: float
    z: float


def changed_most(
    now: Mapping[str, tuple[int, int]], before: Mapping[str, tuple[int, int]], limit: int = 6, least: int = 3
) -> list[Change]:
    """Series ordered by how surprising their change in negative stories is, given how much news there was at all.

    now, before: series → (stories, negative) of two spans of equal length. z compares the two counts as Poisson
    (conditional on their sum; variance now + before); series with fewer than `least` in both are left out.
    """
    changes = []
    for series in now.keys() | before.keys():
        first, last = before.get(series, (0, 0))[1], now.get(series, (0, 0))[1]
        if max(first, last) < least or first == last:
            continue
        changes.append(Change(series, last, first, (last - first) / math.sqrt(first + last)))
    return sorted(changes, key=lambda change: (-abs(change.z), change.series))[:limit]
