"""The spike rule's judgement at one hour: which series fire, hold or are calm, in words and with their evidence.

The same code judges live and in a backtest; only the hour differs. Story facts are read for what fires or stays open,
never for what is calm.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from monitor.alerts.history import HOUR, HistorySource
from monitor.alerts.lifecycle import Observation, Standing
from monitor.alerts.rules import params_of, rule_to_dict
from monitor.alerts.statistics import Scan, tail
from monitor.domain import Alert, Evidence, Rule, Severity, StoryFact

HOLD_FACTOR: Final = 20.0  # an open alert stays open while q is within this factor of the threshold
CRITICAL_FACTOR: Final = 1e-3
CRITICAL_EFFECT: Final = 3.0
YOUNG_PUBLISHER: Final = timedelta(days=28)
OLD_SHARE: Final = 0.3
LATE_HOURS: Final = 72
LATE_FRESH: Final = timedelta(hours=2)
TOP_STORIES: Final = 12
_FACTS: Final = 400
_BASELINE_FACTS: Final = 60
_SAMPLE_DAYS: Final = 56


@dataclass
class SpikeJudge:
    """Judges one spike rule over a scan. `thresholds`: [hours of the scan] threshold on q, or one for all.

    Keeps what it has read of the source, so that an alert that stays open costs nothing while nothing changes.
    """

    rule: Rule
    scan: Scan
    thresholds: np.ndarray[Any, np.dtype[np.float64]]
    source: HistorySource
    model_version: str = ""
    _facts: dict[tuple[str, datetime, datetime, int], list[StoryFact]] = field(default_factory=dict)
    _families: dict[tuple[str, datetime], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.params = params_of(self.rule)
        self.row = {name: index for index, name in enumerate(self.scan.names)}
        held = self.scan.q <= np.minimum(self.thresholds * HOLD_FACTOR, 0.5)
        hours = np.arange(held.shape[1])
        self._last_held = np.maximum.accumulate(np.where(held, hours, -1), axis=1)
        self._last_judged = np.maximum.accumulate(np.where(self.scan.judged, hours, -1))
        self._arrived = _arrivals(self.scan)

    def busy_hours(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """[hours] where at least one series is at or below the threshold."""
        return np.asarray((self.scan.q <= self.thresholds).any(axis=0))

    def at(self, column: int, opened: Mapping[str, Alert]) -> list[Observation]:
        """Observations at the end of the scan's hour `column`: every series that fires, and each one with an alert
        in `opened` (by series). What an open alert knows already is not read again, unless it may explain another
        series that fires anew."""
        judged = int(self._last_judged[column])
        if judged < 0 or self.scan.young[judged]:
            return [self._unknown(series, "its past is too short to judge") for series in opened]
        firing = {self.scan.names[int(r)] for r in np.flatnonzero(self.scan.q[:, judged] <= self.thresholds[judged])}
        explains = any(not series.startswith("entity:") for series in firing.difference(opened))
        return [
            self._observe(series, column, judged, opened.get(series), explains and series.startswith("entity:"))
            if series in self.row
            else self._unknown(series, "nothing is known of this series")
            for series in sorted(firing | set(opened))
        ]

    def late(self, column: int, now: datetime, known: Callable[[], Collection[Alert]]) -> list[Observation]:
        """Hours before `column` that fire only because of what arrived since: a story counts in the hour it was
        published, and re-opens the question for that hour. `known` gives the alerts of the last days; what one of
        them covers is no news. It is asked only when an hour fires."""
        begin = max(0, column - LATE_HOURS)
        part = slice(begin, column)
        firing = (self.scan.q[:, part] <= self.thresholds[part]) & ~self.scan.young[part]
        if not firing.any():
            return []
        found, alerts = [], known()
        for row in np.flatnonzero(firing.any(axis=1)):
            series = self.scan.names[int(row)]
            covered = [alert for alert in alerts if alert.series == series and alert.rule == self.rule.name]
            hours = np.flatnonzero(firing[row])
            for judged in begin + hours[np.argsort(self.scan.q[row, begin + hours], kind="stable")]:
                observation = self._late_at(series, int(row), int(judged), now, covered)
                if observation is not None:
                    found.append(observation)
                    break
        return found

    def _late_at(
        self, series: str, row: int, judged: int, now: datetime, covered: Collection[Alert]
    ) -> Observation | None:
        hours = self.scan.params.windows[int(self.scan.p[:, row, judged].argmin())]
        start, end = self.window_of(judged, hours)
        if any(a.evidence.window_start < end and (a.resolved_at is None or a.resolved_at > start) for a in covered):
            return None
        facts = self.source.negative_facts(series, start, end, _FACTS)
        if not any(now - LATE_FRESH < fact.first_seen and fact.first_seen >= end for fact in facts):
            return None
        observation = self._observe(series, judged, judged, None)
        if observation.standing is not Standing.FIRE:
            return None
        return replace(observation, summary=f"Late news: {observation.summary}", note="late")

    def _observe(
        self, series: str, column: int, judged: int, alert: Alert | None, explains: bool = False
    ) -> Observation:
        row = self.row[series]
        scan = self.scan
        q = float(scan.q[row, judged])
        threshold = float(self.thresholds[judged])
        resolve_after = timedelta(hours=int(self.params["resolve_after_hours"]))
        held = int(self._last_held[row, column])
        if q > min(threshold * HOLD_FACTOR, 0.5):
            calm = timedelta(hours=(column - held) if held >= 0 else column + 24)
            return Observation(
                rule=self.rule.name,
                series=series,
                standing=Standing.CALM,
                calm_for=calm,
                resolve_after=resolve_after,
            )
        window = int(scan.p[:, row, judged].argmin())
        hours = scan.params.windows[window]
        n = round(float(scan.negative[window, row, judged]))
        mu = float(scan.expected[window, row, judged])
        p = float(scan.p[window, row, judged])
        fires = q <= threshold
        severity = self.rule.severity
        if severity is Severity.WARNING and q <= threshold * CRITICAL_FACTOR and n >= CRITICAL_EFFECT * mu:
            severity = Severity.CRITICAL
        known = alert is not None and n <= alert.evidence.negative
        if (
            known
            and alert is not None
            and not explains
            and (not fires or severity in (alert.severity, Severity.WARNING))
        ):
            return Observation(rule=self.rule.name, series=series, standing=Standing.HOLD)
        start, end = self.window_of(judged, hours)
        facts = self._read(series, start, end, n)
        old = [fact for fact in facts if not self._young(fact, end)]
        families = {family for fact in facts for family in fact.families}
        standing, note = Standing.FIRE if fires else Standing.HOLD, ""
        needed = min(int(self.params["min_families"]), self._known_families(series, start))
        if len(families) < needed:
            standing, note = Standing.HOLD, f"only {len(families)} publisher family"
        elif (
            fires
            and len(old) < len(facts)
            and self._old_speak(judged)
            and not self._enough(len(old), mu, p, q, threshold, row, judged, window)
        ):
            standing, note = Standing.HOLD, "publishers that are new here make the difference"
        evidence = self._evidence(series, row, judged, window, start, end, n, mu, p, q, threshold, facts, families)
        return Observation(
            rule=self.rule.name,
            series=series,
            standing=standing,
            severity=severity,
            summary=_words(n, hours, mu, len(families), p, start),
            evidence=evidence,
            story_ids=frozenset(fact.story_id for fact in facts),
            resolve_after=resolve_after,
            allowance=max(float(self.params["min_stories"]) - 1, float(self.params["min_effect"]) * mu),
            note=note,
        )

    def window_of(self, column: int, hours: int) -> tuple[datetime, datetime]:
        """The window that ends with the scan's hour `column`; the last hour only as far as it has gone."""
        last = self.scan.first + column
        start = self.scan.history.hour_at(last - hours + 1)
        return start, min(self.scan.history.hour_at(last + 1), max(self.scan.history.end, start + HOUR))

    def _read(self, series: str, start: datetime, end: datetime, count: int) -> list[StoryFact]:
        key = (series, start, end, count)
        if key not in self._facts:
            if len(self._facts) > 2000:
                self._facts.clear()
            self._facts[key] = self.source.negative_facts(series, start, end, _FACTS)
        return self._facts[key]

    def _known_families(self, series: str, start: datetime) -> int:
        """Publisher families that brought negative stories of the series in the month before the window; counted
        up to what the rule asks for."""
        key = (series, start.replace(hour=0, minute=0))
        if key not in self._families:
            if len(self._families) > 2000:
                self._families.clear()
            facts = self.source.negative_facts(series, key[1] - timedelta(days=30), key[1], _BASELINE_FACTS)
            known = {family for fact in facts for family in fact.families}
            if len(known) < int(self.params["min_families"]):  # a quiet series: what the store knows at large
                facts = self.source.negative_facts("all", key[1] - timedelta(days=30), key[1], _BASELINE_FACTS)
                known |= {family for fact in facts for family in fact.families}
            self._families[key] = max(1, len(known))
        return self._families[key]

    def _young(self, fact: StoryFact, end: datetime) -> bool:
        """Whether every publisher of the story came to the store lately: a feed that was just added can join a
        spike, but not make one."""
        return bool(fact.publishers) and all(
            (came := self._arrived.get(publisher)) is not None and end - came < YOUNG_PUBLISHER
            for publisher in fact.publishers
        )

    def _old_speak(self, judged: int) -> bool:
        """Whether the publishers that the baseline knows still bring a good part of the news. Where they do not (an
        archive, then feeds), the new ones are all there is, and are believed."""
        history, last = self.scan.history, self.scan.first + judged
        part = slice(max(0, last - 71), last + 1)
        rows = {n.removeprefix("publisher:"): r for r, n in enumerate(history.series) if n.startswith("publisher:")}
        end = history.hour_at(last + 1)
        young = {name for name, came in self._arrived.items() if end - came < YOUNG_PUBLISHER}
        came = {name: float(history.stories[row, part].sum()) for name, row in rows.items()}
        return sum(n for name, n in came.items() if name not in young) >= OLD_SHARE * sum(came.values())

    def _enough(
        self, n: int, mu: float, p: float, q: float, threshold: float, row: int, judged: int, window: int
    ) -> bool:
        if n < int(self.params["min_stories"]) or n < float(self.params["min_effect"]) * mu:
            return False
        phi = self._dispersion(row, judged, window)
        without = float(tail(np.array([float(n)]), np.array([mu]), np.array([phi]))[0])
        return q * without / max(p, 1e-30) <= threshold

    def _dispersion(self, row: int, judged: int, window: int) -> float:
        levels = self.scan.levels
        inside = int(self.scan.chosen[row])
        day = (self.scan.first + judged) // 24
        return float(levels.phi[levels.class_of[inside], window, day] + 1 / levels.alpha[inside, day])

    def _evidence(
        self,
        series: str,
        row: int,
        judged: int,
        window: int,
        start: datetime,
        end: datetime,
        n: int,
        mu: float,
        p: float,
        q: float,
        threshold: float,
        facts: list[StoryFact],
        families: set[str],
    ) -> Evidence:
        scan, hours = self.scan, self.scan.params.windows[window]
        history, levels = scan.history, scan.levels
        inside, last = int(scan.chosen[row]), scan.first + judged
        day = last // 24
        until = max(0, day - scan.params.gap_days)
        first = history.first_hour() or history.start
        began = max(0, until - _SAMPLE_DAYS)
        sample = history.negative[inside, began * 24 : until * 24].reshape(-1, 24).sum(axis=1)
        came = float(history.volume[max(0, last - hours + 1) : last + 1].sum())
        usual = float(levels.habit[day]) * hours
        return Evidence(
            window_start=start,
            window_end=end,
            window_hours=float(hours),
            stories=round(float(history.stories[inside, max(0, last - hours + 1) : last + 1].sum())),
            negative=n,
            expected=round(mu, 3),
            p_value=p,
            families=len(families),
            model_version=self.model_version,
            rule=rule_to_dict(self.rule),
            top=tuple(story_of_fact(fact) for fact in facts[:TOP_STORIES]),
            baseline={
                "from": max(first, history.start).isoformat(),
                "to": history.hour_at(until * 24).isoformat(),
                "days": int(levels.known_days[day]),
                "level_per_day": round(float(levels.rate[inside, day] * levels.habit[day] * 24), 4),
                "news_came": round(came, 1),
                "news_usual_flat": round(usual, 1),
                "dispersion": round(self._dispersion(row, judged, window), 4),
                "q_value": q,
                "threshold": threshold,
                "series_watched": len(scan.names),
                "daily_from": history.hour_at(began * 24).date().isoformat(),
                "daily_negative": [round(float(value), 2) for value in sample],
            },
        )

    def _unknown(self, series: str, note: str) -> Observation:
        return Observation(rule=self.rule.name, series=series, standing=Standing.UNKNOWN, note=note)


def story_of_fact(fact: StoryFact) -> dict[str, Any]:
    """A story as evidence keeps it; `watch` adds its articles."""
    return {
        "story_id": fact.story_id,
        "title": fact.title,
        "published": fact.published.isoformat(),
        "first_seen": fact.first_seen.isoformat(),
        "publishers": list(fact.publishers),
        "families": list(fact.families),
        "topics": list(fact.topics),
        "entities": list(fact.entities),
        "p_negative": round(fact.p_negative, 4),
        "articles": [],
    }


def _arrivals(scan: Scan) -> dict[str, datetime]:
    """When each publisher first counted, for those that came after the store's own first week."""
    history = scan.history
    first = history.first_hour()
    if first is None:
        return {}
    found = {}
    for row, name in enumerate(history.series):
        if not name.startswith("publisher:"):
            continue
        hours = np.flatnonzero(history.stories[row] > 0)
        if len(hours) and history.hour_at(int(hours[0])) - first > timedelta(days=7):
            found[name.removeprefix("publisher:")] = history.hour_at(int(hours[0]))
    return found


def _words(n: int, hours: int, mu: float, families: int, p: float, start: datetime) -> str:
    """What happened, how unusual it is, since when."""
    voices = "1 publisher family" if families == 1 else f"{families} publisher families"
    usual = f"{mu:.1f} were" if mu >= 0.05 else "fewer than 0.1 were"
    span = f"{hours} h" if hours % 24 or hours == 24 else f"{hours // 24} days"
    return (
        f"{n} negative stories in {span} where {usual} expected; {voices}; "
        f"p = {p:.1g}; since {start:%Y-%m-%d %H:%M} UTC"
    )
