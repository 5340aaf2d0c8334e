"""What an alert says in the viewer's language and zone, put together from its frozen evidence."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dashboard import context, times
from dashboard.i18n import Words
from monitor.domain import Alert, Evidence


def expected(count: float) -> str:
    """An expectation as a page says it: `0.6`, and `<0.1` for what is almost nothing."""
    return "<0.1" if count < 0.05 else f"{count:,.1f}"


def chance(p_value: float) -> str:
    """The p-value as far as anyone can tell it apart from nothing."""
    return f"{p_value:.3f}" if p_value >= 0.001 else f"{p_value:.1g}" if p_value >= 1e-9 else "<0.000000001"


def summary(alert: Alert, words: Words) -> str:
    """One sentence on what happened; the stored sentence where the evidence holds no figures for one."""
    evidence = alert.evidence
    kind = str(evidence.rule.get("kind", ""))
    since = times.moment(evidence.window_start, context.zone())
    hours = f"{evidence.window_hours:g}"
    voices = words("count.families", n=evidence.families)
    if kind == "spike":
        return words(
            "summary.spike",
            n=evidence.negative,
            hours=hours,
            expected=expected(evidence.expected),
            voices=voices,
            since=since,
        )
    if kind == "critical_story":
        wanted = _params(evidence).get("topics")
        topics = {topic for story in evidence.top for topic in story.get("topics", ()) if not wanted or topic in wanted}
        about = words("count.comma").join(words.topic(topic) for topic in sorted(topics))
        return words("summary.critical_story", n=evidence.stories, about=about, voices=voices, since=since)
    if kind == "keyword":
        query = str(_params(evidence).get("query", ""))
        return words("summary.keyword", n=evidence.stories, query=query, hours=hours, voices=voices)
    if kind == "threshold" and evidence.baseline.get("measure") in ("share", "count", "mean_score"):
        return _threshold(evidence, words, since)
    if kind == "quiet" and (since_text := evidence.baseline.get("since")):
        return words("summary.quiet", since=moment(since_text))
    return alert.summary


def _threshold(evidence: Evidence, words: Words, since: str) -> str:
    measure = str(evidence.baseline["measure"])
    form = {"share": "{:.0%}", "count": "{:.0f}", "mean_score": "{:+.2f}"}[measure]
    value, limit = (float(evidence.baseline[name]) for name in ("value", "limit"))
    return words(
        f"summary.{measure}",
        value=form.format(value),
        limit=form.format(limit),
        stories=evidence.stories,
        hours=f"{evidence.window_hours:g}",
        since=since,
    )


def _params(evidence: Evidence) -> dict[str, Any]:
    """The rule's own fields as they stand in the evidence, beside or below its name."""
    nested = evidence.rule.get("params")
    return {**evidence.rule, **nested} if isinstance(nested, dict) else dict(evidence.rule)


def moment(value: Any) -> str:
    """A frozen time, as text or as a time, in the viewer's zone."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    return times.moment(value, context.zone()) if isinstance(value, datetime) and value.tzinfo else str(value or "–")
