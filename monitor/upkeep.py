"""Use case: what people change that is no alert: feeds, the watchlist, verdicts on articles, rules, channels.

Each step is checked against the role, written, and audited under the name of whoever took it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from monitor.alerts.rules import validate as validate_rule
from monitor.domain import ChannelConfig, Entity, Feed, NewFeed, ParsedFeed, Rule, Verdict
from monitor.errors import FeedError
from monitor.mentions import rematch
from monitor.notify.kinds import validate as validate_channel
from monitor.notify.plan import QuietHours
from monitor.people import Person, allow
from monitor.redaction import redact
from monitor.store.base import Store
from monitor.text.language import detect_language, main_language

QUIET_HOURS: Final = "quiet_hours"
_LOOKED_AT: Final = 100
_NO_NAMES: Final = """
    a all and articles business channel feed feeds finance financial for from headlines home homepage in latest market
    markets media most new news of online our page press recent releases rss stories the today top untitled updates web
    world xml 新闻 最新 资讯 财经 头条 首页 要闻 快讯 最新消息 新闻中心
    """
_SAYS_NOTHING: Final = frozenset(_NO_NAMES.split())

# ── feeds ────────────────────────────────────────────────────────────────────────────────────────────────────────


def look_at_feed(store: Store, url: str, check: Callable[[str], ParsedFeed], by: Person, now: datetime) -> ParsedFeed:
    """What a feed would bring, without storing anything: an address is fetched, so not for everybody."""
    allow(store, by, "analyst", "look at a feed", now)
    return check(url)


def may_poll(store: Store, by: Person, now: datetime) -> None:
    """Before a round by hand. Raises `NotAllowedError`."""
    allow(store, by, "analyst", "poll the feeds", now)


def add_feed(
    store: Store, feed: NewFeed, check: Callable[[str], ParsedFeed], by: Person, now: datetime
) -> tuple[Feed, ParsedFeed]:
    """Check the address, fill in what the feed says of itself, and store it. Raises `FeedError`."""
    allow(store, by, "analyst", "add a feed", now)
    preview = check(feed.url)
    publisher = feed.publisher or publisher_of(preview, feed.url)
    filled = replace(
        feed,
        title=feed.title or preview.title or publisher,
        publisher=publisher,
        family=feed.family or publisher,
        language=feed.language or language_of(preview),
    )
    added = store.add_feed(filled, now)
    store.append_audit(by.name, "feed.add", redact(added.url), {"publisher": added.publisher}, now)
    return added, preview


def publisher_of(feed: ParsedFeed, url: str) -> str:
    """Who writes a feed, by its title; by its host where the title is "News", which says nothing of who that is."""
    words = re.findall(r"\w+", feed.title.casefold())
    if any(word not in _SAYS_NOTHING and not word.isdigit() for word in words):
        return feed.title
    return (urlsplit(url).hostname or url).removeprefix("www.")


def language_of(feed: ParsedFeed) -> str:
    """The language of most items, in two letters: a feed may say nothing of it, or something else."""
    stated = feed.language if feed.language and len(feed.language) == 2 else "en"
    texts = [f"{draft.title} {draft.summary}" for draft in feed.drafts[:_LOOKED_AT]] or [feed.title]
    return main_language([detect_language(text, stated=stated) for text in texts], stated)


def add_missing_feeds(store: Store, feeds: Sequence[NewFeed], by: Person, now: datetime) -> int:
    """Store those that are not there yet, unchecked; gives how many."""
    allow(store, by, "analyst", "add feeds", now)
    known = {feed.url for feed in store.feeds()}
    fresh = [feed for feed in feeds if feed.url not in known]
    for feed in fresh:
        store.add_feed(feed, now)
    if fresh:
        urls = [redact(one.url) for one in fresh[:200]]
        store.append_audit(by.name, "feed.add", f"{len(fresh)} feeds", {"urls": urls}, now)
    return len(fresh)


def set_feed_enabled(store: Store, feed_id: int, enabled: bool, by: Person, now: datetime) -> None:
    allow(store, by, "analyst", "pause or resume a feed", now)
    feed = _feed(store, feed_id)
    store.set_feed_enabled(feed_id, enabled, f"by {by.name}", now)
    store.append_audit(by.name, "feed.resume" if enabled else "feed.pause", redact(feed.url), {}, now)


def remove_feed(store: Store, feed_id: int, by: Person, now: datetime) -> None:
    """Forget the feed; its articles stay."""
    allow(store, by, "analyst", "remove a feed", now)
    feed = _feed(store, feed_id)
    store.remove_feed(feed_id)
    store.append_audit(by.name, "feed.remove", redact(feed.url), {"publisher": feed.publisher}, now)


def _feed(store: Store, feed_id: int) -> Feed:
    found = store.feed(feed_id)
    if found is None:
        raise FeedError(f"there is no feed {feed_id}; it may have been removed meanwhile")
    return found


# ── watchlist and verdicts ───────────────────────────────────────────────────────────────────────────────────────


def save_entities(store: Store, entities: Sequence[Entity], by: Person, now: datetime) -> tuple[int, int]:
    """Insert or replace by name, and match back over the store; gives (saved, mentions found). A name that differs in
    case only is the same company, and stays as the store spells it."""
    allow(store, by, "analyst", "change the watchlist", now)
    names = [entity.name for entity in store.entities()]
    spelt = {name.casefold(): name for name in names} | {name: name for name in names}
    saved = [
        store.save_entity(
            replace(entity, name=spelt.get(entity.name) or spelt.get(entity.name.casefold(), entity.name)), now
        )
        for entity in entities
    ]
    found = rematch(store, saved)
    store.append_audit(
        by.name, "watchlist.save", f"{len(saved)} companies", {"names": [e.name for e in saved][:200]}, now
    )
    return len(saved), found


def remove_entity(store: Store, name: str, by: Person, now: datetime) -> None:
    allow(store, by, "analyst", "change the watchlist", now)
    store.remove_entity(name, now)
    store.append_audit(by.name, "watchlist.remove", name, {}, now)


def judge_article(store: Store, verdict: Verdict, by: Person) -> None:
    """An analyst's verdict on an article's labels; it becomes a labelled row."""
    allow(store, by, "analyst", "judge an article", verdict.at)
    store.save_verdict(replace(verdict, actor=by.name))


# ── rules, channels, quiet hours, dead letters ───────────────────────────────────────────────────────────────────


def save_rules(store: Store, rules: Sequence[Rule], by: Person, now: datetime) -> None:
    """All or none. Raises `AlertError` that names the rule and the field."""
    allow(store, by, "analyst", "change a rule", now)
    for rule in [validate_rule(rule) for rule in rules]:
        store.save_rule(rule, by.name, now)


def remove_rule(store: Store, name: str, by: Person, now: datetime) -> None:
    """Its open alerts resolve at the next evaluation; alerts of the past keep the rule as it was."""
    allow(store, by, "analyst", "remove a rule", now)
    store.remove_rule(name, by.name, now)


def save_channel(store: Store, channel: ChannelConfig, by: Person, now: datetime) -> None:
    """Raises `DeliveryError` naming the option, never a secret."""
    allow(store, by, "admin", "change a channel", now)
    store.save_channel(validate_channel(channel), by.name, now)


def remove_channel(store: Store, name: str, by: Person, now: datetime) -> None:
    allow(store, by, "admin", "remove a channel", now)
    store.remove_channel(name, by.name, now)


def save_quiet_hours(store: Store, value: dict[str, Any], by: Person, now: datetime) -> None:
    """The desk's quiet hours; empty switches them off. Raises `DeliveryError` naming the field."""
    allow(store, by, "admin", "change the quiet hours", now)
    QuietHours.from_setting(value)
    store.set_setting(QUIET_HOURS, value, by.name, now)


def resend(store: Store, delivery_id: int, by: Person, now: datetime) -> None:
    allow(store, by, "analyst", "send a message again", now)
    store.resend(delivery_id, by.name, now)
