"""Words for people: one message from one or several deliveries of a group, cut to the limits of its channel.

A message says what happened, how unusual it is, since when, the top three stories, and where to look. What comes
from feeds is one line of plain text each; each channel sends it in a form that is not markup (see the channels).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from monitor.domain import Delivery, Message, SendReason, Severity
from monitor.notify.kinds import Kind, kind_of
from monitor.notify.plan import ALERTS_PATH, TOP_STORIES, Notice, TopStory
from monitor.notify.words import SEVERITY_ORDER, cut, cut_bytes, one_line, series_label

SUBJECT_LIMIT: Final = 150
TITLE_LIMIT: Final = 180
LISTED: Final = 10  # alerts of a grouped message that get a line of their own
LISTED_IN_DATA: Final = 200

MOST_TIMES: Final = 100  # beyond it the ratio says only that next to nothing was expected
_BEGAN: Final = re.compile(r"; since (\d{4}-\d\d-\d\d \d\d:\d\d UTC)\Z")

_REASON_WORDS: Final = {
    SendReason.FIRST: "opened",
    SendReason.WORSENED: "worsened",
    SendReason.ESCALATED: "escalated",
    SendReason.RESOLVED: "resolved",
    SendReason.REPEAT_DUE: "still open",
}


class _Entry:
    """One alert in a message: the newest word on it."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.notice = Notice.from_payload(delivery.payload)
        self.severity = Severity(self.notice.severity)
        self.reason = delivery.reason
        self.alert_id = delivery.alert_ids[0] if delivery.alert_ids else None

    @property
    def url(self) -> str | None:
        base = self.notice.links_base
        if not base:
            return None
        return f"{base}{ALERTS_PATH}" + (f"?alert={self.alert_id}" if self.alert_id is not None else "")

    @property
    def sort_key(self) -> tuple[int, int, float, str]:
        closed = self.reason is SendReason.RESOLVED
        return (int(closed), -SEVERITY_ORDER[self.severity], self.notice.p_value, self.notice.series)


def render(deliveries: Sequence[Delivery], kind: str) -> Message:
    """One message for a channel of this kind. All deliveries belong to one channel, group and due time.

    Several words on the same alert (opened, then resolved) become one entry. Raises `DeliveryError` for an unknown
    kind, ValueError for no deliveries; a payload that this version cannot read raises KeyError or TypeError.
    """
    if not deliveries:
        raise ValueError("nothing to render")
    spec = kind_of(kind)
    if deliveries[0].reason in (SendReason.DIGEST, SendReason.TEST):
        return _prepared(deliveries[0], spec)
    newest: dict[str, _Entry] = {}
    flapped = 0
    for delivery in sorted(deliveries, key=lambda one: (one.created, one.id)):
        entry = _Entry(delivery)
        flapped += entry.notice.series in newest
        newest[entry.notice.series] = entry
    entries = sorted(newest.values(), key=lambda entry: entry.sort_key)
    key = message_key(deliveries)
    message = _single(entries[0], key) if len(entries) == 1 else _grouped(entries, key)
    return _limited(message, spec)


def message_key(deliveries: Sequence[Delivery]) -> str:
    """The key of one delivery, or one derived from all of them; the same set gives the same key."""
    keys = sorted(delivery.key for delivery in deliveries)
    return keys[0] if len(keys) == 1 else hashlib.sha256("\x1f".join(keys).encode()).hexdigest()[:32]


def test_payload(links_base: str, now: datetime) -> dict[str, Any]:
    """What the test button sends, so that a person sees the channel works before an alert needs it."""
    return {
        "subject": "Headwind test message",
        "lines": [
            "This is a test. If you read it, alerts will reach you here.",
            f"Sent at {_when(now.isoformat())}.",
        ],
        "url": f"{links_base.rstrip('/')}{ALERTS_PATH}" if links_base else "",
    }


test_payload.__test__ = False  # type: ignore[attr-defined]  # pytest collects by name


# ── one alert ────────────────────────────────────────────────────────────────────────────────────────────────────


def _single(entry: _Entry, key: str) -> Message:
    notice = entry.notice
    label = one_line(series_label(notice.series))
    word = _REASON_WORDS[entry.reason]
    flag = "RESOLVED" if entry.reason is SendReason.RESOLVED else entry.severity.value.upper()
    what = _what(notice)
    lines = [f"{flag}: {label} ({one_line(notice.rule)}, {word})", "", f"What happened: {what}"]
    why = _why(entry)
    if why:
        lines.append(f"Why now: {why}")
    unusual = _unusual(notice)
    if unusual:
        lines.append(f"How unusual: {unusual}")
    lines.append(f"Since: {_since(notice)}")
    lines += _stories(notice.top)
    if entry.url:
        lines += ["", f"Details: {entry.url}"]
    return Message(
        key=key,
        subject=cut(f"[{flag}] {label}: {what}", SUBJECT_LIMIT),
        text="\n".join(lines),
        severity=entry.severity,
        url=entry.url,
        data=_data([entry], key),
    )


def _what(notice: Notice) -> str:
    if notice.kind == "spike":
        text = (
            f"{notice.negative} negative stories in {_hours(notice.window_hours)}, {_number(notice.expected)} expected"
        )
        return text + (f", from {_count(notice.families, 'publisher family', 'publisher families')}"
                       if notice.families else "")  # fmt: skip
    return cut(_BEGAN.sub("", one_line(notice.summary)), TITLE_LIMIT)


def _why(entry: _Entry) -> str:
    """What a spike's numbers do not say: who resolved it and why, or for how long nobody took it. The other kinds say
    so in their summary."""
    summary = one_line(entry.notice.summary)
    split = {SendReason.RESOLVED: " It was: ", SendReason.ESCALATED: ". "}.get(entry.reason)
    if entry.notice.kind != "spike" or split is None or split not in summary:
        return ""
    return cut(summary.partition(split)[0].rstrip("."), TITLE_LIMIT)


def _unusual(notice: Notice) -> str:
    """The tail probability as odds, which people read better, and the number itself."""
    if notice.kind != "spike" or not 0.0 <= notice.p_value < 1.0:
        return ""
    if notice.p_value < 1e-9:
        odds = "less than one window in a billion would bring this by chance"
    else:
        odds = f"about one window in {round(1 / notice.p_value):,} would bring this by chance"
    ratio = notice.negative / notice.expected if notice.expected > 0 else 0.0
    told = f"more than {MOST_TIMES}" if ratio > MOST_TIMES else f"{ratio:.1f}"
    times = f"; {told} times the expected number" if ratio else ""
    return f"{odds} (p = {notice.p_value:.2g}){times}"


def _since(notice: Notice) -> str:
    began = _BEGAN.search(one_line(notice.summary)) if notice.kind != "spike" else None
    window = f"{_when(notice.window_start)} (window to {_when(notice.window_end)})"
    if began is not None:  # the first story itself, not the start of the hours looked at
        window = f"{began[1]} (window of {_hours(notice.window_hours)} to {_when(notice.window_end)})"
    return f"{window}; alert open since {_when(notice.opened_at)}" if notice.opened_at else window


def _stories(top: Sequence[TopStory]) -> list[str]:
    lines = ["", "Top stories:"] if top else []
    for number, story in enumerate(top[:TOP_STORIES], 1):
        publisher = f" ({cut(one_line(story.publisher), 60)})" if story.publisher else ""
        lines.append(f"{number}. {cut(one_line(story.title), TITLE_LIMIT)}{publisher}")
        if _is_link(story.url):
            lines.append(f"   {one_line(story.url)}")
    return lines


# ── several alerts ───────────────────────────────────────────────────────────────────────────────────────────────


def _grouped(entries: Sequence[_Entry], key: str) -> Message:
    first = entries[0]
    base = first.notice.links_base
    url = f"{base}{ALERTS_PATH}" if base else None
    severity = max((entry.severity for entry in entries), key=SEVERITY_ORDER.__getitem__)
    counts = Counter(_REASON_WORDS[entry.reason] for entry in entries)
    told = ", ".join(f"{counts[word]:,} {word}" for word in _REASON_WORDS.values() if counts[word])
    rule = one_line(first.notice.rule)
    lines = [f"{severity.value.upper()}: {len(entries):,} alerts of {rule} ({told})", ""]
    for entry in entries[:LISTED]:
        label = cut(one_line(series_label(entry.notice.series)), 80)
        lines.append(f"- {label} [{entry.severity.value}, {_REASON_WORDS[entry.reason]}]: {_what(entry.notice)}")
        if entry.url and entry.alert_id is not None:
            lines.append(f"  {entry.url}")
    if len(entries) > LISTED:
        lines.append(f"… and {len(entries) - LISTED:,} more")
    lines += _stories(_top_of(entries))
    since = min(entry.notice.window_start for entry in entries)
    lines += ["", f"Since: {_when(since)}"]
    if url:
        lines.append(f"All alerts: {url}")
    names = ", ".join(one_line(series_label(entry.notice.series)) for entry in entries[:3])
    more = f" and {len(entries) - 3:,} more" if len(entries) > 3 else ""
    return Message(
        key=key,
        subject=cut(f"[{severity.value.upper()}] {len(entries):,} alerts of {rule}: {names}{more}", SUBJECT_LIMIT),
        text="\n".join(lines),
        severity=severity,
        url=url,
        data=_data(entries, key),
    )


def _top_of(entries: Sequence[_Entry]) -> list[TopStory]:
    stories: dict[str, TopStory] = {}
    for rank in range(TOP_STORIES):
        for entry in entries[:LISTED]:
            if rank < len(entry.notice.top) and entry.reason is not SendReason.RESOLVED:
                story = entry.notice.top[rank]
                stories.setdefault(one_line(story.title), story)
    return list(stories.values())[:TOP_STORIES]


# ── digest and test: the lines are written by whoever planned them ─────────────────────────────────────────────────


def _prepared(delivery: Delivery, spec: Kind) -> Message:
    payload = delivery.payload
    url = str(payload.get("url") or "") or None
    lines = [one_line(line) if line.strip() else "" for line in payload["lines"]]
    indented = [
        f"   {text}" if line.startswith("   ") else text for line, text in zip(payload["lines"], lines, strict=True)
    ]
    if url:
        indented += ["", f"Open Headwind: {url}"]
    message = Message(
        key=delivery.key,
        subject=cut(one_line(payload["subject"]), SUBJECT_LIMIT),
        text="\n".join(indented),
        severity=Severity.INFO,
        url=url,
        data={"version": 1, "key": delivery.key, "type": delivery.reason.value, "count": 0, "alerts": [], "omitted": 0,
              "url": url, "digest": payload.get("data", {})},
    )  # fmt: skip
    return _limited(message, spec)


# ── the structured form ──────────────────────────────────────────────────────────────────────────────────────────


def _data(entries: Sequence[_Entry], key: str) -> dict[str, Any]:
    listed = entries[:LISTED_IN_DATA]
    return {
        "version": 1,
        "key": key,
        "type": "alerts",
        "count": len(entries),
        "omitted": len(entries) - len(listed),
        "url": listed[0].url if len(entries) == 1 else None,
        "alerts": [_alert_data(entry) for entry in listed],
    }


def _alert_data(entry: _Entry) -> dict[str, Any]:
    notice = entry.notice
    return {
        "id": entry.alert_id,
        "delivery_key": entry.delivery.key,
        "reason": entry.reason.value,
        "rule": notice.rule,
        "kind": notice.kind,
        "series": notice.series,
        "severity": notice.severity,
        "summary": one_line(notice.summary),
        "at": notice.at,
        "opened_at": notice.opened_at,
        "window": {"start": notice.window_start, "end": notice.window_end, "hours": notice.window_hours},
        "stories": notice.stories,
        "negative": notice.negative,
        "expected": _finite(notice.expected),
        "p_value": _finite(notice.p_value),
        "families": notice.families,
        "model_version": notice.model_version,
        "repeat": notice.repeat,
        "top": [
            {"title": one_line(story.title), "publisher": one_line(story.publisher), "url": story.url}
            for story in notice.top
        ],
        "url": entry.url,
    }


# ── small words ──────────────────────────────────────────────────────────────────────────────────────────────────


def _limited(message: Message, spec: Kind) -> Message:
    """Cut from the end, but keep the last line when it is the link: without it nobody finds the alert."""
    fit = cut_bytes if spec.bytes_limit else cut
    size = len(message.text.encode("utf-8", "replace")) if spec.bytes_limit else len(message.text)
    if size <= spec.limit:
        return message
    tail = f"\n{message.url}" if message.url else ""
    room = spec.limit - (len(tail.encode()) if spec.bytes_limit else len(tail))
    return Message(
        key=message.key,
        subject=message.subject,
        text=fit(message.text, room) + tail,
        severity=message.severity,
        url=message.url,
        data=message.data,
    )


def _when(iso: str) -> str:
    return datetime.fromisoformat(iso).strftime("%Y-%m-%d %H:%M UTC")


def _hours(hours: float) -> str:
    return f"{hours:g} h"


def _number(value: float) -> str:
    if 0 < value < 0.05:
        return "fewer than 0.1"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _is_link(url: str) -> bool:
    return url.startswith(("http://", "https://"))
