"""What a person can do on a page. Each action says who acts and in which role; the use case checks it and writes."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dashboard import context
from monitor import desk, keeping, people, promotion, upkeep
from monitor.alerts.rules import rules_from_toml
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
from monitor.store.base import Store


def _store() -> Store:
    return context.app().store


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
    by = context.person()
    verdict = Verdict(
        subject=f"article:{article_id}",
        actor=by.name,
        at=context.now(),
        right=right,
        reason=reason,
        sentiment=sentiment,
        topics=topics,
        note=note.strip(),
    )
    upkeep.judge_article(_store(), verdict, by)


def acknowledge(alert_id: int) -> None:
    by = context.person()
    desk.acknowledge(_store(), alert_id, by.name, context.now(), role=by.role)


def resolve(alert_id: int) -> None:
    by, app = context.person(), context.app()
    desk.resolve(app.store, alert_id, by.name, context.now(), role=by.role, links_base=app.settings.links_base)


def reopen(alert_id: int) -> None:
    by = context.person()
    desk.reopen(_store(), alert_id, by.name, context.now(), role=by.role)


def assign(alert_id: int, assignee: str) -> None:
    by = context.person()
    desk.assign(_store(), alert_id, assignee, by.name, context.now(), role=by.role)


def comment(alert_id: int, text: str) -> None:
    by = context.person()
    desk.comment(_store(), alert_id, text, by.name, context.now(), role=by.role)


def snooze(alert_id: int, span: timedelta) -> None:
    by, now = context.person(), context.now()
    desk.snooze(_store(), alert_id, now + span, by.name, now, role=by.role)


def judge_alert(alert_id: int, right: bool, reason: str = "") -> None:
    by, app = context.person(), context.app()
    desk.judge(
        app.store,
        alert_id,
        right,
        by.name,
        context.now(),
        role=by.role,
        reason=reason,
        links_base=app.settings.links_base,
    )


def silence(matcher: str, rule: str | None, start: datetime, end: datetime, note: str) -> None:
    by = context.person()
    desk.silence(_store(), matcher, start, end, by.name, context.now(), role=by.role, rule=rule, note=note)


def end_silence(silence_id: int) -> None:
    by = context.person()
    desk.end_silence(_store(), silence_id, by.name, context.now(), role=by.role)


def switch_rule(rule: Rule, enabled: bool) -> None:
    upkeep.save_rules(_store(), [replace(rule, enabled=enabled)], context.person(), context.now())


def save_rule(rule: Rule) -> None:
    upkeep.save_rules(_store(), [rule], context.person(), context.now())


def remove_rule(name: str) -> None:
    upkeep.remove_rule(_store(), name, context.person(), context.now())


def save_rules(toml: str) -> None:
    """Validate and store the rules of a TOML text. Raises `AlertError` that names the rule and the field."""
    upkeep.save_rules(_store(), rules_from_toml(toml), context.person(), context.now())


# ── feeds and sample news ────────────────────────────────────────────────────────────────────────────────────────


def preview_feed(url: str) -> ParsedFeed:
    """What a feed would bring, without storing anything. Raises `FeedError`."""
    app = context.app()
    return upkeep.look_at_feed(app.store, url, app.check_feed, context.person(), context.now())


publisher_of, language_of = upkeep.publisher_of, upkeep.language_of


def add_feed(url: str, publisher: str, family: str, language: str) -> Feed:
    feed, _ = context.app().add_feed(
        NewFeed(url=url, publisher=publisher, family=family or publisher, language=language),
        context.now(),
        context.person(),
    )
    return feed


def set_feed_enabled(feed_id: int, enabled: bool) -> None:
    upkeep.set_feed_enabled(_store(), feed_id, enabled, context.person(), context.now())


def remove_feed(feed_id: int) -> None:
    upkeep.remove_feed(_store(), feed_id, context.person(), context.now())


def poll_now() -> list[PollResult]:
    """One round over every feed that is on, by an app of its own: its story index is read afresh, so that stories
    join what the worker has stored since this process started."""
    upkeep.may_poll(_store(), context.person(), context.now())
    from monitor.app import open_app

    with closing(open_app(context.app().settings)) as fresh:
        return list(fresh.poll(context.now()))


def add_default_feeds() -> int:
    return context.app().add_default_feeds(context.now(), context.person())


def import_opml(path: Path) -> tuple[int, int]:
    return context.app().import_opml(path, context.now(), context.person())


def add_sample_news() -> int:
    return context.app().add_sample_news(context.now(), context.person())


def remove_sample_news() -> int:
    return context.app().remove_sample_news(context.now(), context.person())


# ── watchlist ────────────────────────────────────────────────────────────────────────────────────────────────────


def save_entities(entities: list[Entity]) -> tuple[int, int]:
    """Insert or replace by name and match back; (saved, mentions found)."""
    return upkeep.save_entities(_store(), entities, context.person(), context.now())


def remove_entity(name: str) -> None:
    upkeep.remove_entity(_store(), name, context.person(), context.now())


# ── model and settings ───────────────────────────────────────────────────────────────────────────────────────────


def promote(version: str, override_reason: str) -> str:
    """Switch the live model through the gate, or past it for a reason; gives what happened in one line."""
    by, app = context.person(), context.app()
    done = promotion.promote(
        app.store,
        version,
        by.name,
        context.now(),
        role=by.role,
        open_classifier=app.open_classifier,
        override_reason=override_reason,
    )
    return str(done)


def rollback(reason: str) -> str:
    by, app = context.person(), context.app()
    done = promotion.rollback(
        app.store, by.name, context.now(), role=by.role, open_classifier=app.open_classifier, reason=reason
    )
    return str(done)


def save_channel(channel: ChannelConfig) -> None:
    """Validate and store a channel. Raises `DeliveryError` naming the option, never a secret."""
    upkeep.save_channel(_store(), channel, context.person(), context.now())


def remove_channel(name: str) -> None:
    upkeep.remove_channel(_store(), name, context.person(), context.now())


def test_channel(name: str) -> SendOutcome:
    return context.app().test_channel(name, context.now(), context.person())


def resend(delivery_id: int) -> None:
    upkeep.resend(_store(), delivery_id, context.person(), context.now())


def save_quiet_hours(value: dict[str, Any]) -> None:
    """Validate and store the desk's quiet hours; empty switches them off. Raises `DeliveryError` naming the field."""
    upkeep.save_quiet_hours(_store(), value, context.person(), context.now())


def grant(who: str, role: str) -> None:
    """Give a login a role, or take it back with an empty one. Raises `SettingsError` naming what is wrong."""
    people.grant(_store(), who, role, context.person(), context.now())


def save_retention(days: int) -> None:
    """How long articles are kept; 0 is for ever. Raises `SettingsError` for fewer days than alerts rest on."""
    keeping.save_retention(_store(), days, context.person(), context.now())


# ── results that are kept ────────────────────────────────────────────────────────────────────────────────────────


def keep_result(name: str, content: bytes) -> keeping.Kept:
    return keeping.keep(_store(), context.app().settings.home_path, name, content, context.person(), context.now())


def forget_result(name: str) -> None:
    keeping.forget(_store(), context.app().settings.home_path, name, context.person(), context.now())
