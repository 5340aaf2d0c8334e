"""The command line: exit status 0 done, 1 failed with one line on standard error, 2 wrong usage; nothing lost."""

from __future__ import annotations

import json
import socket
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from monitor.cli import main
from monitor.samples import past_items

ARCHIVE = """title,published,summary,source
Northmoor Bank warns of losses on property loans,2026-03-02T08:00:00+00:00,The lender set aside more money.,Osprey Point
Velmara Steel wins a rail order,2026-03-02T09:30:00+00:00,,Candlemark
Thornbury Foods names a finance chief,2026-03-03T11:00:00+00:00,,Candlemark
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        status = main(list(arguments))
    except SystemExit as exit_:  # argparse ends wrong usage this way
        status = int(exit_.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def one_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 1, text
    return lines[0]


def test_an_empty_store_answers_status_with_every_agreed_key(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "status", "--json")
    answer = json.loads(out)
    assert status == 0
    assert answer["articles"] == answer["stories"] == answer["unscored"] == answer["quarantined"] == 0
    assert set(answer["feeds"]) >= {"total", "ok", "failing", "silent", "disabled"}
    assert set(answer["deliveries"]) >= {"pending", "sent", "failed", "dead"}
    assert {"unsupported", "alerts_open", "model_version", "data_as_of"} <= set(answer)


def test_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "no-such-command")[0] == 2
    assert run(capsys, "watch", "--now", "yesterday")[0] == 2


def test_an_archive_is_imported_once_and_scored(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    archive = tmp_path / "archive.csv"
    archive.write_text(ARCHIVE, encoding="utf-8")
    assert run(capsys, "import", str(archive))[0] == 0
    again = run(capsys, "import", str(archive))
    assert again[0] == 0
    assert "0 imported, 3 already there" in again[1]
    status, out, _ = run(capsys, "score")
    assert status == 0, out
    answer = json.loads(run(capsys, "status", "--json")[1])
    assert (answer["articles"], answer["unscored"]) == (3, 0)
    assert answer["model_version"]
    assert run(capsys, "rollups", "--verify")[0] == 0


def test_a_bad_row_is_reported_by_line_and_skipped(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    archive = tmp_path / "archive.csv"
    archive.write_text(ARCHIVE + ",2026-03-04,no title,x\nNo date at all,soon,,x\n", encoding="utf-8")
    status, out, err = run(capsys, "import", str(archive))
    assert status == 0
    assert "3 imported" in out
    assert "2 skipped" in out
    assert "5" in err
    assert "6" in err


def test_an_archive_with_wrong_columns_is_one_clear_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    archive = tmp_path / "archive.csv"
    archive.write_text("headline,when\nSomething,2026-01-01\n", encoding="utf-8")
    status, _, err = run(capsys, "import", str(archive))
    assert status == 1
    line = one_line(err)
    assert "title" in line
    assert "archive.csv" in line
    assert json.loads(run(capsys, "status", "--json")[1])["articles"] == 0


def test_an_absent_archive_is_one_clear_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, _, err = run(capsys, "import", str(tmp_path / "absent.csv"))
    assert status == 1
    assert "absent.csv" in one_line(err)


def test_a_port_in_use_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("HEADWIND_PORT", str(taken.getsockname()[1]))
        status, _, err = run(capsys, "up")
    assert status == 1
    assert "HEADWIND_PORT" in one_line(err)
    assert not own_home.exists(), "nothing is created before the port is known to be free"


def test_listening_to_strangers_without_a_login_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWIND_ADDRESS", "0.0.0.0")
    status, _, err = run(capsys, "web")
    assert status == 1
    assert "login" in one_line(err)


LOGIN = """[auth]
redirect_uri = "https://desk.example/oauth2callback"
cookie_secret = "0123456789abcdef0123456789abcdef"
client_id = "headwind"
client_secret = "s3cret"
server_metadata_url = "https://id.example/.well-known/openid-configuration"
"""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("# [auth]\n", "no section [auth]"),
        ("[auth]\nredirect_uri = \n", "is not TOML"),
        (LOGIN.replace("client_id", "client"), "'client_id'"),
        (LOGIN.replace("0123456789abcdef0123456789abcdef", "short"), "'cookie_secret'"),
        (LOGIN.replace("/oauth2callback", "/"), "'redirect_uri'"),
    ],
)
@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1"])
def test_a_login_that_cannot_be_used_is_never_no_login(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    own_home: Path,
    text: str,
    named: str,
    address: str,
) -> None:
    own_home.mkdir(parents=True)
    (own_home / "login.toml").write_text(text)
    monkeypatch.setenv("HEADWIND_ADDRESS", address)
    for command in ("web", "up"):
        status, _, err = run(capsys, command)
        assert status == 1
        assert named in one_line(err)
        assert "s3cret" not in err
    assert not (own_home / "headwind.db").exists()


def test_a_named_login_file_that_is_missing_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADWIND_LOGIN_FILE", str(tmp_path / "absent.toml"))
    status, _, err = run(capsys, "up")
    assert status == 1
    assert "absent.toml" in one_line(err)


def test_with_a_login_the_dashboard_may_listen_elsewhere(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from monitor.settings import load_settings
    from monitor.supervisor import check_address, dashboard_command
    from tests.tools import free_port

    own_home.mkdir(parents=True)
    (own_home / "login.toml").write_text(LOGIN)
    settings = load_settings(address="0.0.0.0", port=free_port())
    check_address(settings)
    assert f"--secrets.files={own_home.resolve() / 'login.toml'}" in dashboard_command(settings)


def test_a_broken_settings_file_is_one_clear_line(capsys: pytest.CaptureFixture[str], own_home: Path) -> None:
    own_home.mkdir(parents=True)
    (own_home / "headwind.toml").write_text("port = [\n")
    status, _, err = run(capsys, "status")
    assert status == 1
    assert "headwind.toml" in one_line(err)


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\x00" + b"\x07" * 3000])
def test_a_damaged_database_is_one_clear_line_and_left_as_it_is(
    capsys: pytest.CaptureFixture[str], own_home: Path, content: bytes
) -> None:
    own_home.mkdir(parents=True)
    database = own_home / "headwind.db"
    database.write_bytes(content)
    status, _, err = run(capsys, "status")
    assert status == 1
    assert "headwind.db" in one_line(err)
    assert database.read_bytes() == content


def test_settings_are_listed_without_their_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWIND_EGRESS_PROXY", "http://me:hunter2@proxy.internal:3128")
    status, out, _ = run(capsys, "settings")
    assert status == 0
    assert "HEADWIND_EGRESS_PROXY" in out
    assert "hunter2" not in out


def test_sample_news_is_added_marked_and_removed_whole(now) -> None:
    from monitor.app import open_app

    app = open_app()
    try:
        app.prepare(now)
        added = app.add_sample_news(now)
        assert added == len(past_items(now))
        assert app.store.status().samples == added
        assert {entity.name for entity in app.store.entities()} >= {"Calderwick Bank"}
        assert app.add_sample_news(now + timedelta(minutes=1)) == 0, "a second click adds nothing"
        app.remove_sample_news(now)
        assert app.store.status().articles == 0
        assert app.store.status().samples == 0
    finally:
        app.close()


def test_a_company_is_watched_and_no_longer_watched_by_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    added = run(capsys, "watchlist", "add", "Acme Bank", "--alias", "Acme", "--alias", "Acme AG", "--weight", "2.5")
    assert added[:2] == (0, "1 entity saved, 0 mentions found in the store\n")
    assert run(capsys, "watchlist", "add", "ACME BANK", "--ticker", "ACMB")[0] == 0, "the same company"
    assert run(capsys, "watchlist", "add", "Acme Bank", "--alias", "Acme")[0] == 0, "replaced"
    rows = run(capsys, "watchlist", "list")[1].splitlines()[1:]
    assert [row.split("  ")[0] for row in rows if "cme" in row.lower()] == ["Acme Bank"]
    whole = tmp_path / "watchlist.csv"
    assert run(capsys, "watchlist", "export", str(whole))[0] == run(capsys, "watchlist", "import", str(whole))[0] == 0
    status, _, err = run(capsys, "watchlist", "add", "Acme Bank", "--weight", "heavy")
    assert (status, "column 'weight': 'heavy'" in one_line(err)) == (1, True)
    status, _, err = run(capsys, "watchlist", "remove", "Acme")
    assert (status, "there is no 'Acme'" in one_line(err)) == (1, True)
    assert run(capsys, "watchlist", "remove", "Acme Bank")[0] == 0
    assert "Acme" not in run(capsys, "watchlist", "list")[1]


def test_a_feed_is_paused_and_resumed_by_number_and_its_password_is_not_shown(
    capsys: pytest.CaptureFixture[str], now: datetime
) -> None:
    from monitor.app import open_app
    from monitor.domain import NewFeed

    url = "https://desk:hunter2@wire.example/feed.xml"
    app = open_app()
    app.prepare(now)
    feed = app.store.add_feed(NewFeed(url=url, title="Wire", publisher="Wire", family="Wire", language="en"), now)
    app.close()
    shown = run(capsys, "feeds", "list")[1]
    assert "hunter2" not in shown and "***@wire.example" in shown
    assert run(capsys, "feeds", "pause", str(feed.id))[:2] == (0, "https://***@wire.example/feed.xml is paused\n")
    assert "disabled" in next(line for line in run(capsys, "feeds", "list")[1].splitlines() if "wire.example" in line)
    assert run(capsys, "feeds", "resume", url)[0] == 0
    assert "disabled" not in next(
        line for line in run(capsys, "feeds", "list")[1].splitlines() if "wire.example" in line
    )
    status, _, err = run(capsys, "feeds", "pause", "999999")
    assert (status, one_line(err)) == (1, "headwind: feed 999999: not found")
    assert run(capsys, "feeds", "remove", str(feed.id))[0] == 0
    assert "wire.example" not in run(capsys, "feeds", "list")[1]


def test_a_round_in_which_no_feed_could_be_read_fails_and_a_feed_is_polled_by_its_number(
    capsys: pytest.CaptureFixture[str], now: datetime
) -> None:
    from monitor.app import open_app
    from monitor.domain import NewFeed

    urls = ["http://desk:hunter2@127.0.0.1:9/a.xml", "http://127.0.0.1:9/b.xml"]
    app = open_app()
    app.prepare(now)
    first, _ = [app.store.add_feed(NewFeed(url=url, publisher="Wire"), now) for url in urls]
    app.close()
    status, out, err = run(capsys, "poll")
    assert status == 1 and len(out.splitlines()) == 2 and "none of the 2 feeds polled could be read" in one_line(err)
    status, out, err = run(capsys, "poll", "--feed", str(first.id))
    assert status == 1 and "http://***@127.0.0.1:9/a.xml: " in out and "hunter2" not in out + err


@pytest.mark.parametrize("command", [("watchlist", "export"), ("feeds", "export-opml")])
def test_a_file_that_cannot_be_written_is_one_line(
    command: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "absent" / "out"
    assert main([*command, str(place)]) == 1
    assert capsys.readouterr().err.splitlines() == [f"headwind: {place}: No such file or directory"]


def test_what_rules_brought_and_how_much_was_right_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, _ = run(capsys, "rules", "list")
    assert status == 0
    assert "a week" in out.splitlines()[0]
    assert any(line.startswith("negative-spike") and "2.5" in line and "0 of 0" in line for line in out.splitlines())
    status, out, _ = run(capsys, "alerts", "precision", "--weeks", "3", "--json")
    assert [week["judged"] for week in json.loads(out)] == [0, 0, 0]
    status, _, err = run(capsys, "alerts", "precision", "--rule", "nonsense")
    assert (status, "nonsense" in one_line(err)) == (1, True)
    status, _, err = run(capsys, "alerts", "precision", "--weeks", "0")
    assert (status, "weeks" in one_line(err)) == (1, True)


def test_verdicts_go_out_as_labelled_rows(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "labels.csv"
    assert run(capsys, "verdicts", "export", str(target))[1].startswith("0 labelled rows")
    assert target.read_text(encoding="utf-8") == "text,summary,sentiment,topics\n"
