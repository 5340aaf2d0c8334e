"""The use case "take in news": feeds → bytes → drafts → articles with story and mentions → store.

Everything happens as it completes: while one feed hangs, others are fetched, parsed and stored. The failure of one
feed is a value in its `PollResult`; nothing that a feed does ends the round.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from monitor.domain import (
    ArticleDraft,
    DateQuality,
    Feed,
    FeedState,
    Fetched,
    NewArticle,
    ParsedFeed,
    PollRecord,
    PollResult,
)
from monitor.entities.matcher import Matcher
from monitor.errors import FeedError, StoreBusyError, StoreError
from monitor.feeds.cadence import after_failure, after_success, batches, habit, pace, state_of
from monitor.feeds.dating import settle_date
from monitor.feeds.defaults import UNVERIFIED
from monitor.feeds.fetch import Fetcher
from monitor.feeds.identity import identity_candidates
from monitor.feeds.parser import ParserPool
from monitor.feeds.stories import REMEMBERED, Item, StoryIndex
from monitor.mentions import Watched
from monitor.store.base import Store
from monitor.text.language import detect_language, main_language

_TOGETHER = 100  # polls of one transaction
_DOCUMENTS = 8  # and documents, where so many wait: the transaction stays short
_FAR = 20_000  # articles behind: from here reading the last days is quicker than reading what was added
PATIENCE_S = 180.0  # without any event of a round; fetching ends within 20 s, parsing within seconds of its turn


def catch_up(store: Store, index: StoryIndex, now: datetime) -> None:
    """Tell the index what it has not heard of: after a start the stories of the last days, then what other processes
    (a poll or an import from the command line) have stored meanwhile. To be called while `store.ingesting()`."""
    newest = store.newest_article()
    if newest == index.newest:
        return
    since = now - REMEMBERED
    far = index.newest == 0 or newest - index.newest > _FAR
    index.prime(store.recent_articles(since) if far else store.articles_after(index.newest, since))
    index.newest = newest


def poll_due(
    store: Store,
    fetcher: Fetcher,
    parser: ParserPool,
    index: StoryIndex,
    now: datetime,
    feeds: Sequence[Feed] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[PollResult]:
    """Poll what is due (or the named feeds) and store what is new. Yields a result per feed as it completes.

    When `stopped` says so, feeds that are not yet stored are left for the next round; nothing of them is lost.
    """
    waiting = list(store.due_feeds(now) if feeds is None else feeds)
    if not waiting:
        return
    index.forget_before(now - REMEMBERED)
    watched = Watched(store)
    events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
    fetching = fetcher.start(waiting, now, lambda feed, outcome: events.put(_Event(feed, outcome)))
    # Written together when there is a moment or there are many: polls that brought nothing, and documents that wait.
    quiet: list[_Event] = []
    parsed: list[_Event] = []
    try:
        left = {feed.id: feed for feed in waiting}
        while left:
            try:
                event = events.get(timeout=0.0 if quiet or parsed else PATIENCE_S)
            except queue.Empty:
                if parsed:
                    yield from _settle_parsed(store, index, watched, parsed, now)
                    parsed = []
                    continue
                if quiet:
                    yield from _settle_quiet(store, index, watched, quiet, now)
                    quiet = []
                    continue
                # A fetcher or parser that lost an answer must not hold up polling for ever: these feeds have failed.
                lost = FeedError(f"no answer from fetcher or parser for {PATIENCE_S:.0f} s", kind="timeout")
                yield from (_settle(store, index, watched, _Event(feed, lost), now) for feed in left.values())
                return
            if stopped():
                yield from _settle_parsed(store, index, watched, parsed, now)
                yield from _settle_quiet(store, index, watched, quiet, now)
                return
            fetched = event.outcome
            if isinstance(fetched, Fetched) and not fetched.not_modified and event.parsed is None:
                parser.submit(fetched, partial(_parsed, events, event))
                continue
            fetching.taken(event.feed)
            del left[event.feed.id]
            if event.parsed is not None:
                parsed.append(event)
                if len(parsed) >= _DOCUMENTS:
                    yield from _settle_parsed(store, index, watched, parsed, now)
                    parsed = []
                continue
            quiet.append(event)
            if len(quiet) >= _TOGETHER:
                yield from _settle_quiet(store, index, watched, quiet, now)
                quiet = []
        yield from _settle_parsed(store, index, watched, parsed, now)
        yield from _settle_quiet(store, index, watched, quiet, now)
    finally:
        fetching.cancel()


@dataclass(frozen=True, slots=True)
class _Event:
    feed: Feed
    outcome: Fetched | FeedError
    parsed: ParsedFeed | FeedError | None = None


def _parsed(events: queue.SimpleQueue[_Event], event: _Event, parsed: ParsedFeed | FeedError) -> None:
    events.put(_Event(event.feed, event.outcome, parsed))


def probe(number: int, url: str) -> Feed:
    """An address that is asked once and is no feed of the store; `number` tells it from others of its round."""
    return Feed(
        id=number, url=url, title="", publisher="", family="", language="", enabled=True, sample=False, note="",
        state=FeedState.NEW, added=datetime.min.replace(tzinfo=UTC),
    )  # fmt: skip


def check_addresses(
    fetcher: Fetcher, parser: ParserPool, urls: Sequence[str], now: datetime
) -> Iterator[tuple[str, ParsedFeed | FeedError]]:
    """What each address answers, many at a time, in the order in which they answer; nothing is stored."""
    probes = [probe(number, url) for number, url in enumerate(urls)]
    for asked, outcome in fetcher.fetch_many(probes, now):
        answer: ParsedFeed | FeedError
        try:
            answer = outcome if isinstance(outcome, FeedError) else parser.parse(outcome)
        except FeedError as error:
            answer = error
        yield asked.url, answer


def _settle_quiet(
    store: Store, index: StoryIndex, watched: Watched, quiet: Sequence[_Event], now: datetime
) -> list[PollResult]:
    """Write polls that brought no document in one transaction; one by one when that does not work."""
    records, results = [], []
    for event in quiet:
        if isinstance(event.outcome, FeedError):
            records.append(failed_poll(event.feed, event.outcome, now))
            results.append(PollResult(feed=event.feed, error=str(event.outcome)))
        else:
            records.append(good_poll(event.feed, event.outcome, None, 0, now))
            results.append(PollResult(feed=event.feed, not_modified=True))
    if all(record.new_url is None for record in records):
        try:
            store.record_quiet_polls(records)
            return results
        except StoreError:
            pass  # told below, feed by feed
    return [_settle(store, index, watched, event, now) for event in quiet]


def _settle_parsed(
    store: Store, index: StoryIndex, watched: Watched, events: Sequence[_Event], now: datetime
) -> list[PollResult]:
    """Store documents that wait together in one transaction; one by one when that does not work."""
    if len(events) > 1:
        try:
            return _stored(store, index, watched, events, now)
        except StoreBusyError as error:  # each of them would wait as long again
            return [PollResult(feed=event.feed, error=str(error)) for event in events]
        except StoreError:
            pass  # told below, feed by feed
    return [_settle(store, index, watched, event, now) for event in events]


def _stored(
    store: Store, index: StoryIndex, watched: Watched, events: Sequence[_Event], now: datetime
) -> list[PollResult]:
    """Raises `StoreError` when nothing could be written."""
    polls: list[tuple[PollRecord, Sequence[NewArticle]]] = []
    with store.ingesting():
        catch_up(store, index, now)
        documents = [event.parsed.drafts if isinstance(event.parsed, ParsedFeed) else () for event in events]
        candidates = [
            identity_candidates(drafts, event.feed.id) for event, drafts in zip(events, documents, strict=True)
        ]
        known = store.known_identities(sorted({key for those in candidates for keys in those for key in keys}))
        matcher = watched.matcher()
        for event, those in zip(events, candidates, strict=True):
            feed, fetched, parsed = event.feed, event.outcome, event.parsed
            if isinstance(parsed, FeedError):
                polls.append((failed_poll(feed, parsed, now), ()))
                continue
            assert isinstance(fetched, Fetched)
            assert parsed is not None
            articles, unknown = articles_of(index, matcher, feed, parsed.drafts, those, known, now)
            known.update(article.identity for article in articles)  # for the documents after it
            record = good_poll(feed, fetched, parsed, unknown, now)
            if feed.last_success is None:
                spoken = main_language([article.language for article in articles], feed.language)
                record = replace(record, language=spoken)
            polls.append((record, articles))
        counts = store.record_polls(polls)
        index.newest = max(index.newest, *(count.newest for count in counts))
    return [
        PollResult(feed=event.feed, error=str(event.parsed))
        if isinstance(event.parsed, FeedError)
        else PollResult(feed=event.feed, new=count.new, revised=count.revised, seen=count.seen)
        for event, count in zip(events, counts, strict=True)
    ]


def _settle(store: Store, index: StoryIndex, watched: Watched, event: _Event, now: datetime) -> PollResult:
    feed, fetched, parsed = event.feed, event.outcome, event.parsed
    failure = fetched if isinstance(fetched, FeedError) else parsed if isinstance(parsed, FeedError) else None
    try:
        if failure is not None:
            store.record_poll(failed_poll(feed, failure, now), ())
            return PollResult(feed=feed, error=str(failure))
        assert isinstance(fetched, Fetched)
        if fetched.not_modified:
            store.record_poll(good_poll(feed, fetched, None, 0, now), ())
            return PollResult(feed=feed, not_modified=True)
        return _stored(store, index, watched, [event], now)[0]
    except StoreBusyError as error:
        # Nothing was written and the validators are the old ones: the next round brings the same items again.
        return PollResult(feed=feed, error=str(error))
    except StoreError as error:
        # One feed's trouble (or a full disk) must not end the round for the others, nor be asked again at once.
        return PollResult(feed=feed, error=_backed_off(store, feed, error, now))


def _backed_off(store: Store, feed: Feed, error: StoreError, now: datetime) -> str:
    """Try to leave the failure on the feed, so that it waits its turn; the reason in words either way."""
    try:
        store.record_poll(failed_poll(feed, FeedError(str(error), kind="store"), now), ())
    except StoreError as second:
        return f"{error}; and the failure could not be written: {second}"
    return str(error)


def failed_poll(feed: Feed, failure: FeedError, now: datetime) -> PollRecord:
    failures = feed.failures + 1
    plan = after_failure(feed, failures, now, retry_after_s=failure.retry_after_s)
    return PollRecord(
        feed_id=feed.id,
        polled=now,
        next_poll=plan.next_poll,
        interval_s=plan.interval_s,
        state=FeedState.DISABLED if failure.kind == "gone" else FeedState.FAILING,
        ok=False,
        etag=feed.etag,
        last_modified=feed.last_modified,
        failures=failures,
        error=str(failure),
    )


def good_poll(feed: Feed, fetched: Fetched, parsed: ParsedFeed | None, new: int, now: datetime) -> PollRecord:
    """parsed: None when nothing was modified; the validators then stay, unless the server sent newer ones."""
    drafts = parsed.drafts if parsed else ()
    items_per_day, batches_per_day = habit(feed, drafts, new, now), batches(feed, drafts, new, now)
    last_item = now if new else feed.last_item
    plan = after_success(
        feed,
        pace(items_per_day, last_item, now),
        now,
        max_age_s=fetched.max_age_s,
        ttl_s=parsed.ttl_s if parsed else None,
        retry_after_s=fetched.retry_after_s,
    )
    return PollRecord(
        feed_id=feed.id,
        polled=now,
        next_poll=plan.next_poll,
        interval_s=plan.interval_s,
        state=state_of(items_per_day, batches_per_day, last_item, now),
        ok=True,
        etag=fetched.etag if parsed else fetched.etag or feed.etag,
        last_modified=fetched.last_modified if parsed else fetched.last_modified or feed.last_modified,
        items_per_day=items_per_day,
        batches_per_day=batches_per_day,
        title=parsed.title or None if parsed else None,
        new_url=fetched.url if fetched.moved_permanently else None,
        note="" if feed.note == UNVERIFIED else None,
    )


def articles_of(
    index: StoryIndex,
    matcher: Matcher,
    feed: Feed,
    drafts: Sequence[ArticleDraft],
    candidates: Sequence[tuple[str, ...]],
    known: Set[str],
    now: datetime,
) -> tuple[list[NewArticle], int]:
    """The drafts of one document as articles, each identity once, and how many of them are not `known`, which are
    those of all its candidates that the store has."""
    chosen: dict[str, ArticleDraft] = {}
    for keys, draft in zip(candidates, drafts, strict=True):
        identity = next((key for key in keys if key in known), keys[0])
        owner = index.feed_of(identity)
        if owner is not None and owner != feed.id and identity in known:
            continue  # another feed brought it: its title stands, else two feeds would revise it for ever
        chosen.setdefault(identity, draft)
    first_poll = feed.last_success is None
    dated = {key: settle_date(draft.published, draft.date_quality, now) for key, draft in chosen.items()}
    # Oldest first: the story takes the identity of its first article.
    order = sorted(chosen, key=lambda key: (dated[key][0], key))
    stories = index.assign([Item(key, chosen[key].title, dated[key][0], feed.id) for key in order])
    articles = []
    for key, story in zip(order, stories, strict=True):
        draft, (published, quality) = chosen[key], dated[key]
        articles.append(
            NewArticle(
                identity=key,
                story_id=story,
                feed_id=feed.id,
                publisher=feed.publisher,
                family=feed.family,
                language=detect_language(f"{draft.title} {draft.summary}", stated=draft.language or feed.language),
                title=draft.title,
                summary=draft.summary,
                url=draft.url,
                author=draft.author,
                published=published,
                first_seen=now,
                date_quality=quality,
                counts=not first_poll and quality is not DateQuality.NONE,
                sample=feed.sample,
                mentions=matcher.mentions(draft.title, draft.summary),
            )
        )
    return articles, sum(key not in known for key in order)
