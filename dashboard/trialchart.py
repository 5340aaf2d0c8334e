"""What a rule would have judged, over the past: its series, its measure, in its window. Pure but for the reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pandas as pd

from dashboard import figures, palette
from dashboard.i18n import Words
from dashboard.queries import Reads
from dashboard.times import HOUR, Span
from models.labels import TOPICS
from monitor.alerts.rules import in_scope, params_of
from monitor.domain import ALL, Alert, Rule, RuleKind

_STEPS: Final = 1500
"""Points beyond which a step of the chart holds several hours, and shows the most striking of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """frame: columns time (UTC, when a window ends) and value. measure: share, count, stories, mean_score or gap."""

    series: str
    measure: str
    window: int
    frame: pd.DataFrame
    step: timedelta
    limit: float | None = None


def watched(rule: Rule, alerts: Sequence[Alert], reads: Reads) -> list[str]:
    """Series that the rule judges, those with the most alerts first; never empty."""
    fired = [name for name, _ in Counter(alert.series for alert in alerts).most_common()]
    if rule.kind is RuleKind.QUIET:
        feeds = reads.feeds()
        every = [f"publisher:{name}" for name in sorted({feed.publisher for feed in feeds if feed.publisher})]
        every += [f"feed:{feed.title or feed.url}" for feed in feeds]
    else:
        every = [ALL, *(f"topic:{topic}" for topic in TOPICS), *(f"entity:{one.name}" for one in reads.entities())]
    named = [name for name in rule.scope if "*" not in name]
    found = list(dict.fromkeys([*fired, *(name for name in [*named, *every] if in_scope(rule, name))]))
    return found or [ALL]


def judged(rule: Rule, series: str, span: Span, reads: Reads) -> Judged:
    """The value at the end of each hour, and of the hours of a step the one nearest to an alert."""
    params = params_of(rule)
    window = int(params.get("window_hours") or max(params.get("windows", (24,))))
    measure = params["measure"] if rule.kind is RuleKind.THRESHOLD else _MEASURES.get(rule.kind, "count")
    if rule.kind is RuleKind.KEYWORD and params["negative_only"]:
        measure = "count"
    grid = pd.date_range(span.start, span.end, freq="h", inclusive="left", tz="UTC").floor("h")
    before = max(window, 24 * 14 if measure == "gap" else 0)
    wide = pd.date_range(grid[0] - pd.Timedelta(hours=before), grid[-1], freq="h")
    rows = reads.trend(_counted(series, reads), Span(start=wide[0].to_pydatetime(), end=span.end), step=HOUR)
    hours = rows.groupby("time")[list(_COLUMNS)].sum().reindex(wide, fill_value=0)
    if measure == "gap":
        last = hours.index.to_series().where(hours["articles"] > 0).ffill()
        value = (hours.index.to_series() - last) / pd.Timedelta(hours=1)
    else:
        sums = hours.rolling(window, min_periods=1).sum()
        enough = sums["stories"].where(sums["stories"] >= params.get("min_stories", 1))
        value = {
            "share": sums["negative"] / enough,
            "mean_score": sums["score_sum"] / enough,
            "stories": sums["stories"],
            "count": sums["negative"],
        }[measure]
    value = value.reindex(grid)
    width = HOUR * max(1, -(-len(grid) // _STEPS))
    steps = value.resample(pd.Timedelta(width), origin="start")
    value = steps.min() if measure == "mean_score" else steps.max()
    frame = pd.DataFrame({"series": series, "time": value.index, "value": value.to_numpy()})
    limit = float(params["value"]) if rule.kind is RuleKind.THRESHOLD else None
    return Judged(series=series, measure=measure, window=window, frame=frame, step=width, limit=limit)


_COLUMNS: Final = ("articles", "stories", "negative", "score_sum")
_MEASURES: Final = {RuleKind.QUIET: "gap", RuleKind.KEYWORD: "stories"}


def title(one: Judged, words: Words) -> str:
    return words(f"backtest.shows_{one.measure}", series=words.series(one.series), n=one.window)


def figure(one: Judged, words: Words, marks: Sequence[tuple[Any, str]]) -> figures.Figure:
    """One line, the limit where the rule has one, and ticks where an alert would have opened. Times of the frame and
    of the marks are the viewer's, without an offset."""
    times = figures.instants(one.frame["time"])
    traces: list[figures.Trace] = [
        {
            "type": "scatter",
            "x": times,
            "y": one.frame["value"].to_numpy(float),
            "mode": "lines",
            "name": words.series(one.series),
            "line": {"color": palette.NEGATIVE, "width": 2},
        }
    ]
    if one.limit is not None:
        line = {"color": palette.MUTED, "width": 1, "dash": "dash"}
        ends = {"x": [times[0], times[-1]], "y": [one.limit, one.limit]}
        traces.append({"type": "scatter", **ends, "mode": "lines", "name": words("baseline.limit"), "line": line})
    if marks:
        traces.append(figures.alert_marks(marks, words))
    return figures.figure(
        traces,
        300,
        xaxis=figures.time_axis(words, one.frame["time"], one.step),
        yaxis={"rangemode": "tozero", **({"tickformat": ".0%"} if one.measure == "share" else {})},
    )


def _counted(series: str, reads: Reads) -> str:
    """Where the items of a series are counted: those of a feed under its publisher."""
    if series.startswith("feed:"):
        name = series.removeprefix("feed:")
        return next((f"publisher:{one.publisher}" for one in reads.feeds() if name in (one.title, one.url)), series)
    return series
