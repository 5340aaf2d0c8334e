"""How long a change of a filter takes, from sending it to the last message of the page: 10 k against 1 M articles.

The dashboard is started as `python -m monitor web` starts it, over stores that `bench.fill` made. Sessions speak
Streamlit's own protocol (bench/session.py), so what a browser adds by drawing is not in the figures. Twenty sessions
change a filter every five seconds each. Beside it the peer (the page Now over a cached frame of all stories,
bench/peer_page.py) and the limit (the rerun of an empty script).

    python -m bench page [--small HOME --big HOME] [--changes N] [--each N] [--pages now,news] [--no-peer] [--no-write]

With what is given by default, all pages take about a quarter of an hour on a quiet machine of two cores, and filling
the two stores two minutes before.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from bench.results import write_section
from bench.session import Session
from monitor.settings import load_settings
from monitor.supervisor import ROOT, dashboard_command

WORK = Path(__file__).parent / ".work"
PAGES = ("now", "news", "topics", "watchlist", "alerts", "score", "feeds", "model", "settings")
SESSIONS = 20
PAUSE_S = 5.0
PORT = 18450
FIRST_DAY = date(2023, 1, 1)
DAY = timedelta(days=1)
EMPTY = "import streamlit as st\nst.write('empty')\n"

Times = list[float]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__.splitlines()[0])
    parser.add_argument("--small", type=Path, help="home with a store of 10,000 articles; made when not given")
    parser.add_argument("--big", type=Path, help="home with a store of a million articles; made when not given")
    parser.add_argument("--changes", type=int, default=20, help="changes of the one session")
    parser.add_argument("--each", type=int, default=3, help="changes of each of the twenty sessions")
    parser.add_argument("--pages", default=",".join(PAGES))
    parser.add_argument("--no-peer", action="store_true", help="leave out the peer and the empty script")
    parser.add_argument("--no-write", action="store_true", help="only print")
    asked = parser.parse_args(arguments)
    small = asked.small or filled("page-10k", 10_000)
    big = asked.big or filled("page-1m", 1_000_000)
    notes: list[str] = []
    measured: dict[tuple[str, str], tuple[Times, Times]] = {}
    pages = asked.pages.split(",")
    if unknown := [name for name in pages if name not in PAGES]:
        parser.error(f"there is no page {unknown[0]!r}; any of {', '.join(PAGES)}")

    def measure(url: str, page: str, key: str, label: str) -> None:
        begun = time.perf_counter()
        measured[page, label] = one_and_twenty(url, page, key, asked.changes, asked.each)
        one, twenty = (np.percentile(times, (50, 95)) for times in measured[page, label])
        print(
            f"{label:>5} {page:<10} one session p50 {one[0]:,.0f} p95 {one[1]:,.0f} ms, twenty p50 {twenty[0]:,.0f} "
            f"p95 {twenty[1]:,.0f} ms ({time.perf_counter() - begun:.0f} s)",
            flush=True,
        )

    for label, home in (("10 k", small), ("1 M", big)):
        with served(home) as (url, process):
            for page in pages:
                measure(url, page, f"{page}.last", label)
            if label == "1 M":
                notes.append(ceiling(url, process))
        if not asked.no_peer:
            with served(home, ROOT / "bench" / "peer_page.py") as (url, _):
                measure(url, "peer", "peer.last", label)
    if not asked.no_peer:
        WORK.mkdir(exist_ok=True)
        script = WORK / "empty.py"
        script.write_text(EMPTY, encoding="utf-8")
        with served(small, script) as (url, _):
            measure(url, "empty", "", "10 k")
        pages += ["peer", "empty"]
    text = report([row(page, measured) for page in pages], notes, measured, asked.changes, asked.each)
    print(text)
    if not asked.no_write:
        write_section("page", text)


def filled(name: str, articles: int) -> Path:
    home = WORK / name
    if not (home / "headwind.db").exists():
        home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "bench.fill", "--articles", str(articles), "--home", str(home)]
        subprocess.run(command, cwd=ROOT, check=True)
    return home


@contextmanager
def served(home: Path, script: Path | None = None) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The dashboard over a home, or another script beside it, in a process of its own."""
    settings = load_settings(home=home, port=PORT)
    command = dashboard_command(settings)
    if script is not None:
        command[command.index(str(ROOT / "streamlit_app.py"))] = str(script)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADWIND_")}
    environment = {**kept, "HEADWIND_HOME": str(home), "BENCH_STORE": settings.store_url, "HEADWIND_PORT": str(PORT)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{PORT}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"page: the dashboard ended with status {process.returncode}") from None
                time.sleep(0.2)
        yield url, process
    finally:
        process.terminate()
        process.wait(20)


def one_and_twenty(url: str, page: str, key: str, changes: int, each: int) -> tuple[Times, Times]:
    """Milliseconds of each change with one session, and with twenty that pause between changes."""
    alone = opened(url, page, 0)
    alone_times = [changed(alone, key, n) for n in range(changes)]
    alone.close()
    return alone_times, together(url, page, key, each, PAUSE_S)


def together(url: str, page: str, key: str, changes: int, pause: float) -> Times:
    with ThreadPoolExecutor(4) as opening:
        sessions = list(opening.map(lambda number: opened(url, page, 1 + number), range(SESSIONS)))
    found: list[Times] = [[] for _ in sessions]

    def work(number: int) -> None:
        rng = random.Random(number)
        time.sleep(pause * rng.random())
        for n in range(changes):
            found[number].append(changed(sessions[number], key, n))
            time.sleep(pause * (0.5 + rng.random()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(sessions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for session in sessions:
        session.close()
    return [one for times in found for one in times]


def opened(url: str, page: str, number: int) -> Session:
    """A session on a page, at a month of its own, so that none finds what another has read."""
    session = Session(url)
    start = FIRST_DAY + timedelta(days=31 * number)
    session.open("" if page in ("now", "peer", "empty") else page, f"range=custom&from={start}&to={start + 30 * DAY}")
    if f"{page}.first" in session.widgets:
        changed(session, f"{page}.first", 0, start)
    return session


def changed(session: Session, key: str, n: int, day: date | None = None) -> float:
    """Another last day where the page has one (each time one that was not asked before), else the page run again."""
    if key not in session.widgets:
        answer = session.again()
    else:
        session.first = day or session.first
        value = day or session.first + (31 + n) * DAY
        answer = session.change(key, [f"{value:%Y/%m/%d}"])
    if answer.errors:
        raise SystemExit(f"page: the page showed an error: {answer.errors[0]}")
    return answer.seconds * 1000


def ceiling(url: str, process: subprocess.Popen[bytes]) -> str:
    """What twenty sessions that never pause get done."""
    begun = time.perf_counter()
    times = together(url, "now", "now.last", 4, 0.0)
    rate = len(times) / (time.perf_counter() - begun)
    memory = next(line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "VmRSS" in line)
    return (
        f"Ceiling at 1 M articles: {rate:.1f} changes a second on the page Now, twenty sessions that never pause "
        f"(p95 {np.percentile(times, 95):,.0f} ms); the server then holds {int(memory.split()[1]) // 1024} MB."
    )


def row(page: str, measured: dict[tuple[str, str], tuple[Times, Times]]) -> str:
    cells = []
    for sessions in (0, 1):
        for label in ("10 k", "1 M"):
            times = measured.get((page, label))
            cells.append("" if times is None else "{:,.0f} / {:,.0f}".format(*np.percentile(times[sessions], (50, 95))))
    name = {"peer": "peer: Now over a cached frame", "empty": "limit: an empty script"}.get(page, page)
    growth = p95_growth(page, measured)
    return f"| {name} | {' | '.join(cells)} | {'' if growth is None else f'{growth:.2f}'} |"


def p95_growth(page: str, measured: dict[tuple[str, str], tuple[Times, Times]]) -> float | None:
    if (page, "1 M") not in measured:
        return None
    return float(np.percentile(measured[page, "1 M"][0], 95) / np.percentile(measured[page, "10 k"][0], 95))


def report(
    rows: list[str], notes: list[str], measured: dict[tuple[str, str], tuple[Times, Times]], changes: int, each: int
) -> str:
    lines = [
        "## page: change of a filter to the last message",
        "",
        f"Milliseconds, p50 / p95; {changes} changes of one session; {SESSIONS} sessions of {each} changes each, "
        f"one every {PAUSE_S:.0f} s or so. Pages with a span of days move its last day by one, to days not asked for "
        "before; the others run again. Over Streamlit's own socket, without a browser. "
        f"{platform.machine()}, {os.cpu_count()} cores, sessions and server on the same ones.",
        "",
        "| page | 1 session, 10 k | 1 session, 1 M | 20 sessions, 10 k | 20 sessions, 1 M | p95 1 M / 10 k |",
        "|---|" + "---:|" * 5,
        *rows,
        "",
        *notes,
    ]
    if ("now", "1 M") in measured and ("peer", "1 M") in measured:
        ours, peer = (np.percentile(measured[name, "1 M"][0], 95) for name in ("now", "peer"))
        lines.append(f"Now against the peer at 1 M articles, one session, p95: {ours / peer:.2f} of its time.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
