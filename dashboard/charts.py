"""DataFrame → plotly Figure. No Streamlit here, no reading; times come in the viewer's zone without an offset.

Whatever comes from outside goes through `chart_text`: plotly reads a subset of HTML in labels and hovers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

from dashboard import palette
from dashboard.i18n import Words
from dashboard.safe import chart_text

CONFIG: Final[dict[str, Any]] = {"displayModeBar": False, "typesetMath": False, "scrollZoom": False}
SELECTABLE: Final[dict[str, Any]] = {**CONFIG, "doubleClick": "reset"}


DAY: Final = timedelta(days=1)
_DAY_MS: Final = 86_400_000


def share_with_band(
    frame: pd.DataFrame, words: Words, step: timedelta, marks: Sequence[tuple[Any, str]] = ()
) -> go.Figure:
    """Negative share per step against its usual band; columns time, share, usual, low, high, stories, negative.

    time: start of a step; the point stands in its middle. marks: (time, words) of alerts, ticks along the bottom.
    """
    figure = go.Figure()
    frame = frame.assign(start=frame["time"], time=frame["time"] + step / 2)
    banded = frame.dropna(subset=["low", "high"])
    if not banded.empty:
        figure.add_scatter(
            x=banded["time"], y=banded["high"], mode="lines", line={"width": 0}, hoverinfo="skip", showlegend=False
        )
        figure.add_scatter(
            x=banded["time"],
            y=banded["low"],
            mode="lines",
            line={"width": 0},
            fill="tonexty",
            fillcolor=palette.BAND,
            name=words("chart.usual"),
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=frame["time"],
        y=frame["share"],
        mode="lines+markers",
        name=words("chart.share"),
        connectgaps=True,
        line={"color": palette.NEGATIVE, "width": 2},
        marker={"size": 4},
        customdata=list(zip(frame["negative"], frame["stories"], _steps(frame["start"], step), strict=True)),
        hovertemplate=words("chart.hover_share") + "<extra></extra>",
    )
    outside = frame[frame["share"] > frame["high"]]
    if not outside.empty:
        figure.add_scatter(
            x=outside["time"],
            y=outside["share"],
            mode="markers",
            name=words("chart.above"),
            marker={"color": palette.NEGATIVE, "size": 9, "symbol": "triangle-down"},
            hoverinfo="skip",
        )
    if marks:
        figure.add_scatter(
            x=[at for at, _ in marks],
            y=[0.0] * len(marks),
            mode="markers",
            name=words("chart.alerts"),
            marker={"color": palette.SEVERITY["critical"], "size": 11, "symbol": "line-ns-open", "line": {"width": 3}},
            text=[chart_text(text, 80) for _, text in marks],
            hovertemplate="%{text}<extra></extra>",
        )
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    _time_axis(figure, words, frame["start"], step)
    return _finish(figure, 300)


def volume(frame: pd.DataFrame, words: Words, step: timedelta, height: int = 200) -> go.Figure:
    """Stories per step, stacked by sentiment; columns time (start of a step), negative, neutral, positive."""
    figure = go.Figure()
    width = 0.92 * step / timedelta(milliseconds=1)
    labels = _steps(frame["time"], step)
    for sentiment in ("negative", "neutral", "positive"):
        figure.add_bar(
            x=frame["time"],
            y=frame[sentiment],
            name=words.sentiment(sentiment),
            marker={"color": palette.SENTIMENT[sentiment], "line": {"width": 0}},
            offset=0,
            width=width,
            customdata=labels,
            hovertemplate="%{customdata}: %{y}",
        )
    figure.update_layout(barmode="stack")
    _time_axis(figure, words, frame["time"], step)
    return _finish(figure, height)


def heatmap(frame: pd.DataFrame, names: Mapping[str, str], words: Words, step: timedelta, least: int = 3) -> go.Figure:
    """Negative share of each series and step as colour; cells with fewer than `least` stories stay blank.

    Every cell also holds an invisible mark, because a click on a cell of a heat map is not told to the page.
    Columns series, time, stories, negative. names: series → text of its row, in the order from top to bottom.
    """
    enough = frame[frame["stories"] >= least]
    share = (enough["negative"] / enough["stories"]).rename("share")
    wide = enough.assign(share=share).pivot(index="series", columns="time", values="share")
    counts = frame.pivot(index="series", columns="time", values="stories")
    bad = frame.pivot(index="series", columns="time", values="negative")
    order = [name for name in names if name in wide.index]
    columns = counts.columns
    wide = wide.reindex(index=order, columns=columns)
    labels = _steps(columns.to_series(), step)
    rows = [chart_text(names[name], 40) for name in order]
    figure = go.Figure(
        go.Heatmap(
            z=wide.to_numpy(),
            x=list(columns + step / 2),
            y=rows,
            customdata=[
                [[*pair, label] for pair, label in zip(row, labels, strict=True)]
                for row in _stacked(bad.reindex(order), counts.reindex(order))
            ],
            colorscale=[list(stop) for stop in palette.HEAT],
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            hoverongaps=False,
            colorbar={"tickformat": ".0%", "thickness": 10, "outlinewidth": 0, "len": 0.9},
            hoverinfo="skip",
        )
    )
    cells = [
        (column + step / 2, row, share, [bad.loc[name, column], counts.loc[name, column], label, name, place])
        for name, row in zip(order, rows, strict=True)
        for place, (column, label) in enumerate(zip(columns, labels, strict=True))
        if pd.notna(share := wide.loc[name, column])
    ]
    figure.add_scatter(
        x=[x for x, *_ in cells],
        y=[y for _, y, *_ in cells],
        text=[f"{share:.0%}" for *_, share, _ in cells],
        customdata=[data for *_, data in cells],
        mode="markers",
        marker={"size": 14, "opacity": 0, "color": palette.NEGATIVE},
        hovertemplate=words("chart.hover_heat") + "<extra></extra>",
        showlegend=False,
    )
    _time_axis(figure, words, columns.to_series(), step)
    figure.update_yaxes(autorange="reversed", showgrid=False, automargin=True)
    figure.update_xaxes(showgrid=False)
    return _finish(figure, 60 + 22 * max(3, len(order)))


def lines(
    frame: pd.DataFrame,
    value: str,
    names: Mapping[str, str],
    words: Words,
    step: timedelta,
    *,
    share: bool,
    height: int = 320,
) -> go.Figure:
    """One line a series for comparison; columns series, time (start of a step) and `value`."""
    figure = go.Figure()
    for place, (name, text) in enumerate(names.items()):
        rows = frame[frame["series"] == name]
        figure.add_scatter(
            x=rows["time"],
            y=rows[value],
            mode="lines+markers",
            name=chart_text(text, 40),
            connectgaps=True,
            line={
                "color": palette.SERIES[place % len(palette.SERIES)],
                "dash": ("solid", "dash", "dot", "dashdot")[place % 4],
                "width": 2,
            },
            marker={"size": 4},
        )
    figure.update_layout(hovermode="x unified")
    figure.update_yaxes(rangemode="tozero", tickformat=".0%" if share else None)
    _dates(figure, words)
    figure.update_xaxes(hoverformat="%Y-%m-%d" if step >= DAY else "%Y-%m-%d %H:%M")
    return _finish(figure, height)


def ranked(frame: pd.DataFrame, words: Words, height: int | None = None) -> go.Figure:
    """Horizontal bars stacked by sentiment, first row on top; columns name, negative, neutral, positive."""
    figure = go.Figure()
    names = [chart_text(name, 36) for name in frame["name"]]
    for sentiment in ("negative", "neutral", "positive"):
        figure.add_bar(
            y=names,
            x=frame[sentiment],
            orientation="h",
            name=words.sentiment(sentiment),
            marker={"color": palette.SENTIMENT[sentiment]},
            hovertemplate="%{x}",
        )
    figure.update_layout(barmode="stack", bargap=0.3, hovermode="y unified")
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False)
    return _finish(figure, height or 70 + 24 * max(2, len(frame)))


def evidence_hours(
    hours: pd.DataFrame, window: tuple[Any, Any], step: timedelta, expected_per_bucket: float | None, words: Words
) -> go.Figure:
    """Negative stories per bucket before and in an alert's window; columns time, negative."""
    inside = (hours["time"] >= window[0]) & (hours["time"] < window[1])
    figure = go.Figure()
    for flag, name, colour in (
        (False, words("chart.before"), palette.NEUTRAL),
        (True, words("chart.window"), palette.NEGATIVE),
    ):
        rows = hours[inside == flag]
        figure.add_bar(
            x=rows["time"],
            y=rows["negative"],
            name=name,
            marker={"color": colour},
            offset=0,
            width=0.92 * step / timedelta(milliseconds=1),
            customdata=_steps(rows["time"], step),
            hovertemplate="%{customdata}: %{y}<extra></extra>",
        )
    if expected_per_bucket is not None:
        figure.add_hline(
            y=expected_per_bucket,
            line={"dash": "dash", "width": 1, "color": palette.MUTED},
            annotation={
                "text": words("chart.expected"),
                "font": {"size": 11},
                "x": 0,
                "xanchor": "left",
                "yanchor": "bottom",
            },
        )
    _time_axis(figure, words, hours["time"], step)
    return _finish(figure, 220)


def weekly(frame: pd.DataFrame, budget: float | None, words: Words) -> go.Figure:
    """Alerts a week, as analysts judged them, beside the budget; columns week (its Monday, as text), right, wrong,
    open (not judged)."""
    figure = go.Figure()
    for name, colour in (("right", palette.POSITIVE), ("wrong", palette.NEGATIVE), ("open", palette.NEUTRAL)):
        label = words({"right": "rules.right", "wrong": "rules.wrong", "open": "rules.not_judged"}[name])
        figure.add_bar(x=frame["week"], y=frame[name], name=label, marker={"color": colour}, hovertemplate="%{x}: %{y}")
    if budget is not None:
        figure.add_hline(y=budget, line={"dash": "dash", "width": 1, "color": palette.MUTED})
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(rangemode="tozero", tickformat="d")
    return _finish(figure, 170)


def confusion(matrix: Sequence[Sequence[int]], labels: Sequence[str], words: Words) -> go.Figure:
    """Rows are what was true, columns what the model said; colour is the share within the row."""
    shares = [[value / max(1, sum(row)) for value in row] for row in matrix]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=list(labels),
            y=list(labels),
            text=[[f"{value:,}" for value in row] for row in matrix],
            texttemplate="%{text}",
            # Opaque, so that plotly picks a readable colour for the numbers in both themes.
            colorscale=[[0, "#EAF1F8"], [1, "#1F5F95"]],
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=2,
            ygap=2,
            hovertemplate=words("chart.hover_confusion") + "<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", title=words("chart.truth"), showgrid=False)
    figure.update_xaxes(title=words("chart.predicted"), showgrid=False)
    return _finish(figure, 300)


def calibration(bins: pd.DataFrame, words: Words) -> go.Figure:
    """Stated confidence against how often it was right; columns confidence, accuracy, n."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name=words("chart.perfect"),
        line={"dash": "dash", "color": palette.MUTED, "width": 1},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=bins["confidence"],
        y=bins["accuracy"],
        mode="lines+markers",
        name=words("chart.model"),
        line={"color": palette.ACCENT, "width": 2},
        customdata=bins[["n"]],
        hovertemplate=words("chart.hover_calibration") + "<extra></extra>",
    )
    figure.update_xaxes(tickformat=".0%", range=[0, 1.02], title=words("chart.confidence"))
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02], title=words("chart.accuracy"))
    return _finish(figure, 300)


def ink(figure: go.Figure, colour: str) -> None:
    """The colour of every label of the chart."""
    figure.update_layout(legend={"font": {"color": colour}})
    axis = {"tickfont": {"color": colour}, "title": {"font": {"color": colour}}}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    figure.update_annotations(font={"color": colour})


def _stacked(first: pd.DataFrame, second: pd.DataFrame) -> list[list[list[float]]]:
    """Two tables of one shape as cells of pairs, gaps as zero."""
    return [
        [[float(a), float(b)] for a, b in zip(row, other, strict=True)]
        for row, other in zip(first.fillna(0).to_numpy(), second.fillna(0).to_numpy(), strict=True)
    ]


def _steps(starts: pd.Series, step: timedelta) -> list[str]:
    """Each step in words for a hover: a day, or from when to when."""
    if step >= DAY:
        return [f"{start:%Y-%m-%d}" for start in starts]
    return [f"{start:%Y-%m-%d %H:%M}–{start + step:%H:%M}" for start in starts]


def _time_axis(figure: go.Figure, words: Words, starts: pd.Series, step: timedelta) -> None:
    """From the start of the first step to the end of the last one, so that charts below each other share their axis;
    a label for each day where there are few."""
    _dates(figure, words)
    if len(starts):
        first, last = starts.min(), starts.max() + step
        figure.update_xaxes(range=[first, last])
        if step == DAY and last - first <= 14 * DAY:
            days = [first + number * DAY for number in range((last - first) // DAY)]
            figure.update_xaxes(
                tickvals=[day + DAY / 2 for day in days], ticktext=[f"{day:{words('chart.day')}}" for day in days]
            )


def _dates(figure: go.Figure, words: Words) -> None:
    """Dates as the language writes them; plotly itself knows English month names only."""
    stops = [words.get(f"chart.ticks_{name}") for name in ("hours", "days", "months", "years")]
    if all(stops):
        ranges = ([None, _DAY_MS - 1], [_DAY_MS, "M1"], ["M1", "M12"], ["M12", None])
        figure.update_xaxes(
            tickformatstops=[
                {"dtickrange": span, "value": text.replace("|", "<br>")}
                for span, text in zip(ranges, stops, strict=True)
            ]
        )


def _finish(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left", "traceorder": "normal"},
        hoverlabel={"namelength": -1},
        dragmode=False,
    )
    figure.update_xaxes(showline=False, zeroline=False, gridcolor=palette.GRID, automargin=True)
    figure.update_yaxes(showline=False, zeroline=False, gridcolor=palette.GRID, automargin=True)
    return figure
