"""rules and alerts: what an analyst asks from a terminal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from monitor.cli.common import ACTOR, moment, one_found, opened, print_json, print_table, utc_now
from monitor.domain import Alert


def add_parsers(commands: Any) -> None:
    rules = commands.add_parser("rules", help="list, backtest, TOML in and out").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    rules.add_parser("list").set_defaults(do=list_rules)
    back = rules.add_parser("backtest", help="run a rule over the stored past")
    back.add_argument("name")
    back.add_argument("--from", dest="start", type=moment, metavar="ISO")
    back.add_argument("--to", dest="end", type=moment, metavar="ISO")
    back.add_argument("--json", action="store_true")
    back.set_defaults(do=backtest)
    rules_in = rules.add_parser("import", help="rules from a TOML file")
    rules_in.add_argument("file", type=Path)
    rules_in.set_defaults(do=import_rules)
    rules.add_parser("export", help="all rules as TOML on standard output").set_defaults(do=export_rules)

    alerts = commands.add_parser("alerts", help="list, acknowledge").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    listed = alerts.add_parser("list", help="open alerts and those resolved of late")
    listed.add_argument("--json", action="store_true")
    listed.set_defaults(do=list_alerts)
    ack = alerts.add_parser("ack", help="acknowledge an alert")
    ack.add_argument("id", type=int)
    ack.set_defaults(do=acknowledge)


def list_rules(_: argparse.Namespace) -> int:
    with opened() as app:
        app.prepare()
        print_table(
            ("name", "kind", "scope", "severity", "enabled"),
            [
                (r.name, r.kind.value, " ".join(r.scope), r.severity.value, "yes" if r.enabled else "no")
                for r in app.store.rules()
            ],
        )
    return 0


def backtest(arguments: argparse.Namespace) -> int:
    with opened() as app:
        app.prepare()
        with tqdm(unit=" steps", disable=not sys.stderr.isatty()) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            report = app.backtest(arguments.name, arguments.start, arguments.end, progress)
        if arguments.json:
            print_json(report.to_json())
            return 0
        answer = report.to_json()
        print_table(
            ("opened", "resolved", "severity", "series", "negative", "expected", "p", "families", "top story"),
            [
                (
                    a["opened_at"][:16], (a["resolved_at"] or "open")[:16], a["severity"], a["series"], a["negative"],
                    f"{a['expected']:.1f}", f"{a['p_value']:.1e}", a["families"], (a["top"] or [""])[0][:80],
                )
                for a in answer["alerts"]
            ],
        )  # fmt: skip
        print(
            f"{len(answer['alerts'])} alerts from {answer['from']} to {answer['to']}, {answer['per_week']:.2f} a week"
        )
    return 0


def import_rules(arguments: argparse.Namespace) -> int:
    with opened() as app:
        print(f"{app.import_rules(arguments.file, ACTOR, utc_now())} rules saved")
    return 0


def export_rules(_: argparse.Namespace) -> int:
    with opened() as app:
        app.prepare()
        print(app.export_rules())
    return 0


def as_json(alert: Alert) -> dict[str, Any]:
    """The row of `alerts list --json`; the same keys as a backtest's, with id, state and rule."""
    evidence = alert.evidence
    return {
        "id": alert.id,
        "state": alert.state.value,
        "rule": alert.rule,
        "series": alert.series,
        "severity": alert.severity.value,
        "opened_at": alert.opened_at,
        "resolved_at": alert.resolved_at,
        "stories": evidence.stories,
        "negative": evidence.negative,
        "expected": evidence.expected,
        "p_value": evidence.p_value,
        "families": evidence.families,
        "top": [story.get("title", "") for story in evidence.top],
        "summary": alert.summary,
    }


def list_alerts(arguments: argparse.Namespace) -> int:
    with opened() as app:
        found = app.store.alerts()
        if arguments.json:
            print_json([as_json(alert) for alert in found])
            return 0
        print_table(
            ("id", "state", "severity", "opened", "series", "summary"),
            [(a.id, a.state.value, a.severity.value, a.opened_at.isoformat()[:16], a.series, a.summary) for a in found],
        )
    return 0


def acknowledge(arguments: argparse.Namespace) -> int:
    with opened() as app:
        one_found(app.store.alert(arguments.id), f"alert {arguments.id}")
        alert = app.acknowledge(arguments.id, ACTOR, utc_now())
        print(f"alert {alert.id} is {alert.state.value}")
    return 0
