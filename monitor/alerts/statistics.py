"""The negative spike: how surprising is the number of negative stories of a series in a window, given its own past?

For a window w ending at an hour t and a series s,

    μ = level(s) × U(w)         expected number of distinct negative stories
    p = P(N > n) + ½ P(N = n)   N negative binomial with mean μ; mid-p

**Exposure and shape.** U(w) is the news volume of the window in stories that are not negative, so that a spike does
not explain itself away: U = M (V + k) / (M + k), where V is what came and M = Σ habit × shape is what usually comes in
these hours of the week. More feeds, an outage or a busy Monday move V, and with it what is expected.
**Level.** Negative stories per story of volume: posterior mean of a Gamma-Poisson model whose past is discounted by a
half-life and whose prior is the class of the series (entities for an entity, topics for a topic), fitted by moments.
**Dispersion.** One φ a class and window, pooled over its series from the past's own misses, discounted, with a floor;
to it comes the uncertainty of the level, 1/α. Misses are capped, so that past crises do not blind the statistic.
**Gap and cap.** The past ends `gap_days` whole days before the day in hand, and a day counts in it by at most its
expectation plus three standard deviations: a spike in progress does not become its own baseline.

Sources: Farrington, Andrews, Beale & Catchpole (1996), J. R. Stat. Soc. A 159, and Noufaily et al. (2013), Stat. Med.
32 (quasi-Poisson and negative-binomial limits, capped past outbreaks, the guard gap); West & Harrison (1997), Bayesian
Forecasting and Dynamic Models (discounting); Clayton & Kaldor (1987), Biometrics 43, and DuMouchel (1999), Am. Stat. 53
(Gamma-Poisson shrinkage by moments); Lancaster (1961), JASA 56 (mid-p); Benjamini & Hochberg (1995), J. R. Stat. Soc. B
57 (ranking across series); Genovese, Roeder & Wasserman (2006), Biometrika 93 (weights in that ranking: `all` sums the
others up and would drown among some hundred of them).

Not in here: publisher families, lifecycle, the false-alarm budget (calibration.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import nbinom

from monitor.alerts.history import Floats, History

_WEEK: Final = 168
_SMALLEST_P: Final = 1e-30


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikeParams:
    """windows in hours; half lives and gap in days; prior_volume is k, in stories."""

    windows: tuple[int, ...] = (6, 24)
    min_stories: int = 3
    min_effect: float = 1.5
    min_history_days: int = 14
    half_life_days: float = 14.0
    shape_half_life_days: float = 56.0
    gap_days: int = 2
    prior_volume: float = 5.0
    dispersion_floor: float = 0.02
    dispersion_prior: float = 0.15
    cap_sd: float = 3.0
    plausible_p: float = 0.02  # no ranking across series makes an alert of a p above this
    all_share: float = 0.1  # of the false discoveries, what `all` may take; the other series share the rest equally

    @classmethod
    def of(cls, params: dict[str, Any]) -> SpikeParams:
        """From a rule's parameters; what the rule does not know keeps its default."""
        names = ("windows", "min_stories", "min_effect", "min_history_days")
        return cls(**{name: params[name] for name in names if name in params})


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """What is known at each day of the history, from the days before the gap only. Days index the history's days.

    rate, alpha: [series, days] posterior mean (negative per story of volume) and shape of the level.
    habit: [days] stories of volume an hour. shape: [days, 168] from Monday 0 h UTC, mean 1.
    phi: [classes, windows, days]. known_days: [days] days of past behind each. volume_days: discounted volume.
    """

    rate: Floats
    alpha: Floats
    habit: Floats
    shape: Floats
    phi: Floats
    known_days: Floats
    class_of: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The statistic at each hour of [first, last): arrays [windows, series, hours] unless said otherwise.

    p is 1 where the count is below `min_stories` or below `min_effect` times the expectation, where it is above
    `plausible_p`, or where the past is too short. q: [series, hours] the smaller p of the windows after weighted
    Benjamini-Hochberg across the scanned series. judged: [hours] False inside days without time of day, which are
    judged at their end. young: [hours] the past is too short.
    """

    history: History
    params: SpikeParams
    levels: Levels
    first: int
    chosen: NDArray[np.int64]  # rows of the history that were scanned, in this order
    negative: Floats
    expected: Floats
    p: Floats
    q: Floats
    judged: NDArray[np.bool_]
    young: NDArray[np.bool_]  # [hours]

    @property
    def names(self) -> list[str]:
        return [self.history.series[row] for row in self.chosen]


def class_of(series: str) -> str:
    """Series of one class share a prior and a dispersion."""
    if series.startswith("entity:") and "/topic:" in series:
        return "entity-topic"
    return series.partition(":")[0]


def scan(
    history: History,
    params: SpikeParams,
    chosen: Sequence[str] | None = None,
    *,
    first: int = 0,
    levels: Levels | None = None,
) -> Scan:
    """Judge the chosen series (all by default) at the end of every hour from index `first` on.

    The state of a day rests on days that ended `gap_days` before it, so one pass over a year gives exactly what a
    live evaluation would have said at each of its hours.
    """
    levels = levels or learn(history, params)
    names = {name: row for row, name in enumerate(history.series)}
    rows = np.array([names[name] for name in (chosen if chosen is not None else history.series)], dtype=np.int64)
    hours = history.hours
    first = max(0, min(first, hours - 1))
    day = np.arange(hours) // 24
    judged = _judged(history)[first:]
    known = levels.known_days[day][first:] >= params.min_history_days
    shape = (len(params.windows), len(rows), hours - first)
    counted, expected = np.zeros(shape), np.zeros(shape)
    p = np.ones(shape)
    # Only what the windows of the judged hours reach is added up.
    base = max(0, first - max(params.windows))
    negative = history.negative[rows, base:] if chosen is not None else history.negative[:, base:]
    usual, rate = _expected_volume(history, levels)[base:], levels.rate[rows]
    for index, window in enumerate(params.windows):
        volume = _exposure(history.volume[base:], usual, window, params.prior_volume)[first - base :]
        counted[index] = _window_sum(negative, window)[:, first - base :]
        expected[index] = rate[:, day[first:]] * volume
        usable = known & judged & (_whole_days(history, window)[first:])
        n, mu = counted[index], expected[index]
        ask = usable & (n >= params.min_stories - 1e-6) & (n >= params.min_effect * mu)
        where = np.nonzero(ask)
        if len(where[0]):
            days = day[first:][where[1]]
            phi = levels.phi[levels.class_of[rows[where[0]]], index, days] + 1 / levels.alpha[rows[where[0]], days]
            found = tail(n[where], mu[where], phi)
            p[index][where] = np.where(found <= params.plausible_p, found, 1.0)
    best = p.min(axis=0) if len(rows) else np.ones((0, hours - first))
    return Scan(
        history=history,
        params=params,
        levels=levels,
        first=first,
        chosen=rows,
        negative=counted,
        expected=expected,
        p=p,
        q=benjamini_hochberg(best, weights([history.series[row] for row in rows], params.all_share)),
        judged=judged,
        young=~known,
    )


def tail(n: Floats, mu: Floats, phi: Floats) -> Floats:
    """Mid-p of n or more where a negative binomial has mean mu and variance mu + φ mu². Counts may be fractions of
    a story in spread days; they are rounded."""
    count = np.rint(n)
    size = 1 / np.maximum(phi, 1e-9)
    success = size / (size + np.maximum(mu, 1e-12))
    above = nbinom.sf(count, size, success)
    return np.asarray(np.clip(above + 0.5 * nbinom.pmf(count, size, success), _SMALLEST_P, 1.0))


def weights(series: Sequence[str], all_share: float) -> Floats:
    """[series] prior weights with mean 1: `all` has `all_share` of their sum, unless an equal part is more."""
    out = np.ones(len(series))
    if "all" in series and len(series) > 1:
        own = max(1.0, all_share * len(series))
        out[:] = (len(series) - own) / (len(series) - 1)
        out[list(series).index("all")] = own
    return out


def benjamini_hochberg(p: Floats, weight: Floats | None = None) -> Floats:
    """[series, hours] → adjusted values: the false-discovery rate at which each would be called (step-up), each p
    first divided by the weight of its series ([series], mean 1; equal by default)."""
    series = p.shape[0]
    if series == 0:
        return p
    weighted = p if weight is None else np.minimum(p / weight[:, None], 1.0)
    order = np.argsort(weighted, axis=0)
    ranked = np.take_along_axis(weighted, order, axis=0) * series / np.arange(1, series + 1)[:, None]
    ranked = np.minimum.accumulate(ranked[::-1], axis=0)[::-1]
    adjusted = np.empty_like(ranked)
    np.put_along_axis(adjusted, order, ranked, axis=0)
    # A p of 1 means "not asked" and must not be pulled down by its rank.
    return np.where(p >= 1.0, 1.0, np.minimum(adjusted, 1.0))


# ── the past ─────────────────────────────────────────────────────────────────────────────────────────────────────


def learn(history: History, params: SpikeParams) -> Levels:
    """One pass over the days, series side by side; the state at a day is written before that day is seen."""
    series, days = len(history.series), -(-history.hours // 24)
    classes = sorted({class_of(name) for name in history.series})
    members = np.array([classes.index(class_of(name)) for name in history.series], dtype=np.int64)
    hourly = _padded(history.negative, days)
    volume = _padded(history.volume[None, :], days)[0]
    daily, daily_volume = hourly.reshape(series, days, 24).sum(axis=2), volume.reshape(days, 24).sum(axis=1)
    seen = _seen_days(history, days)
    weekday = history.start.weekday()
    fade = 0.5 ** (1 / params.half_life_days)
    fade_shape = 0.5 ** (7 / params.shape_half_life_days)
    fade_phi = 0.5 ** (1 / params.shape_half_life_days)

    out = Levels(
        rate=np.zeros((series, days)),
        alpha=np.ones((series, days)),
        habit=np.zeros(days),
        shape=np.ones((days, _WEEK)),
        phi=np.full((len(classes), len(params.windows), days), params.dispersion_prior),
        known_days=np.zeros(days),
        class_of=members,
    )
    count, exposure, day_weight, known = np.zeros(series), 0.0, 0.0, 0.0
    slot_count, slot_weight = np.zeros(_WEEK), np.zeros(_WEEK)
    misses, squares = np.zeros((len(classes), len(params.windows))), np.zeros((len(classes), len(params.windows)))
    totals = volume + (hourly[history.series.index("all")] if "all" in history.series else 0.0)

    for day in range(days):
        past = day - 1 - params.gap_days
        if past >= 0 and seen[past]:
            level = out.rate[:, past] * daily_volume[past]
            if out.known_days[past] >= 7:
                spread = np.sqrt(level + (out.phi[members, -1, past] + 1 / out.alpha[:, past]) * level**2)
                capped = np.minimum(daily[:, past], level + params.cap_sd * spread + 1)
                _add_misses(misses, squares, hourly, volume, out, past, params, members, fade_phi)
            else:
                capped = daily[:, past]
            count = count * fade + capped
            exposure = exposure * fade + daily_volume[past]
            day_weight = day_weight * fade + 1
            known += 1
            slots = ((weekday + past) % 7) * 24 + np.arange(24)
            slot_count[slots] = slot_count[slots] * fade_shape + totals[past * 24 : past * 24 + 24]
            slot_weight[slots] = slot_weight[slots] * fade_shape + 1
        out.known_days[day] = known
        if day_weight:
            out.habit[day] = exposure / (24 * day_weight)
            out.shape[day] = _shape(slot_count, slot_weight)
        rate, alpha = _posterior(count, exposure, members, len(classes))
        out.rate[:, day], out.alpha[:, day] = rate, alpha
        # The prior of the dispersion weighs as much as 20 windows with an expectation of 2.
        weight = 80.0
        phi = (misses + params.dispersion_prior * weight) / (squares + weight)
        out.phi[:, :, day] = np.maximum(phi, params.dispersion_floor)
    return out


def _posterior(count: Floats, exposure: float, members: NDArray[np.int64], classes: int) -> tuple[Floats, Floats]:
    """Posterior mean and shape of each level; the class's Gamma prior by moments (Clayton & Kaldor 1987)."""
    rate, alpha = np.zeros(len(count)), np.ones(len(count))
    if exposure <= 0:
        return rate, alpha
    for index in range(classes):
        inside = members == index
        raw = count[inside] / exposure
        mean = max(float(raw.mean()), 0.05 / exposure)
        between = float(raw.var()) - mean / exposure if inside.sum() > 2 else mean**2 * 4
        a = float(np.clip(mean**2 / between, 0.25, 10.0)) if between > 0 else 10.0
        b = min(a / mean, 0.25 * exposure)  # the class never outweighs the series' own past
        a = b * mean
        alpha[inside] = np.maximum(count[inside] + a, 0.1)
        rate[inside] = (count[inside] + a) / (exposure + b)
    return rate, alpha


def _add_misses(
    misses: Floats,
    squares: Floats,
    hourly: Floats,
    volume: Floats,
    out: Levels,
    past: int,
    params: SpikeParams,
    members: NDArray[np.int64],
    fade: float,
) -> None:
    """Excess squared misses and squared expectations of the past day's disjoint windows, pooled by class, in place."""
    misses *= fade
    squares *= fade
    for index, window in enumerate(params.windows):
        length = min(window, 24)
        pieces = 24 // length
        part = slice(past * 24, past * 24 + pieces * length)
        n = hourly[:, part].reshape(len(hourly), pieces, length).sum(axis=2)
        mu = out.rate[:, past, None] * volume[part].reshape(pieces, length).sum(axis=1)
        phi = out.phi[members, index, past][:, None] + 1 / out.alpha[:, past, None]
        variance = mu + phi * mu**2
        miss = np.minimum((n - mu) ** 2, 9 * variance) - mu - mu**2 / out.alpha[:, past, None]
        np.add.at(misses[:, index], members, miss.sum(axis=1))
        np.add.at(squares[:, index], members, (mu**2).sum(axis=1))


def _shape(count: Floats, weight: Floats) -> Floats:
    """[168] relative volume of each hour of the week: smoothed over neighbours, drawn to 1 by one week's worth."""
    total = count.sum() / max(weight.sum(), 1e-9)
    if total <= 0:
        return np.ones(_WEEK)
    rate = (count + total) / (weight + 1)
    smooth = 0.5 * rate + 0.25 * (np.roll(rate, 1) + np.roll(rate, -1))
    return np.asarray(smooth / smooth.mean())


# ── windows ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _expected_volume(history: History, levels: Levels) -> Floats:
    """[hours] what usually comes in each hour; the last one only as far as it has gone."""
    hour = np.arange(history.hours)
    day = hour // 24
    slot = (history.start.weekday() * 24 + hour) % _WEEK
    shape = np.where(history.day_like[day], _daily_mean(levels.shape)[day, slot // 24], levels.shape[day, slot])
    expected = levels.habit[day] * shape
    expected[-1] *= history.last_fraction
    return np.asarray(expected)


def _daily_mean(shape: Floats) -> Floats:
    return np.asarray(shape.reshape(len(shape), 7, 24).mean(axis=2))


def _exposure(volume: Floats, expected_volume: Floats, window: int, prior: float) -> Floats:
    came = _window_sum(volume[None, :], window)[0]
    usual = np.maximum(_window_sum(expected_volume[None, :], window)[0], 1e-9)
    return np.asarray(usual * (came + prior) / (usual + prior))


def _window_sum(values: Floats, window: int) -> Floats:
    """[series, hours] sum over the `window` hours that end with each hour."""
    total = np.cumsum(values, axis=1)
    out = total.copy()
    out[:, window:] -= total[:, :-window]
    return out


def _judged(history: History) -> NDArray[np.bool_]:
    """[hours] days without time of day are judged when they are over."""
    hour = np.arange(history.hours)
    over = hour % 24 == 23
    over[-1] &= history.last_fraction >= 1.0
    return np.asarray(~history.day_like[hour // 24] | over)


def _whole_days(history: History, window: int) -> NDArray[np.bool_]:
    """[hours] False where a window of part of a day would cut through a day without time of day."""
    hour = np.arange(history.hours)
    cut = history.day_like[hour // 24] | history.day_like[np.maximum(hour - window + 1, 0) // 24]
    return np.asarray(~cut | ((window % 24 == 0) & (hour % 24 == 23)))


def _padded(values: Floats, days: int) -> Floats:
    out = np.zeros((values.shape[0], days * 24))
    out[:, : values.shape[1]] = values
    return out


def _seen_days(history: History, days: int) -> NDArray[np.bool_]:
    """[days] from the first day with any news on: the days before the store knew anything are no past."""
    first = history.first_hour()
    start = days if first is None else (first - history.start).days
    return np.arange(days) >= start
