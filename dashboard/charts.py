"""DataFrame → figure. No Streamlit here, no reading; times come in the viewer's zone without an offset.

Whatever comes from outside goes through `chart_text`: plotly reads a subset of HTML in labels and hovers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from dashboard import figures, palette
from dashboard.figures import DAY, Figure, Trace
from dashboard.i18n import Words
from dashboard.safe import chart_text


def share_with_band(
    frame: pd.DataFrame, words: Words, step: timedelta, marks: Sequence[tuple[Any, str]] = ()
) -> Figure:
    """Negative share per step against its usual band; columns time, share, usual, low, high, stories, negative.

    time: start of a step; the point stands in its middle. marks: (time, words) of alerts, ticks along the bottom.
    """
    traces: list[Trace] = []
    middle = figures.instants(frame["time"] + step / 2)
    share, low, high = (frame[name].to_numpy(float) for name in ("share", "low", "high"))
    banded = ~(np.isnan(low) | np.isnan(high))
    if banded.any():
        edge = {"type": "scatter", "x": middle[banded], "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        traces += [
            {**edge, "y": high[banded], "showlegend": False},
            {
                **edge,
                "y": low[banded],
                "fill": "tonexty",
                "fillcolor": palette.BAND,
                "name": words("chart.usual"),
            },
        ]
    traces.append(
        {
            "type": "scatter",
            "x": middle,
            "y": share,
            "mode": "lines+markers",
            "name": words("chart.share"),
            "connectgaps": True,
            "line": {"color": palette.NEGATIVE, "width": 2},
            "marker": {"size": 4},
            "customdata": figures.side_by_side(
                frame["negative"], frame["stories"], figures.step_words(frame["time"], step)
            ),
            "hovertemplate": words("chart.hover_share") + "<extra></extra>",
        }
    )
    outside = share > high
    if outside.any():
        traces.append(
            {
                "type": "scatter",
                "x": middle[outside],
                "y": share[outside],
                "mode": "markers",
                "name": words("chart.above"),
                "marker": {"color": palette.NEGATIVE, "size": 9, "symbol": "triangle-down"},
                "hoverinfo": "skip",
            }
        )
    if marks:
        traces.append(figures.alert_marks(marks, words))
    return figures.figure(
        traces,
        300,
        xaxis=figures.time_axis(words, frame["time"], step),
        yaxis={"tickformat": ".0%", "rangemode": "tozero"},
    )


def volume(frame: pd.DataFrame, words: Words, step: timedelta, height: int = 200) -> Figure:
    """Stories per step, stacked by sentiment; columns time (start of a step), negative, neutral, positive."""
    starts, labels = figures.instants(frame["time"]), figures.step_words(frame["time"], step)
    traces = [
        {
            "type": "bar",
            "x": starts,
            "y": frame[sentiment].to_numpy(),
            "name": words.sentiment(sentiment),
            "marker": {"color": palette.SENTIMENT[sentiment], "line": {"width": 0}},
            "offset": 0,
            "width": figures.bar_width(step),
            "customdata": labels,
            "hovertemplate": "%{customdata}: %{y}",
        }
        for sentiment in ("negative", "neutral", "positive")
    ]
    return figures.figure(traces, height, xaxis=figures.time_axis(words, frame["time"], step), barmode="stack")


def heatmap(frame: pd.DataFrame, names: Mapping[str, str], words: Words, step: timedelta, least: int = 3) -> Figure:
    """Negative share of each series and step as colour; cells with fewer than `least` stories stay blank.

    Every cell also holds an invisible mark, because a click on a cell of a heat map is not told to the page.
    Columns series, time, stories, negative. names: series → text of its row, in the order from top to bottom.
    """
    columns = pd.Index(frame["time"]).unique().sort_values()
    with_cells = set(frame.loc[frame["stories"] >= least, "series"])
    order = [name for name in names if name in with_cells]
    row, place = pd.Index(order).get_indexer(frame["series"]), columns.get_indexer(frame["time"])
    shown = row >= 0
    counts = np.zeros((2, len(order), len(columns)), dtype=np.int64)
    counts[:, row[shown], place[shown]] = frame.loc[shown, ["negative", "stories"]].to_numpy().T
    bad, stories = counts
    share = np.full(stories.shape, np.nan)
    np.divide(bad, stories, out=share, where=stories >= least)
    row, place = np.nonzero(stories >= least)
    texts = np.array([chart_text(names[name], 40) for name in order], dtype=object)
    middle, labels = figures.instants(columns + step / 2), figures.step_words(columns, step)
    traces: list[Trace] = [
        {
            "type": "heatmap",
            "z": share,
            "x": middle,
            "y": texts,
            "colorscale": [list(stop) for stop in palette.HEAT],
            "zmin": 0,
            "zmax": 1,
            "xgap": 1,
            "ygap": 1,
            "hoverongaps": False,
            "colorbar": {"tickformat": ".0%", "thickness": 10, "outlinewidth": 0, "len": 0.9},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "x": middle[place],
            "y": texts[row],
            "text": np.array([f"{one:.0%}" for one in share[row, place]], dtype=object),
            "customdata": figures.side_by_side(
                bad[row, place], stories[row, place], labels[place], np.array(order)[row], place
            ),
            "mode": "markers",
            "marker": {"size": 14, "opacity": 0, "color": palette.NEGATIVE},
            "hovertemplate": words("chart.hover_heat") + "<extra></extra>",
            "showlegend": False,
        },
    ]
    return figures.figure(
        traces,
        60 + 22 * max(3, len(order)),
        xaxis={**figures.time_axis(words, columns, step), "showgrid": False},
        yaxis={"autorange": "reversed", "showgrid": False},
    )


def lines(
    frame: pd.DataFrame,
    value: str,
    names: Mapping[str, str],
    words: Words,
    step: timedelta,
    *,
    share: bool,
    height: int = 320,
) -> Figure:
    """One line a series for comparison; columns series, time (start of a step) and `value`."""
    traces = []
    for place, (name, text) in enumerate(names.items()):
        rows = frame[frame["series"] == name]
        line = {
            "color": palette.SERIES[place % len(palette.SERIES)],
            "dash": ("solid", "dash", "dot", "dashdot")[place % 4],
            "width": 2,
        }
        traces.append(
            {
                "type": "scatter",
                "x": figures.instants(rows["time"]),
                "y": rows[value].to_numpy(),
                "mode": "lines+markers",
                "name": chart_text(text, 40),
                "connectgaps": True,
                "line": line,
                "marker": {"size": 4},
            }
        )
    return figures.figure(
        traces,
        height,
        xaxis={**figures.date_axis(words), "hoverformat": "%Y-%m-%d" if step >= DAY else "%Y-%m-%d %H:%M"},
        yaxis={"rangemode": "tozero", **({"tickformat": ".0%"} if share else {})},
        hovermode="x unified",
    )


def ranked(frame: pd.DataFrame, words: Words, height: int | None = None) -> Figure:
    """Horizontal bars stacked by sentiment, first row on top; columns name, negative, neutral, positive."""
    names = [chart_text(name, 36) for name in frame["name"]]
    traces = [
        {
            "type": "bar",
            "y": names,
            "x": frame[sentiment].to_numpy(),
            "orientation": "h",
            "name": words.sentiment(sentiment),
            "marker": {"color": palette.SENTIMENT[sentiment]},
            "hovertemplate": "%{x}",
        }
        for sentiment in ("negative", "neutral", "positive")
    ]
    return figures.figure(
        traces,
        height or 70 + 24 * max(2, len(frame)),
        yaxis={"autorange": "reversed", "showgrid": False},
        barmode="stack",
        bargap=0.3,
        hovermode="y unified",
    )


def evidence_hours(
    hours: pd.DataFrame, window: tuple[Any, Any], step: timedelta, expected_per_bucket: float | None, words: Words
) -> Figure:
    """Negative stories per bucket before and in an alert's window; columns time, negative."""
    inside = (hours["time"] >= window[0]) & (hours["time"] < window[1])
    traces = []
    for flag, name, colour in (
        (False, words("chart.before"), palette.NEUTRAL),
        (True, words("chart.window"), palette.NEGATIVE),
    ):
        rows = hours[inside == flag]
        traces.append(
            {
                "type": "bar",
                "x": figures.instants(rows["time"]),
                "y": rows["negative"].to_numpy(),
                "name": name,
                "marker": {"color": colour},
                "offset": 0,
                "width": figures.bar_width(step),
                "customdata": figures.step_words(rows["time"], step),
                "hovertemplate": "%{customdata}: %{y}<extra></extra>",
            }
        )
    figure = figures.figure(traces, 220, xaxis=figures.time_axis(words, hours["time"], step))
    if expected_per_bucket is not None:
        figures.level(figure, expected_per_bucket, words("chart.expected"))
    return figure


def weekly(frame: pd.DataFrame, budget: float | None, words: Words) -> Figure:
    """Alerts a week, as analysts judged them, beside the budget; columns week (its Monday, as text), right, wrong,
    open (not judged)."""
    traces = [
        {
            "type": "bar",
            "x": frame["week"].to_numpy(object),
            "y": frame[name].to_numpy(),
            "name": words(label),
            "marker": {"color": colour},
            "hovertemplate": "%{x}: %{y}",
        }
        for name, label, colour in (
            ("right", "rules.right", palette.POSITIVE),
            ("wrong", "rules.wrong", palette.NEGATIVE),
            ("open", "rules.not_judged", palette.NEUTRAL),
        )
    ]
    figure = figures.figure(
        traces,
        170,
        xaxis={"type": "category", "showgrid": False},
        yaxis={"rangemode": "tozero", "tickformat": "d"},
        barmode="stack",
        bargap=0.35,
    )
    if budget is not None:
        figures.level(figure, budget)
    return figure


def confusion(matrix: Sequence[Sequence[int]], labels: Sequence[str], words: Words) -> Figure:
    """Rows are what was true, columns what the model said; colour is the share within the row."""
    trace = {
        "type": "heatmap",
        "z": [[value / max(1, sum(row)) for value in row] for row in matrix],
        "x": list(labels),
        "y": list(labels),
        "text": [[f"{value:,}" for value in row] for row in matrix],
        "texttemplate": "%{text}",
        # Opaque, so that plotly picks a readable colour for the numbers in both themes.
        "colorscale": [[0, "#EAF1F8"], [1, "#1F5F95"]],
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hovertemplate": words("chart.hover_confusion") + "<extra></extra>",
    }
    return figures.figure(
        [trace],
        300,
        xaxis={"title": {"text": words("chart.predicted")}, "showgrid": False},
        yaxis={"autorange": "reversed", "title": {"text": words("chart.truth")}, "showgrid": False},
    )


def calibration(bins: pd.DataFrame, words: Words) -> Figure:
    """Stated confidence against how often it was right; columns confidence, accuracy, n."""
    traces = [
        {
            "type": "scatter",
            "x": [0, 1],
            "y": [0, 1],
            "mode": "lines",
            "name": words("chart.perfect"),
            "line": {"dash": "dash", "color": palette.MUTED, "width": 1},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "x": bins["confidence"].to_numpy(),
            "y": bins["accuracy"].to_numpy(),
            "mode": "lines+markers",
            "name": words("chart.model"),
            "line": {"color": palette.ACCENT, "width": 2},
            "customdata": bins[["n"]].to_numpy(),
            "hovertemplate": words("chart.hover_calibration") + "<extra></extra>",
        },
    ]
    axis = {"tickformat": ".0%", "range": [0, 1.02]}
    return figures.figure(
        traces,
        300,
        xaxis={**axis, "title": {"text": words("chart.confidence")}},
        yaxis={**axis, "title": {"text": words("chart.accuracy")}},
    )
