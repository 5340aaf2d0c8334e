"""run, web, up, demo: what keeps going until it is stopped."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from monitor.cli.common import opened
from monitor.settings import PREFIX, load_settings


def add_parsers(commands: Any) -> None:
    for name, do, text in (
        ("run", run, "the worker: poll, score, watch, deliver until stopped"),
        ("web", web, "the dashboard alone"),
        ("up", up, "worker and dashboard; Ctrl-C stops both"),
    ):
        commands.add_parser(name, help=text, description=text).set_defaults(do=do)
    demo_parser = commands.add_parser("demo", help="up, on a throw-away store with our sample news and a spike")
    demo_parser.add_argument("--keep", metavar="FOLDER", help="use this folder and keep it, instead of a temporary one")
    demo_parser.add_argument("--after", type=float, default=20.0, metavar="S", help="seconds until the spike begins")
    demo_parser.set_defaults(do=demo)


def run(_: argparse.Namespace) -> int:
    from monitor.scheduler import run_worker

    with opened("worker", log_to_file=True) as app:
        run_worker(app)
    return 0


def web(_: argparse.Namespace) -> int:
    from monitor.supervisor import ROOT, check_address, dashboard_command

    settings = load_settings()
    check_address(settings)
    with opened():  # migrates, and says here, in one line, what is wrong with the store
        pass
    print(f"Headwind dashboard: {settings.links_base}", flush=True)
    # Streamlit looks for its settings where it is started.
    os.environ[f"{PREFIX}HOME"] = str(settings.home_path)
    os.chdir(ROOT)
    os.execv(sys.executable, dashboard_command(settings))


def up(_: argparse.Namespace) -> int:
    from monitor.supervisor import Supervisor, check_address

    check_address(load_settings())
    with opened() as app:
        app.prepare()
        print(f"Headwind: {app.settings.links_base}   (Ctrl-C stops it; store: {app.store_name})", flush=True)
        Supervisor(app).run()
    return 0


def demo(arguments: argparse.Namespace) -> int:
    from monitor.demo import run_demo

    return run_demo(arguments.keep, arguments.after)
