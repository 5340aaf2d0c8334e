"""What a person can do on a page. Each action checks the role itself, right before it writes, and names the actor."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dashboard import context
from monitor import desk, promotion
from monitor.alerts.rules import rules_from_toml, validate
from monitor.domain import (
    ChannelConfig,
    Entity,
    Feed,
    NewFeed,
    ParsedFeed,
    PollResult,
    Rule,
    SendOutcome,
    Verdict,
)
from monitor.notify.kinds import validate as validate_channel
from monitor.notify.plan import QuietHours

# ── articles and alerts ──────────────────────────────────────────────────────────────────────────────────────────


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


def acknowledge(alert_id: int) -> None:
    actor = context.require("analyst")
    desk.acknowledge(context.app().store, alert_id, actor, context.now(), role=context.role())


def resolve(alert_id: int) -> None:
    actor = context.require("analyst")
    app = context.app()
    desk.resolve(app.store, alert_id, actor, context.now(), role=context.role(), links_base=app.settings.links_base)


def reopen(alert_id: int) -> None:
    actor = context.require("analyst")
    desk.reopen(context.app().store, alert_id, actor, context.now(), role=context.role())


def assign(alert_id: int, assignee: str) -> None:
    actor = context.require("analyst")
    desk.assign(context.app().store, alert_id, assignee, actor, context.now(), role=context.role())


def comment(alert_id: int, text: str) -> None:
    actor = context.require("analyst")
    desk.comment(context.app().store, alert_id, text, actor, context.now(), role=context.role())


def snooze(alert_id: int, span: timedelta) -> None:
    actor, now = context.require("analyst"), context.now()
    desk.snooze(context.app().store, alert_id, now + span, actor, now, role=context.role())


def judge_alert(alert_id: int, right: bool, reason: str = "") -> None:
    actor = context.require("analyst")
    app = context.app()
    desk.judge(
        app.store,
        alert_id,
        right,
        actor,
        context.now(),
        role=context.role(),
        reason=reason,
        links_base=app.settings.links_base,
    )


def silence(matcher: str, rule: str | None, start: datetime, end: datetime, note: str) -> None:
    actor = context.require("analyst")
    desk.silence(
        context.app().store, matcher, start, end, actor, context.now(), role=context.role(), rule=rule, note=note
    )


def end_silence(silence_id: int) -> None:
    actor = context.require("analyst")
    desk.end_silence(context.app().store, silence_id, actor, context.now(), role=context.role())


def switch_rule(rule: Rule, enabled: bool) -> None:
    actor = context.require("analyst")
    context.app().store.save_rule(validate(replace(rule, enabled=enabled)), actor, context.now())


def save_rules(toml: str) -> None:
    """Validate and store the rules of a TOML text. Raises `AlertError` that names the rule and the field."""
    actor = context.require("analyst")
    for rule in rules_from_toml(toml):
        context.app().store.save_rule(rule, actor, context.now())


# ── feeds and sample news ────────────────────────────────────────────────────────────────────────────────────────


def preview_feed(url: str) -> ParsedFeed:
    """What a feed would bring, without storing anything. Raises `FeedError`."""
    context.require("analyst")
    return context.app().check_feed(url)


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
    """One round over every feed that is on, by an app of its own: its story index is read afresh, so that stories
    join what the worker has stored since this process started."""
    context.require("analyst")
    from monitor.app import open_app

    with closing(open_app(context.app().settings)) as fresh:
        return list(fresh.poll(context.now()))


def add_default_feeds() -> int:
    context.require("analyst")
    return context.app().add_default_feeds(context.now())


def import_opml(path: Path) -> tuple[int, int]:
    context.require("analyst")
    return context.app().import_opml(path, context.now())


def add_sample_news() -> int:
    context.require("analyst")
    return context.app().add_sample_news(context.now())


def remove_sample_news() -> int:
    context.require("analyst")
    return context.app().remove_sample_news(context.now())


# ── watchlist ────────────────────────────────────────────────────────────────────────────────────────────────────


def save_entities(entities: list[Entity]) -> tuple[int, int]:
    """Insert or replace by name and match back; (saved, mentions found)."""
    context.require("analyst")
    return context.app().save_entities(entities, context.now())


def remove_entity(name: str) -> None:
    context.require("analyst")
    context.app().store.remove_entity(name, context.now())


# ── model and settings ───────────────────────────────────────────────────────────────────────────────────────────


def promote(version: str, override_reason: str) -> str:
    """Switch the live model through the gate, or past it for a reason; gives what happened in one line."""
    actor = context.require("admin")
    app = context.app()
    done = promotion.promote(
        app.store,
        version,
        actor,
        context.now(),
        role=context.role(),
        open_classifier=app.open_classifier,
        override_reason=override_reason,
    )
    return str(done)


def rollback(reason: str) -> str:
    actor = context.require("admin")
    app = context.app()
    done = promotion.rollback(
        app.store, actor, context.now(), role=context.role(), open_classifier=app.open_classifier, reason=reason
    )
    return str(done)


def save_channel(channel: ChannelConfig) -> None:
    """Validate and store a channel. Raises `DeliveryError` naming the option, never a secret."""
    actor = context.require("admin")
    context.app().store.save_channel(validate_channel(channel), actor, context.now())


def remove_channel(name: str) -> None:
    actor = context.require("admin")
    context.app().store.remove_channel(name, actor, context.now())


def test_channel(name: str) -> SendOutcome:
    context.require("analyst")
    return context.app().test_channel(name, context.now())


def resend(delivery_id: int) -> None:
    actor = context.require("analyst")
    context.app().store.resend(delivery_id, actor, context.now())


def save_quiet_hours(value: dict[str, Any]) -> None:
    """Validate and store the desk's quiet hours; empty switches them off. Raises `DeliveryError` naming the field."""
    actor = context.require("admin")
    QuietHours.from_setting(value)
    context.app().store.set_setting("quiet_hours", value, actor, context.now())
