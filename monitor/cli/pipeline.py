"""poll, score, watch, deliver, import: one step of the pipeline, now."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from monitor.cli.common import feed_named, moment, opened, print_json, utc_now
from monitor.errors import MonitorError
from monitor.redaction import redact


def add_parsers(commands: Any) -> None:
    poll_parser = commands.add_parser("poll", help="one round now; prints a line per feed")
    poll_parser.add_argument("--feed", metavar="URL|ID", help="only this feed, due or not")
    poll_parser.set_defaults(do=poll)
    score_parser = commands.add_parser("score", help="score the queue now")
    score_parser.add_argument("--limit", type=int, metavar="N")
    score_parser.set_defaults(do=score)
    watch_parser = commands.add_parser("watch", help="evaluate rules now")
    watch_parser.add_argument("--now", type=moment, metavar="ISO", help="as if it were this time")
    watch_parser.add_argument("--json", action="store_true")
    watch_parser.set_defaults(do=watch)
    commands.add_parser("deliver", help="send what is pending").set_defaults(do=deliver)
    import_parser = commands.add_parser("import", help="import an archive: CSV or JSONL with title and published")
    import_parser.add_argument("file", type=Path, metavar="FILE")
    import_parser.set_defaults(do=import_file)


def _worker_name() -> str:
    return f"{os.uname().nodename}:{os.getpid()}"


def poll(arguments: argparse.Namespace) -> int:
    with opened() as app:
        feeds = [feed_named(app, arguments.feed)] if arguments.feed else None
        failed = count = 0
        for result in app.poll(utc_now(), feeds):
            count += 1
            failed += result.error is not None
            told = result.error or (
                "not modified"
                if result.not_modified
                else f"{result.new} new, {result.revised} revised, {result.seen} seen"
            )
            print(f"{redact(result.feed.url)}: {told}", flush=True)
        read = [page.error is None for page in app.read_pages(utc_now())]
        if read:
            print(f"{sum(read)} of {len(read)} pages read for their text")
        if not count:
            print("no feeds to poll; add one with: python -m monitor feeds add URL")
    if failed and failed == count:
        raise MonitorError(
            f"none of the {count} feeds polled could be read; each line above says why"
            if count > 1
            else "the feed could not be read; the line above says why"
        )
    return 0


def score(arguments: argparse.Namespace) -> int:
    with opened() as app:
        app.prepare()
        waiting = app.store.unscored_count()
        wanted = waiting if arguments.limit is None else min(waiting, arguments.limit)
        with tqdm(total=wanted, unit=" texts", disable=not sys.stderr.isatty()) as bar:
            report = app.score(_worker_name(), utc_now, limit=arguments.limit, progress=bar.update)
        print(f"{report.scored} articles scored by {app.live_version()}, {report.set_aside} set aside")
    return 0


def watch(arguments: argparse.Namespace) -> int:
    with opened() as app:
        app.prepare()
        transitions = app.watch(arguments.now or utc_now())
        if arguments.json:
            print_json(
                [{"kind": t.kind, "rule": t.rule, "series": t.series, "summary": t.summary} for t in transitions]
            )
        else:
            for one in transitions:
                print(f"{one.kind.value}: {one.series}: {one.summary}")
            print(f"{len(transitions)} changes")
    return 0


_OUTCOMES = {"sent": "sent", "retry": "to be tried again", "failed": "failed for good"}


def deliver(_: argparse.Namespace) -> int:
    with opened() as app:
        counts = app.deliver(_worker_name(), utc_now())
        print(", ".join(f"{count} {_OUTCOMES[outcome]}" for outcome, count in counts.items()) or "nothing is due")
    return 0


def import_file(arguments: argparse.Namespace) -> int:
    with opened() as app, tqdm(unit=" rows", disable=not sys.stderr.isatty()) as bar:
        report = app.import_archive(arguments.file, utc_now(), progress=bar.update)
        bar.close()
        for line in report.problems[:20]:
            print(line, file=sys.stderr)
        if len(report.problems) > 20:
            print(f"... and {len(report.problems) - 20} more rows skipped", file=sys.stderr)
        print(f"{report.new} imported, {report.seen} already there, {report.skipped} skipped of {report.rows} rows")
    return 0
