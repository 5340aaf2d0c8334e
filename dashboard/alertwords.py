"""What an alert says in the viewer's language and zone, put together from its frozen evidence."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from dashboard import context, i18n, times
from dashboard.i18n import Words
from dashboard.said import said
from monitor.domain import Alert, AlertEvent, Evidence

SYSTEM: Final = "system"
_VERDICTS: Final = {"right": "alerts.was_right", "false_alarm": "alerts.was_false"}


NAMED: Final = {"kind": "kind.", "severity": "severity.", "measure": "param.measure_", "mention": "param.mention_"}
"""Fields of a rule with a short list of values, and where the catalogues name them."""


def expected(count: float) -> str:
    """An expectation as a page says it: `0.6`, and `<0.1` for what is almost nothing."""
    return "<0.1" if count < 0.05 else f"{count:,.1f}"


def chance(p_value: float) -> str:
    """The p-value as far as anyone can tell it apart from nothing."""
    return f"{p_value:.3f}" if p_value >= 0.001 else f"{p_value:.1g}" if p_value >= 1e-9 else "<0.000000001"


def line(alert: Alert, words: Words) -> str:
    """A line under an alert's name: its figures, or for a rule without a statistic what kind it is; and since when."""
    evidence = alert.evidence
    opened = times.short(alert.opened_at, context.zone())
    if not evidence.from_statistic:
        return words("now.alert_line_kind", kind=words(f"kind.{evidence.rule['kind']}"), opened=opened)
    return words("now.alert_line", negative=evidence.negative, expected=expected(evidence.expected), opened=opened)


def summary(alert: Alert, words: Words) -> str:
    """One sentence on what happened; the stored sentence where the evidence holds no figures for one."""
    evidence = alert.evidence
    kind = str(evidence.rule.get("kind", ""))
    since = times.moment(evidence.window_start, context.zone())
    hours = f"{evidence.window_hours:g}"
    voices = words("count.families", n=evidence.families)
    if kind == "spike":
        told = words(
            "summary.spike",
            n=evidence.negative,
            hours=hours,
            expected=expected(evidence.expected),
            voices=voices,
            since=since,
        )
        late = i18n.words(i18n.DEFAULT)("said.late", known="")  # how the stored sentence begins
        return words("said.late", known=told) if alert.summary.startswith(late) else told
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
    return said(alert.summary, words)


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


def step(event: AlertEvent, words: Words) -> str:
    """The note of a step in the time line. What a person wrote stays; what the pipeline wrote is in the viewer's
    language."""
    if event.kind == "verdict":
        verdict, _, rest = event.note.partition(" ")
        reason, _, note = rest.partition(" ")
        parts = (words.get(_VERDICTS.get(verdict, "")) or verdict, words.get(f"reason.{reason}") or reason, note)
        return " · ".join(part.strip() for part in parts if part.strip())
    ours = event.actor == SYSTEM or event.kind == "assign"
    return said(event.note, words) if ours else event.note


def actor(event: AlertEvent, words: Words) -> str:
    return words("alerts.system") if event.actor == SYSTEM else event.actor


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


def rule_field(name: str, words: Words) -> str:
    """The name of a field of a rule; as it stands in the file where the catalogues have none."""
    return words.get(f"param.{name}") or name


def rule_value(name: str, value: Any, words: Words) -> str:
    """A value of a rule as people say it, by the name of its field."""
    comma = words("count.comma")
    if isinstance(value, dict):
        return comma.join(
            f"{rule_field(str(key), words)} = {rule_value(str(key), part, words)}" for key, part in value.items()
        )
    if name == "scope" and isinstance(value, list | tuple):
        return words.scope(str(part) for part in value)
    if isinstance(value, list | tuple):
        return comma.join(words.topic(str(part)) for part in value)
    if isinstance(value, bool):
        return words("rules.on" if value else "rules.off")
    if name == "explained_by":
        return words.series(str(value))
    if name in NAMED:
        return words.get(f"{NAMED[name]}{value}") or str(value)
    return words("rules.never") if value is None else str(value)
