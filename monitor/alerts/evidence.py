"""The evidence of an alert, as it was when it fired: for the page, as JSON and as one self-contained HTML file.

The HTML loads nothing, runs no script, and shows feed text as text; it prints to PDF from any browser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final
from urllib.parse import urlsplit

from monitor.domain import Alert, AlertEvent, Evidence, Verdict

_CSS: Final = (
    "body{font:14px/1.45 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1b1f24}"
    "h1{font-size:1.4em}h2{font-size:1.1em;margin-top:1.8em;border-bottom:1px solid #d0d7de}"
    "table{border-collapse:collapse;width:100%}td,th{padding:.3em .6em;border-bottom:1px solid #e6e9ec;"
    "text-align:left;vertical-align:top}th{font-weight:600}.num{text-align:right;font-variant-numeric:tabular-nums}"
    ".muted{color:#57606a}ul{padding-left:1.2em}svg{width:100%;height:90px}"
    "@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr,li,svg{break-inside:avoid}a{color:inherit}}"
)


def alert_row(alert: Alert) -> dict[str, Any]:
    """An alert as `rules backtest --json` and `alerts list --json` show it."""
    return {
        "id": alert.id,
        "rule": alert.rule,
        "state": alert.state.value,
        "series": alert.series,
        "severity": alert.severity.value,
        "opened_at": alert.opened_at.isoformat(),
        "resolved_at": None if alert.resolved_at is None else alert.resolved_at.isoformat(),
        "stories": alert.evidence.stories,
        "negative": alert.evidence.negative,
        "expected": alert.evidence.expected,
        "p_value": alert.evidence.p_value,
        "families": alert.evidence.families,
        "top": [str(story.get("title", "")) for story in alert.evidence.top[:3]],
        "summary": alert.summary,
        "explained": alert.inhibited_by is not None,
    }


def evidence_fields(evidence: Evidence) -> dict[str, Any]:
    """What an alert rests on: window, rule, baseline, and stories with articles and links."""
    return {
        "window_start": evidence.window_start.isoformat(),
        "window_end": evidence.window_end.isoformat(),
        "window_hours": evidence.window_hours,
        "model_version": evidence.model_version,
        "rule": evidence.rule,
        "baseline": evidence.baseline,
        "stories": list(evidence.top),
    }


def evidence_json(alert: Alert, events: Sequence[AlertEvent] = (), verdicts: Sequence[Verdict] = ()) -> dict[str, Any]:
    """All that is frozen with the alert, its time line and its verdicts, as JSON-able values."""
    return {
        **alert_row(alert),
        "updated_at": alert.updated_at.isoformat(),
        "assignee": alert.assignee,
        "verdict": alert.verdict,
        "inhibited_by": alert.inhibited_by,
        "evidence": evidence_fields(alert.evidence),
        "events": [
            {"at": event.at.isoformat(), "kind": event.kind, "actor": event.actor, "note": event.note}
            for event in events
        ],
        "verdicts": [
            {
                "at": verdict.at.isoformat(),
                "actor": verdict.actor,
                "right": verdict.right,
                "reason": verdict.reason,
                "note": verdict.note,
            }
            for verdict in verdicts
        ],
    }


def evidence_html(alert: Alert, events: Sequence[AlertEvent] = (), verdicts: Sequence[Verdict] = ()) -> str:
    """The same as a page of its own. Every text is escaped; only http and https addresses become links."""
    data = evidence_json(alert, events, verdicts)
    evidence = data["evidence"]
    head = escape(f"Alert {alert.id}: {alert.rule} on {alert.series}")
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{head}</title><style>{_CSS}</style></head><body><h1>{head}</h1>",
        f"<p>{escape(alert.summary)}</p>",
        _table(
            [
                ("Severity", data["severity"]),
                ("State", data["state"]),
                ("Opened", data["opened_at"]),
                ("Resolved", data["resolved_at"] or "open"),
                ("Window", f"{evidence['window_start']} to {evidence['window_end']}"),
                ("Stories in the window", data["stories"]),
                ("Negative stories", data["negative"]),
                *(
                    [("Expected", data["expected"]), ("p-value", f"{data['p_value']:.2g}")]
                    if alert.evidence.from_statistic
                    else []
                ),
                ("Publisher families", data["families"]),
                ("Model version", evidence["model_version"]),
                ("Assignee", data["assignee"] or "nobody"),
                ("Verdict", data["verdict"] or "none"),
            ]
        ),
        "<h2>Stories</h2>",
        *(_story(story) for story in evidence["stories"]),
        "<h2>Baseline</h2>",
        _bars(evidence["baseline"].get("daily_negative", ()), evidence["baseline"].get("daily_from", "")),
        _table([(k, v) for k, v in evidence["baseline"].items() if not isinstance(v, list | dict)]),
        "<h2>Rule as it was</h2>",
        _table([(k, v) for k, v in evidence["rule"].items()]),
        "<h2>Time line</h2>",
        _table([(f"{e['at']} {e['actor']}", f"{e['kind']} {e['note']}".strip()) for e in data["events"]]),
        *(["<h2>Verdicts</h2>", _table([_verdict_row(v) for v in data["verdicts"]])] if data["verdicts"] else []),
        "</body></html>",
    ]
    return "".join(parts)


def _verdict_row(verdict: Mapping[str, Any]) -> tuple[str, str]:
    said = "right" if verdict["right"] else "wrong"
    words = ": ".join(part for part in (str(verdict["reason"] or ""), str(verdict["note"] or "")) if part)
    return f"{verdict['at']} {verdict['actor']}", f"{said} {words}".strip()


def _table(rows: Sequence[tuple[str, Any]]) -> str:
    cells = "".join(f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def _story(story: Mapping[str, Any]) -> str:
    articles = "".join(_article(article) for article in story.get("articles") or ())
    about = ", ".join([*map(str, story.get("entities") or ()), *map(str, story.get("topics") or ())])
    who = ", ".join(map(str, story.get("publishers") or ()))
    return (
        f"<p><strong>{escape(str(story.get('title', '')))}</strong><br>"
        f"<span class='muted'>{escape(str(story.get('published', '')))} · {escape(who)} · {escape(about)}</span></p>"
        f"<ul>{articles}</ul>"
    )


def _article(article: Mapping[str, Any]) -> str:
    title, url = escape(str(article.get("title", ""))), str(article.get("url") or "")
    said = article.get("prediction") or {}
    shown = f"<a href='{escape(url, quote=True)}' rel='noopener noreferrer'>{title}</a>" if _is_web(url) else title
    words = f"{article.get('publisher', '')} · {article.get('published', '')}"
    if said:
        words += f" · {said.get('sentiment')} ({said.get('p_negative')} negative), {said.get('model_version')}"
    return f"<li>{shown} <span class='muted'>{escape(words)}</span></li>"


def _is_web(url: str) -> bool:
    try:
        return urlsplit(url).scheme in ("http", "https")
    except ValueError:
        return False


def _bars(values: Sequence[Any], since: str) -> str:
    """Negative stories a day as bars, drawn inline; the most recent day of the baseline stands right."""
    numbers = [float(value) for value in values]
    if not numbers:
        return ""
    top, step = max(1.0, *numbers), 600 / len(numbers)
    bars = "".join(
        f"<rect x='{n * step:.1f}' y='{80 - 78 * value / top:.1f}' width='{max(step - 1, 0.5):.1f}' "
        f"height='{78 * value / top:.1f}' fill='#8250df'/>"
        for n, value in enumerate(numbers)
    )
    return (
        f"<svg viewBox='0 0 600 82' preserveAspectRatio='none' role='img'><title>Negative stories a day</title>{bars}"
        f"</svg><p class='muted'>Negative stories a day from {escape(str(since))}, at most {top:g}.</p>"
    )
