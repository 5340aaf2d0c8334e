"""rules and alerts: what an analyst asks from a terminal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from monitor.cli.common import ACTOR, moment, one_found, opened, print_json, print_table, utc_now
from monitor.desk import rule_records
from monitor.domain import Alert
from monitor.errors import AlertError
from monitor.review import alert_precision, export_verdicts


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
    right = alerts.add_parser("precision", help="how many of each week's alerts analysts judged right")
    right.add_argument("--rule", help="alerts of one rule, as they were told")
    right.add_argument("--weeks", type=int, default=12)
    right.add_argument("--json", action="store_true")
    right.set_defaults(do=precision)
    ack = alerts.add_parser("ack", help="acknowledge an alert")
    ack.add_argument("id", type=int)
    ack.set_defaults(do=acknowledge)

    verdicts = commands.add_parser("verdicts", help="what analysts said of articles, as labelled rows")
    actions = verdicts.add_subparsers(dest="action", required=True, metavar="ACTION")
    out = actions.add_parser("export", help="a CSV file that `models train` and `models evaluate` read")
    out.add_argument("file", type=Path)
    out.set_defaults(do=export_labels)


def list_rules(_: argparse.Namespace) -> int:
    with opened() as app:
        app.prepare()
        came = {line.rule: line for line in rule_records(app.store, utc_now())}
        print_table(
            ("name", "kind", "scope", "severity", "enabled", "a week", "budget", "right"),
            [
                (
                    r.name, r.kind.value, " ".join(r.scope), r.severity.value, "yes" if r.enabled else "no",
                    f"{came[r.name].came:.1f}", came[r.name].budget, f"{came[r.name].right} of {came[r.name].judged}",
                )
                for r in app.store.rules()
            ],
        )  # fmt: skip
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


def precision(arguments: argparse.Namespace) -> int:
    if not 1 <= arguments.weeks <= 520:
        raise AlertError("precision: 'weeks' must lie between 1 and 520")
    with opened() as app:
        if arguments.rule is not None:
            known = [rule.name for rule in app.store.rules()]
            one_found(arguments.rule if arguments.rule in known else None, f"rule {arguments.rule!r}")
        weeks = alert_precision(app.store, utc_now(), weeks=arguments.weeks, rule=arguments.rule)
    rows = [
        {
            "week": week.start.date().isoformat(),
            "alerts": week.alerts,
            "judged": week.judged,
            "right": week.right,
            "precision": week.precision,
            "low": week.low,
            "high": week.high,
        }
        for week in weeks
    ]
    if arguments.json:
        print_json(rows)
        return 0
    print_table(
        ("week", "alerts", "judged", "right", "95 % interval"),
        [
            (
                w.start.date(),
                w.alerts,
                w.judged,
                w.right,
                f"{w.low:.0%} to {w.high:.0%}" if w.low is not None and w.high is not None else None,
            )
            for w in weeks
        ],
    )
    return 0


def export_labels(arguments: argparse.Namespace) -> int:
    with opened() as app:
        print(f"{export_verdicts(app.store, arguments.file)} labelled rows written")
    return 0


def acknowledge(arguments: argparse.Namespace) -> int:
    with opened() as app:
        one_found(app.store.alert(arguments.id), f"alert {arguments.id}")
        alert = app.acknowledge(arguments.id, ACTOR, utc_now())
        print(f"alert {alert.id} is {alert.state.value}")
    return 0
