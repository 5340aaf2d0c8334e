"""One alert: how unusual it is, the stories it rests on, its time line, and the steps a person can take."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import actions, alertwords, charts, context, markup, palette, times, widgets
from dashboard.i18n import Words
from dashboard.queries import Reads
from dashboard.safe import safe_link
from dashboard.said import said
from dashboard.times import DAY, HOUR, Span
from monitor import desk
from monitor.alerts.evidence import evidence_html, evidence_json
from monitor.domain import Alert, AlertState, Evidence, RuleKind

SNOOZES: Final = {"1h": timedelta(hours=1), "4h": timedelta(hours=4), "1d": timedelta(days=1), "7d": timedelta(days=7)}


REASONS: Final = tuple(reason for reason in desk.REASONS if reason)


def alert_pane(alert: Alert, reads: Reads) -> None:
    words, zone = context.words(), context.zone()
    evidence = alert.evidence
    told, stored = alertwords.summary(alert, words), said(alert.summary, words)
    with st.container(border=True):
        sign = palette.SEVERITY_MARK[alert.severity]
        st.html(
            markup.headline(f"{sign} {words.series(alert.series)}")
            + markup.dim(
                " · ".join(
                    part
                    for part in (
                        words(f"severity.{alert.severity}"),
                        words(f"state_of.{alert.state}"),
                        words("alerts.opened", at=times.moment(alert.opened_at, zone)),
                        words("alerts.resolved_at", at=times.moment(alert.resolved_at, zone))
                        if alert.resolved_at
                        else "",
                        words("alerts.assigned", name=alert.assignee) if alert.assignee else "",
                        words("alerts.snoozed", at=times.moment(alert.snoozed_until, zone))
                        if alert.snoozed_until and alert.snoozed_until > context.now()
                        else "",
                        words("alerts.explained", id=alert.inhibited_by) if alert.inhibited_by else "",
                        words("alerts.false_alarm") if alert.verdict == "false_alarm" else "",
                    )
                    if part
                )
            )
            + markup.paragraph(told)
            + (markup.dim(stored) if alert.evidence.rule.get("kind") == RuleKind.QUIET and stored != told else "")
        )
        _steps(alert, words)
        _measure(alert, words, reads)
        evidence_stories(evidence, words)
        with st.expander(words("alerts.rests_on")):
            st.html(markup.facts(evidence_facts(evidence, words)))
        _timeline(alert, words, reads)
        with st.container(horizontal=True):
            for form, mime in (("json", "application/json"), ("html", "text/html")):
                st.download_button(
                    words("alerts.export", form=form.upper()),
                    data=partial(evidence_file, alert, reads, form),
                    file_name=f"headwind-alert-{alert.id}.{form}",
                    mime=mime,
                    type="tertiary",
                    icon=":material/download:",
                    on_click="ignore",
                    key=f"alerts.export.{form}",
                )


def evidence_file(alert: Alert, reads: Reads, kind: str) -> bytes:
    """The alert with its frozen evidence, time line and verdicts, as `json` or as a page of its own (`html`)."""
    told = (reads.events(alert.id), reads.verdicts(f"alert:{alert.id}"))
    if kind == "html":
        return evidence_html(alert, *told).encode()
    return json.dumps(evidence_json(alert, *told), ensure_ascii=False, indent=2).encode()


def _steps(alert: Alert, words: Words) -> None:
    if not context.may("analyst"):
        st.html(markup.dim(words("alerts.read_only")))
        return
    live = alert.state is not AlertState.RESOLVED
    with st.container(horizontal=True, gap="small"):
        if live and alert.state is not AlertState.ACKNOWLEDGED:
            _button(alert, words, "acknowledge", "primary", actions.acknowledge)
        if live:
            _button(alert, words, "resolve", "secondary", actions.resolve)
            with st.popover(words("alerts.snooze")):
                for name, span in SNOOZES.items():
                    if st.button(words(f"snooze.{name}"), key=f"snooze.{alert.id}.{name}", width="stretch"):
                        actions.snooze(alert.id, span)
                        _done(words, "snooze")
        else:
            _button(alert, words, "reopen", "secondary", actions.reopen)
        with st.popover(words("alerts.assign")), st.form(f"assign.{alert.id}", border=False):
            name = st.text_input(words("alerts.assignee"), value=alert.assignee or context.actor(), max_chars=100)
            if st.form_submit_button(words("alerts.assign")):
                actions.assign(alert.id, name)
                _done(words, "assign")
        with st.popover(words("alerts.comment")), st.form(f"comment.{alert.id}", border=False, clear_on_submit=True):
            note = st.text_area(words("alerts.comment_label"), max_chars=2000)
            if st.form_submit_button(words("alerts.comment_save")) and note.strip():
                actions.comment(alert.id, note)
                _done(words, "comment")
        with st.popover(words("alerts.judge")):
            if st.button(words("alerts.was_right"), key=f"judge.right.{alert.id}", width="stretch"):
                actions.judge_alert(alert.id, True)
                _done(words, "verdict")
            with st.form(f"judge.false.{alert.id}", border=False):
                reason = st.selectbox(
                    words("verdict.reason"), REASONS, format_func=lambda name: words(f"reason.{name}")
                )
                if st.form_submit_button(words("alerts.was_false"), width="stretch"):
                    actions.judge_alert(alert.id, False, reason)
                    _done(words, "verdict")


def _button(alert: Alert, words: Words, kind: str, look: Any, action: Callable[[int], None]) -> None:
    if st.button(words(f"alerts.{kind}"), key=f"{kind}.{alert.id}", type=look):
        action(alert.id)
        _done(words, kind)


def _done(words: Words, kind: str) -> None:
    st.toast(words("alerts.done", step=words(f"event.{kind}")))
    st.rerun()


def _measure(alert: Alert, words: Words, reads: Reads) -> None:
    """How many and, where a statistic judged it, how many were expected, how unlikely; the days before as a chart."""
    evidence = alert.evidence
    figures = [("negative", f"{evidence.negative:,}"), ("families", f"{evidence.families:,}")]
    if evidence.from_statistic:
        figures.insert(1, ("expected", alertwords.expected(evidence.expected)))
    for column, (name, value) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(words(f"alerts.{name}"), value, border=True)
    window = timedelta(hours=evidence.window_hours)
    step = DAY if window >= DAY else max(HOUR, window / 2)
    span = Span(start=evidence.window_start - (21 * DAY if step == DAY else 7 * DAY), end=evidence.window_end + window)
    frame = reads.trend(alert.series, span, step=step)
    if not frame["stories"].sum():
        return
    shown = frame.assign(time=widgets.local(frame["time"], step))
    zone = context.zone()
    inside = tuple(
        at.astimezone(zone).replace(tzinfo=None)
        for at in (times.floor(evidence.window_start, step), evidence.window_end)
    )
    title, note, per_step = words("alerts.chart_days"), "", None
    if evidence.from_statistic:
        title = words(
            "alerts.chart_title",
            negative=evidence.negative,
            hours=f"{evidence.window_hours:g}",
            expected=alertwords.expected(evidence.expected),
        )
        note = words("alerts.chance", p=alertwords.chance(evidence.p_value))
        per_step = evidence.expected * step / window if evidence.window_hours else None
    table = shown[["time", "negative", "stories"]].rename(
        columns={name: words(f"column.{name}") for name in ("time", "negative", "stories")}
    )
    widgets.chart(
        title,
        charts.evidence_hours(shown, (inside[0], inside[1]), step, per_step, words),
        table,
        key=f"alerts.chart.{alert.id}",
        note=note,
    )
    st.html(markup.dim(words("alerts.chart_note", at=times.moment(min(evidence.window_end, context.now()), zone))))


def evidence_stories(evidence: Evidence, words: Words) -> None:
    if not evidence.top:
        return
    widgets.title(words("alerts.stories", n=len(evidence.top)))
    st.html("".join(_story(story, words) for story in evidence.top[:8]))
    if len(evidence.top) > 8:
        with st.expander(words("alerts.more_stories", n=len(evidence.top) - 8)):
            st.html("".join(_story(story, words) for story in evidence.top[8:60]))


def _story(story: dict[str, Any], words: Words) -> str:
    """A frozen story; its first article with a usable link is the one behind the title."""
    articles = [article for article in story.get("articles", ()) if isinstance(article, dict)]
    link = next((safe_link(article.get("url")) for article in articles if safe_link(article.get("url"))), None)
    publishers = story.get("publishers") or [article.get("publisher", "") for article in articles]
    names = words("count.comma").join(str(name) for name in list(publishers)[:4])
    count = words("count.articles", n=len(articles) or story.get("count", 1))
    detail = " · ".join((alertwords.moment(story.get("published")), names, count))
    return markup.story_line(str(story.get("title", "")), detail, link, "negative")


def evidence_facts(evidence: Evidence, words: Words) -> list[tuple[str, str]]:
    zone = context.zone()
    baseline = evidence.baseline
    pairs = [
        (
            words("alerts.window"),
            f"{times.moment(evidence.window_start, zone)} – {times.moment(evidence.window_end, zone)}",
        ),
        (words("alerts.all_stories"), f"{evidence.stories:,}"),
        *([(words("alerts.p_value"), alertwords.chance(evidence.p_value))] if evidence.from_statistic else []),
        (words("alerts.model"), evidence.model_version),
    ]
    for name, value in baseline.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            pairs.append((words(f"baseline.{name}") if words.has(f"baseline.{name}") else name, f"{value:,.4g}"))
        elif name == "span" and isinstance(value, list | tuple):
            pairs.append((words("baseline.span"), " – ".join(alertwords.moment(at) for at in value)))
        elif isinstance(value, str):
            shown = (
                alertwords.rule_value(name, value, words)
                if name in (*alertwords.NAMED, "explained_by")
                else alertwords.moment(value)
            )
            pairs.append((words(f"baseline.{name}") if words.has(f"baseline.{name}") else name, shown))
    pairs.extend(
        (f"{words('column.rule')}: {alertwords.rule_field(name, words)}", alertwords.rule_value(name, value, words))
        for name, value in evidence.rule.items()
    )
    return pairs


def _timeline(alert: Alert, words: Words, reads: Reads) -> None:
    events = reads.events(alert.id)
    if not events:
        return
    widgets.title(words("alerts.timeline"))
    zone = context.zone()
    table = pd.DataFrame(
        {
            words("column.time"): [times.moment(event.at, zone) for event in events],
            words("column.event"): [
                words(f"event.{event.kind}") if words.has(f"event.{event.kind}") else event.kind for event in events
            ],
            words("column.actor"): [alertwords.actor(event, words) for event in events],
            words("column.note"): [alertwords.step(event, words) for event in events],
        }
    )
    widths = {"time": 118, "event": 96, "actor": 64, "note": 244}
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        height=widgets.table_height(len(events), 300, 35),
        column_config={
            words(f"column.{name}"): st.column_config.TextColumn(width=width) for name, width in widths.items()
        },
    )
