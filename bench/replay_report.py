"""What came of a replay: alerts a week by year and rule, the crises that were caught, a draw for a person to judge."""

from __future__ import annotations

import csv
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bench.crises import CRISES
from monitor.domain import Alert

LEADING: Final = 5


def weeks_by_year(start: datetime, end: datetime) -> dict[int, float]:
    """Weeks of [start, end) in each year."""
    found: Counter[int] = Counter()
    day = start
    while day < end:
        found[day.year] += 1
        day += timedelta(days=1)
    return {year: days / 7 for year, days in sorted(found.items())}


def summarise(corpus: str, alerts: Sequence[Alert], start: datetime, end: datetime) -> dict[str, Any]:
    """Alerts a week by year and rule, told ones and explained ones, and which crises had an alert that was told."""
    weeks = weeks_by_year(start, end)
    told: dict[str, Counter[int]] = defaultdict(Counter)
    explained: dict[str, Counter[int]] = defaultdict(Counter)
    for alert in alerts:
        (told if alert.inhibited_by is None else explained)[alert.rule][alert.opened_at.year] += 1
    crises = []
    for crisis in CRISES[corpus]:
        if crisis.last < start or crisis.first >= end:
            continue
        own = [a for a in alerts if a.series == crisis.series and crisis.first <= a.opened_at <= crisis.last]
        first = min(own, key=lambda alert: alert.opened_at, default=None)
        crises.append(
            {
                "what": crisis.what,
                "series": crisis.series,
                "caught": first is not None,
                "opened_at": first.opened_at.isoformat() if first else None,
                "rule": first.rule if first else None,
                "summary": first.summary if first else None,
                "told": any(alert.inhibited_by is None for alert in own),
                "by_rule": dict(Counter(alert.rule for alert in own)),
            }
        )
    return {
        "corpus": corpus,
        "from": start.isoformat(),
        "to": end.isoformat(),
        "weeks": {str(year): round(count, 2) for year, count in weeks.items()},
        "told_per_week": {
            rule: {str(year): round(counts[year] / weeks[year], 2) for year in weeks}
            | {"all": round(sum(counts.values()) / sum(weeks.values()), 2)}
            for rule, counts in sorted(told.items())
        },
        "told": {rule: sum(counts.values()) for rule, counts in sorted(told.items())},
        "explained": {rule: sum(counts.values()) for rule, counts in sorted(explained.items())},
        "crises": crises,
    }


def as_markdown(summary: dict[str, Any]) -> str:
    years = list(summary["weeks"])
    lines = [f"# {summary['corpus']}, {summary['from'][:10]} to {summary['to'][:10]}", "", summary["how"], ""]
    lines += ["Alerts a week that were told:", "", "| rule | " + " | ".join([*years, "all"]) + " |"]
    lines.append("|---|" + "---:|" * (len(years) + 1))
    for rule, rates in summary["told_per_week"].items():
        lines.append(f"| {rule} | " + " | ".join(f"{rates[year]:.1f}" for year in [*years, "all"]) + " |")
    lines += ["", f"Told: {summary['told']}; explained by a narrower alert: {summary['explained']}.", ""]
    lines += ["| crisis | series | first alert | what it said |", "|---|---|---|---|"]
    for one in summary["crises"]:
        when = f"{one['opened_at'][:16]} {one['rule']}" if one["caught"] else "none"
        note = "" if one["told"] or not one["caught"] else " (explained by another alert)"
        lines.append(f"| {one['what']} | {one['series']} | {when}{note} | {one['summary'] or ''} |")
    return "\n".join(lines) + "\n"


def write_judge(path: Path, alerts: Sequence[Alert], count: int, seed: int) -> int:
    """A seeded draw of told alerts, oldest first, ready to be judged by a person."""
    told = [alert for alert in alerts if alert.inhibited_by is None]
    drawn = random.Random(seed).sample(told, min(count, len(told)))
    drawn.sort(key=lambda alert: (alert.opened_at, alert.id))
    head = ["id", "opened_at", "rule", "series", "severity", "negative", "expected", "p_value", "summary"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*head, *(f"story_{n}" for n in range(1, LEADING + 1)), "verdict", "why"])
        for alert in drawn:
            evidence = alert.evidence
            stories = [
                f"{story['title']} [{story['published'][:10]}, {story['p_negative']}, {'|'.join(story['topics'])}]"
                for story in evidence.top[:LEADING]
            ]
            writer.writerow(
                [
                    alert.id, alert.opened_at.isoformat()[:16], alert.rule, alert.series, alert.severity.value,
                    evidence.negative, round(evidence.expected, 2), f"{evidence.p_value:.2g}", alert.summary,
                    *stories, *[""] * (LEADING - len(stories)), "", "",
                ]
            )  # fmt: skip
    return len(drawn)


def tally(path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        verdict = row["verdict"].strip().lower() or "not judged"
        counts["all"][verdict] += 1
        counts[row["rule"]][verdict] += 1
    return "\n".join(f"{name}: {dict(found)}" for name, found in counts.items())
