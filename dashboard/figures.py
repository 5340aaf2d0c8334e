"""What plotly draws, as its own dictionary of traces and layout, put together once.

Objects of plotly that are changed step by step look up and check every property at each step, which took longer than
all reads of a page. `st.plotly_chart` checks the whole dictionary once. Long columns are arrays, taken as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from dashboard import palette
from dashboard.i18n import Words
from dashboard.safe import chart_text

Figure = dict[str, Any]
Trace = dict[str, Any]

CONFIG: Final[dict[str, Any]] = {"displayModeBar": False, "typesetMath": False, "scrollZoom": False}
SELECTABLE: Final[dict[str, Any]] = {**CONFIG, "doubleClick": "reset"}

DAY: Final = timedelta(days=1)
_DAY_MS: Final = 86_400_000


def inked(figure: Figure, colour: str) -> Figure:
    """The figure with every label in a colour."""
    layout = figure["layout"]
    font = {"font": {"color": colour}}
    axes = {
        name: {**layout[name], "tickfont": {"color": colour}, "title": {**layout[name].get("title", {}), **font}}
        for name in ("xaxis", "yaxis")
    }
    notes = [{**note, "font": {**note["font"], "color": colour}} for note in layout["annotations"]]
    return {**figure, "layout": {**layout, **axes, "legend": {**layout["legend"], **font}, "annotations": notes}}


def instants(column: pd.Series | pd.Index) -> np.ndarray[Any, Any]:
    """Times without a zone as plotly reads them."""
    return np.datetime_as_string(column.to_numpy("datetime64[s]")).astype(object)


def side_by_side(*columns: Any) -> np.ndarray[Any, Any]:
    """Columns side by side, one row a point: what a hover shows and a click tells."""
    cells = np.empty((len(columns[0]), len(columns)), dtype=object)
    for place, column in enumerate(columns):
        cells[:, place] = column
    return cells


def step_words(starts: pd.Series | pd.Index, step: timedelta) -> np.ndarray[Any, Any]:
    """Each step in words for a hover: a day, or from when to when."""
    if step >= DAY:
        return np.datetime_as_string(starts.to_numpy("datetime64[D]")).astype(object)
    begin, end = (np.datetime_as_string(one.to_numpy("datetime64[m]")) for one in (starts, starts + step))
    return np.array([f"{a[:10]} {a[11:]}–{b[11:]}" for a, b in zip(begin, end, strict=True)], dtype=object)


def bar_width(step: timedelta) -> float:
    """Width of the bar of a step, in milliseconds."""
    return 0.92 * (step / timedelta(milliseconds=1))


def time_axis(words: Words, starts: pd.Series | pd.Index, step: timedelta) -> dict[str, Any]:
    """From the start of the first step to the end of the last one, so that charts below each other share their axis;
    a label for each day where there are few."""
    axis = date_axis(words)
    if len(starts):
        first, last = starts.min(), starts.max() + step
        axis["range"] = [first, last]
        if step == DAY and last - first <= 14 * DAY:
            days = [first + number * DAY for number in range((last - first) // DAY)]
            axis["tickvals"] = [day + DAY / 2 for day in days]
            axis["ticktext"] = [f"{day:{words('chart.day')}}" for day in days]
    return axis


def date_axis(words: Words) -> dict[str, Any]:
    """Dates as the language writes them; plotly itself knows English month names only."""
    stops = [words.get(f"chart.ticks_{name}") for name in ("hours", "days", "months", "years")]
    if not all(stops):
        return {}
    ranges = ([None, _DAY_MS - 1], [_DAY_MS, "M1"], ["M1", "M12"], ["M12", None])
    return {
        "tickformatstops": [
            {"dtickrange": span, "value": text.replace("|", "<br>")} for span, text in zip(ranges, stops, strict=True)
        ]
    }


def alert_marks(marks: Sequence[tuple[Any, str]], words: Words) -> Trace:
    """Ticks along the bottom, where an alert opened. marks: (time, what it said)."""
    tick = {"color": palette.SEVERITY["critical"], "size": 11, "symbol": "line-ns-open", "line": {"width": 3}}
    return {
        "type": "scatter",
        "x": [at for at, _ in marks],
        "y": [0.0] * len(marks),
        "mode": "markers",
        "name": words("chart.alerts"),
        "marker": tick,
        "text": [chart_text(text, 80) for _, text in marks],
        "hovertemplate": "%{text}<extra></extra>",
    }


def level(figure: Figure, y: float, text: str = "") -> None:
    """A dashed line across the chart, with its name on the left where it has one."""
    layout = figure["layout"]
    across = {"xref": "x domain", "yref": "y"}
    line = {"dash": "dash", "width": 1, "color": palette.MUTED}
    layout["shapes"] = [{"type": "line", **across, "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line}]
    if text:
        note = {"text": text, "font": {"size": 11}, "showarrow": False, "x": 0, "xanchor": "left"}
        layout["annotations"] = [{**note, **across, "y": y, "yanchor": "bottom"}]


def figure(
    traces: Sequence[Trace],
    height: int,
    *,
    xaxis: Mapping[str, Any] | None = None,
    yaxis: Mapping[str, Any] | None = None,
    **layout: Any,
) -> Figure:
    axis = {"showline": False, "zeroline": False, "gridcolor": palette.GRID, "automargin": True}
    return {
        "data": list(traces),
        "layout": {
            **layout,
            "xaxis": {**axis, **(xaxis or {})},
            "yaxis": {**axis, **(yaxis or {})},
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "legend": {
                "orientation": "h",
                "y": 1.02,
                "yanchor": "bottom",
                "x": 0,
                "xanchor": "left",
                "traceorder": "normal",
            },
            "hoverlabel": {"namelength": -1},
            "dragmode": False,
            "annotations": [],
        },
    }
