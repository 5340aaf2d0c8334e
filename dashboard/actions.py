"""What a person can do on a page. Each action checks the role itself, right before it writes, and names the actor."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from dashboard import context
from monitor.alerts.rules import rules_from_toml
from monitor.domain import Alert, AlertState, Feed, NewFeed, ParsedFeed, PollResult, Rule, Silence, Verdict
from monitor.errors import FeedError


def judge_article(
    article_id: int,
    *,
    right: bool,
    reason: str = "",
    sentiment: str | None = None,
    topics: tuple[str, ...] = (),
    note: str = "",
) -> None:
    """Store an analyst's verdict on an article's labels; it becomes a labelled row."""
    actor = context.require("analyst")
    context.app().store.save_verdict(
        Verdict(
            subject=f"article:{article_id}",
            actor=actor,
            at=context.now(),
            right=right,
            reason=reason,
            sentiment=sentiment,
            topics=topics,
            note=note.strip(),
        )
    )


def change_alert(
    alert_id: int,
    kind: str,
    *,
    note: str = "",
    state: AlertState | None = None,
    assignee: str | None = None,
    snooze: timedelta | None = None,
    verdict: str | None = None,
) -> Alert:
    """One step of an alert's life by a person: acknowledge, assign, comment, snooze, resolve, reopen, verdict."""
    actor = context.require("analyst")
    now = context.now()
    return context.app().store.change_alert(
        alert_id,
        kind=kind,
        actor=actor,
        now=now,
        note=note.strip(),
        state=state,
        assignee=assignee,
        snoozed_until=now + snooze if snooze else None,
        verdict=verdict,
    )


def silence(matcher: str, rule: str | None, start: datetime, end: datetime, note: str) -> Silence:
    actor = context.require("analyst")
    return context.app().store.save_silence(
        Silence(id=0, matcher=matcher, rule=rule, start=start, end=end, actor=actor, note=note.strip()), context.now()
    )


def end_silence(silence_id: int) -> None:
    actor = context.require("analyst")
    context.app().store.end_silence(silence_id, actor, context.now())


def resend(delivery_id: int) -> None:
    actor = context.require("analyst")
    context.app().store.resend(delivery_id, actor, context.now())


def switch_rule(rule: Rule, enabled: bool) -> None:
    actor = context.require("analyst")
    context.app().store.save_rule(replace(rule, enabled=enabled), actor, context.now())


def save_rules(toml: str) -> None:
    """Validate and store the rules of a TOML text. Raises `AlertError` that names the rule and the field."""
    actor = context.require("analyst")
    for rule in rules_from_toml(toml):
        context.app().store.save_rule(rule, actor, context.now())


def preview_feed(url: str) -> ParsedFeed:
    """What a feed would bring, without storing anything. Raises `FeedError`."""
    context.require("analyst")
    for _, answer in context.app().check_feeds([url]):
        if isinstance(answer, FeedError):
            raise answer
        return answer
    raise FeedError(f"{url}: no answer")


def add_feed(url: str, publisher: str, family: str, language: str) -> Feed:
    context.require("analyst")
    feed, _ = context.app().add_feed(
        NewFeed(url=url, publisher=publisher, family=family or publisher, language=language), context.now()
    )
    return feed


def set_feed_enabled(feed_id: int, enabled: bool) -> None:
    actor = context.require("analyst")
    context.app().store.set_feed_enabled(feed_id, enabled, f"by {actor}", context.now())


def remove_feed(feed_id: int) -> None:
    context.require("analyst")
    context.app().store.remove_feed(feed_id)


def poll_now() -> list[PollResult]:
    context.require("analyst")
    return context.app().poll_now(context.now())


def import_opml(path: Path) -> tuple[int, int]:
    context.require("analyst")
    return context.app().import_opml(path, context.now())


def add_sample_news() -> None:
    context.require("analyst")
    context.app().add_sample_news(context.now())


def remove_sample_news() -> int:
    context.require("analyst")
    return context.app().remove_sample_news()
