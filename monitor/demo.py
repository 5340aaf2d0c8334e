"""`make demo`: the real product on a throw-away store, with our sample news and a negative spike on the way.

The past is imported; sample feeds are served on loopback and polled like any other; their later polls bring the bad
morning of an invented bank. Nothing is faked behind the feeds: the worker fetches, scores, counts and alerts.
"""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitor.app import open_app
from monitor.domain import ChannelConfig, NewFeed
from monitor.logs import set_up_logs
from monitor.sample_feeds import SampleFeedServer
from monitor.samples import past_items, publishers, spike_items
from monitor.settings import PREFIX, load_settings
from monitor.supervisor import Supervisor, check_address

PACE = 0.01  # ninety minutes of the story pass in under a minute


def run_demo(keep: str | None, after_s: float) -> int:
    """Prepare the throw-away store, serve the sample feeds, and run worker and dashboard until stopped."""
    with tempfile.TemporaryDirectory(prefix="headwind-demo-", ignore_cleanup_errors=True) as temporary:
        home = Path(keep) if keep else Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        # The children read these; a database of the operator's own must not be touched by a demonstration.
        os.environ[f"{PREFIX}HOME"] = str(home)
        os.environ[f"{PREFIX}DATABASE_URL"] = ""
        os.environ[f"{PREFIX}CONFIG"] = ""
        # Nor a watcher outside be told that the desk's host is alive, nor loopback be looked for behind a proxy.
        os.environ[f"{PREFIX}HEARTBEAT_URL"] = ""
        os.environ[f"{PREFIX}EGRESS_PROXY"] = ""
        os.environ[f"{PREFIX}ALLOW_NETWORKS"] = "127.0.0.0/8"
        settings = load_settings()
        check_address(settings)
        set_up_logs(settings.log_level, home / "logs")
        app = open_app(settings)
        try:
            now = datetime.now(UTC)
            print("Headwind demo: reading and scoring six weeks of sample news ...", flush=True)
            app.prepare()
            count = app.add_sample_news(now)
            app.score("demo", lambda: datetime.now(UTC))
            print(f"  {count} articles of invented companies are in the store", flush=True)
            start = datetime.now(UTC) + timedelta(seconds=after_s)
            server = SampleFeedServer(past_items(now), spike_items(start, PACE))
            server.start()
            for publisher in publishers().values():
                app.store.add_feed(
                    NewFeed(
                        url=f"{server.base}/{publisher.slug}.xml",
                        title=publisher.name,
                        publisher=publisher.name,
                        family=publisher.family,
                        language=publisher.language,
                        sample=True,
                    ),
                    now,
                )
            app.store.save_channel(ChannelConfig(name="console", kind="console"), "demo", now)
            print(f"Headwind: {settings.links_base}   (Ctrl-C stops it and removes {home})", flush=True)
            print(f"  bad news about Calderwick Bank begins in {after_s:.0f} s; watch Now and Alerts", flush=True)
            try:
                Supervisor(app).run()
            finally:
                server.stop()
        finally:
            app.close()
    return 0
