"""status, model, rollups, backup, restore, audit, settings: what an operator asks."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from monitor.cli.common import ACTOR, ago, opened, print_json, print_table, utc_now
from monitor.errors import StoreError
from monitor.promotion import promote, rollback
from monitor.settings import described, load_settings


def add_parsers(commands: Any) -> None:
    status_parser = commands.add_parser("status", help="counts, lag, feed health, model version")
    status_parser.add_argument("--json", action="store_true")
    status_parser.set_defaults(do=status)

    model = commands.add_parser("model", help="the live version: list, promote, rollback").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    model.add_parser("list").set_defaults(do=model_list)
    promote = model.add_parser("promote", help="serve another version, if the gate lets it pass")
    promote.add_argument("version")
    promote.add_argument("--reason", default="", help="promote against the gate, for this reason (audited)")
    promote.set_defaults(do=model_promote)
    model.add_parser("rollback", help="serve the version before this one").set_defaults(do=model_rollback)

    rollups = commands.add_parser("rollups", help="recompute what changed; --verify compares with a recomputation")
    rollups.add_argument("--verify", action="store_true")
    rollups.set_defaults(do=check_rollups)
    backup_parser = commands.add_parser("backup", help="a consistent copy, while running")
    backup_parser.add_argument("file", type=Path)
    backup_parser.set_defaults(do=backup)
    restore_parser = commands.add_parser("restore", help="put a backup in the store's place, everything stopped")
    restore_parser.add_argument("file", type=Path)
    restore_parser.set_defaults(do=restore)
    audit = commands.add_parser("audit", help="the audit log; --verify checks its hash chain")
    audit.add_argument("--verify", action="store_true")
    audit.add_argument(
        "--head", nargs=2, metavar=("ENTRY", "HASH"), help="with --verify: this entry, as a digest named it, is there"
    )
    audit.set_defaults(do=audit_log)
    commands.add_parser("settings", help="every setting, its value and its meaning").set_defaults(do=settings)


def status(arguments: argparse.Namespace) -> int:
    with opened() as app:
        answer = app.status(utc_now())
        if arguments.json:
            print_json(answer)
            return 0
        now = utc_now()
        feeds, sent = answer["feeds"], answer["deliveries"]
        print(f"articles     {answer['articles']} in {answer['stories']} stories")
        print(
            f"queue        {answer['unscored']} wait, {answer['unsupported']} in an unsupported language, "
            f"{answer['quarantined']} quarantined"
        )
        print(
            f"feeds        {feeds['total']}: {feeds['ok']} ok, {feeds['failing']} failing, {feeds['silent']} silent, "
            f"{feeds['disabled']} disabled"
        )
        print(f"alerts       {answer['alerts_open']} open")
        print(
            f"deliveries   {sent['pending']} pending, {sent['sent']} sent, {sent['failed']} failed, {sent['dead']} dead"
        )
        print(f"model        {answer['model_version'] or 'none'}")
        print(f"data as of   {answer['data_as_of'] or 'never'} ({ago(answer['data_as_of'], now)})")
        print(f"store        {_store_line(answer['store'])}")
        print(f"worker       {answer['worker']}")
        for note in answer["notes"]:
            print(f"note         {note}")
    return 0


def _store_line(about: dict[str, Any]) -> str:
    """Which database, and for SQLite who moves its write-ahead log into the file."""
    if about["kind"] != "sqlite":
        return f"{about['kind']} {about['version']}"
    who = f"process {about['checkpointer']}" if about["checkpointer"] else "no process"
    alone = " and no other may: this SQLite can lose writes when several do" if about["wal_reset_fault"] else ""
    size = about["wal_bytes"] / 2**20
    return f"sqlite {about['version']}, write-ahead log {size:.1f} MB, {who} checkpoints it{alone}"


def model_list(_: argparse.Namespace) -> int:
    with opened() as app:
        app.prepare()
        print_table(("version", "live", "languages", "created"), app.model_versions())
    return 0


def model_promote(arguments: argparse.Namespace) -> int:
    with opened() as app:
        app.prepare()
        done = promote(
            app.store,
            arguments.version,
            ACTOR,
            utc_now(),
            role="admin",
            open_classifier=app.open_classifier,
            override_reason=arguments.reason,
        )
        print(done)
    return 0


def model_rollback(_: argparse.Namespace) -> int:
    with opened() as app:
        print(rollback(app.store, ACTOR, utc_now(), role="admin", open_classifier=app.open_classifier))
    return 0


def check_rollups(arguments: argparse.Namespace) -> int:
    with opened() as app:
        while app.store.refresh_rollups():
            pass
        if not arguments.verify:
            print("rollups are up to date")
            return 0
        differences = app.store.verify_rollups()
        for line in differences[:50]:
            print(line)
        if differences:
            raise StoreError(f"rollups differ from a recomputation in {len(differences)} places")
        print("rollups equal a recomputation")
    return 0


def backup(arguments: argparse.Namespace) -> int:
    with opened() as app:
        app.store.backup(str(arguments.file))
        print(f"backup written to {arguments.file}")
    return 0


def restore(arguments: argparse.Namespace) -> int:
    from monitor.app import restore_store

    restore_store(load_settings(), arguments.file)
    print(f"restored from {arguments.file}")
    return 0


def audit_log(arguments: argparse.Namespace) -> int:
    with opened() as app:
        if arguments.verify:
            head = None
            if arguments.head:
                if not arguments.head[0].isdecimal():
                    raise StoreError(f"audit log: --head wants the number of an entry, not {arguments.head[0]!r}")
                head = int(arguments.head[0]), arguments.head[1].lower()
            broken = app.store.verify_audit(head)
            if broken:
                raise StoreError(f"audit log: {broken}")
            print("the audit chain holds")
            return 0
        for entry in app.store.audit(200):
            row = asdict(entry)
            print(
                f"{row['seq']} {row['at'].isoformat()} {row['actor']} {row['action']} {row['subject']} {row['detail']}"
            )
    return 0


def settings(_: argparse.Namespace) -> int:
    now = load_settings()
    secret = {"database_url", "egress_proxy", "heartbeat_url"}
    print_table(
        ("headwind.toml", "environment", "value", "meaning"),
        [
            (name, env, "***" if name in secret and getattr(now, name) else _shown(getattr(now, name)), text)
            for name, env, _, text in described()
        ],
    )
    return 0


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
