"""feeds list|add|remove|pause|resume|check|import-opml|export-opml and watchlist list|add|remove|import|export."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from monitor.cli.common import ACTOR, ago, feed_named, opened, print_json, print_table, utc_now
from monitor.domain import NewFeed
from monitor.errors import FeedError
from monitor.redaction import redact


def add_parsers(commands: Any) -> None:
    actions = commands.add_parser(
        "feeds", help="list, add, remove, pause, resume, check; OPML in and out"
    ).add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="every feed with its health")
    listed.add_argument("--json", action="store_true")
    listed.set_defaults(do=list_feeds)
    add = actions.add_parser("add", help="check a feed and add it")
    add.add_argument("url")
    add.add_argument("--title", default="")
    add.add_argument("--publisher", default="")
    add.add_argument("--family", default="", help="group of publishers that speak with one voice")
    add.add_argument("--language", default="", help="ISO 639-1; default: what the feed says, else en")
    add.set_defaults(do=add_feed)
    for name, does, help_ in (
        ("remove", remove_feed, "forget a feed; its articles stay"),
        ("pause", pause_feed, "poll a feed no more until it is resumed"),
        ("resume", resume_feed, "poll a feed again that was paused or gave up"),
    ):
        action = actions.add_parser(name, help=help_)
        action.add_argument("feed", metavar="URL|ID", help="its address, or its number in feeds list")
        action.set_defaults(do=does)
    check = actions.add_parser("check", help="try every feed, or one, and report")
    check.add_argument("url", nargs="?")
    check.set_defaults(do=check_feeds)
    defaults = actions.add_parser("add-defaults", help="add the list of public feeds that risk teams start from")
    defaults.set_defaults(do=add_defaults)
    opml_in = actions.add_parser("import-opml", help="add every feed of an OPML file")
    opml_in.add_argument("file", type=Path)
    opml_in.set_defaults(do=import_opml)
    opml_out = actions.add_parser("export-opml", help="write all feeds as OPML")
    opml_out.add_argument("file", type=Path, nargs="?", help="default: standard output")
    opml_out.set_defaults(do=export_opml)

    lists = commands.add_parser("watchlist", help="list, add, remove, import or export watched companies")
    lists = lists.add_subparsers(dest="action", required=True, metavar="ACTION")
    lists.add_parser("list").set_defaults(do=list_entities)
    adding = lists.add_parser("add", help="add one company, or replace what is known of it")
    adding.add_argument("name")
    adding.add_argument("--alias", action="append", default=[], metavar="NAME", help="may be given several times")
    for option in ("ticker", "lei", "weight"):
        adding.add_argument(f"--{option}", default="", metavar=option.upper())
    adding.set_defaults(do=add_entity)
    removing = lists.add_parser("remove", help="take a company off the list; its articles stay")
    removing.add_argument("name")
    removing.set_defaults(do=remove_entity)
    lists_in = lists.add_parser("import", help="CSV: name, aliases joined by |, optional ticker, lei, weight")
    lists_in.add_argument("file", type=Path)
    lists_in.set_defaults(do=import_watchlist)
    lists_out = lists.add_parser("export")
    lists_out.add_argument("file", type=Path)
    lists_out.set_defaults(do=export_watchlist)


def list_feeds(arguments: argparse.Namespace) -> int:
    with opened() as app:
        found, now = app.store.feeds(), utc_now()
        if arguments.json:
            print_json(
                [
                    {
                        "id": f.id, "url": f.url, "title": f.title, "publisher": f.publisher, "family": f.family,
                        "language": f.language, "state": f.state, "last_success": f.last_success,
                        "failures": f.failures, "last_error": f.last_error, "items_per_day": f.items_per_day,
                    }
                    for f in found
                ]
            )  # fmt: skip
            return 0
        print_table(
            ("id", "state", "publisher", "language", "last success", "failures", "url", "last error"),
            [
                (
                    f.id,
                    f.state.value,
                    f.publisher,
                    f.language,
                    ago(f.last_success, now),
                    f.failures,
                    redact(f.url),
                    f.last_error or "",
                )
                for f in found
            ],
        )
    return 0


def add_feed(arguments: argparse.Namespace) -> int:
    with opened() as app:
        feed, preview = app.add_feed(
            NewFeed(
                url=arguments.url,
                title=arguments.title,
                publisher=arguments.publisher,
                family=arguments.family,
                language=arguments.language,
            ),
            utc_now(),
        )
        print(f"added {redact(feed.url)}: {feed.title} ({feed.publisher}), {len(preview.drafts)} items now")
    return 0


def remove_feed(arguments: argparse.Namespace) -> int:
    with opened() as app:
        feed = feed_named(app, arguments.feed)
        app.store.remove_feed(feed.id)
        app.store.append_audit(ACTOR, "feed.remove", redact(feed.url), {"publisher": feed.publisher}, utc_now())
        print(f"removed {redact(feed.url)}; its articles stay")
    return 0


def pause_feed(arguments: argparse.Namespace) -> int:
    return _switch(arguments.feed, on=False)


def resume_feed(arguments: argparse.Namespace) -> int:
    return _switch(arguments.feed, on=True)


def _switch(named: str, *, on: bool) -> int:
    with opened() as app:
        feed = feed_named(app, named)
        app.switch_feed(feed.id, on, utc_now())
        print(f"{redact(feed.url)} is {'polled again' if on else 'paused'}")
    return 0


def check_feeds(arguments: argparse.Namespace) -> int:
    with opened() as app:
        if arguments.url:
            found = app.check_feed(arguments.url)
            print(f"{redact(arguments.url)}: ok, {len(found.drafts)} items, {found.title}")
            return 0
        failed = count = 0
        for url, answer in app.check_feeds():
            count += 1
            failed += isinstance(answer, FeedError)
            told = (
                f"FAILS: {answer}"
                if isinstance(answer, FeedError)
                else f"ok, {len(answer.drafts)} items, {answer.title}"
            )
            print(f"{redact(url)}: {told}", flush=True)
        print(f"{count - failed} of {count} feeds answer", file=sys.stderr)
    return 0


def add_defaults(_: argparse.Namespace) -> int:
    with opened() as app:
        print(f"{app.add_default_feeds(utc_now())} feeds added; check them with: python -m monitor feeds check")
    return 0


def import_opml(arguments: argparse.Namespace) -> int:
    with opened() as app:
        added, known = app.import_opml(arguments.file, utc_now())
        print(f"{added} feeds added, {known} already there")
    return 0


def export_opml(arguments: argparse.Namespace) -> int:
    with opened() as app:
        text = app.export_opml(utc_now())
        if arguments.file:
            arguments.file.write_text(text, encoding="utf-8")
        else:
            print(text)
    return 0


def list_entities(_: argparse.Namespace) -> int:
    with opened() as app:
        print_table(
            ("name", "aliases", "ticker", "lei", "weight"),
            [(e.name, "|".join(e.aliases), e.ticker, e.lei, e.weight) for e in app.store.entities()],
        )
    return 0


def add_entity(arguments: argparse.Namespace) -> int:
    with opened() as app:
        row = [arguments.name, "|".join(arguments.alias), arguments.ticker, arguments.lei, arguments.weight]
        saved, mentions = app.add_to_watchlist(row, utc_now())
        print(f"{saved} entity saved, {mentions} mentions found in the store")
    return 0


def remove_entity(arguments: argparse.Namespace) -> int:
    with opened() as app:
        app.remove_from_watchlist(arguments.name, utc_now())
        print(f"{arguments.name} is no longer watched")
    return 0


def import_watchlist(arguments: argparse.Namespace) -> int:
    with opened() as app:
        saved, mentions = app.import_watchlist(arguments.file, utc_now())
        print(f"{saved} entities saved, {mentions} mentions found in the store")
    return 0


def export_watchlist(arguments: argparse.Namespace) -> int:
    with opened() as app:
        print(f"{app.export_watchlist(arguments.file)} entities written to {arguments.file}")
    return 0
