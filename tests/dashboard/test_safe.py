"""Text from outside on its way to markdown, plotly, HTML and spreadsheets."""

from __future__ import annotations

import io
import json

import openpyxl
import pandas as pd
import pytest

from dashboard import markup, tables
from dashboard.safe import chart_text, plain, safe_link


@pytest.mark.parametrize("text", ["a*b*", "[x](javascript:1)", "# h", "`code`", "$$e$$", ":red[x]", "<b>x</b>", "1. x"])
def test_plain_escapes_every_mark_of_markdown(text: str) -> None:
    escaped = plain(text)
    for place, char in enumerate(escaped):
        if char in "*[]()#`$:<>_!.":
            assert escaped[place - 1] == "\\"


def test_plain_keeps_the_visible_characters() -> None:
    visible = plain("R&D: 3 * [a](b) :smile:").replace("\\", "").replace("\u2060", "")
    assert visible == "R&D: 3 * [a](b) :smile:"


def test_plain_is_one_line() -> None:
    assert "\n" not in plain("a\n\n# b\r\x00c")


def test_chart_text_knows_no_tags() -> None:
    assert chart_text("<a href='x'>b</a> & <b>c</b>") == "&lt;a href='x'&gt;b&lt;/a&gt; &amp; &lt;b&gt;c&lt;/b&gt;"
    assert chart_text("abcdefgh", 5) == "abcd…"


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//host/x", "", None, "http://", "http://[x"],
)
def test_only_web_addresses_are_links(url: str | None) -> None:
    assert safe_link(url) is None


def test_a_web_address_stays_a_link() -> None:
    assert safe_link(" https://news.invalid/a?b=1 ") == "https://news.invalid/a?b=1"


def test_a_story_line_is_text_and_links_only_where_safe() -> None:
    hostile = markup.story_line("<img src=x onerror=alert(1)>", "<script>", "javascript:alert(1)", "negative")
    assert "<img" not in hostile
    assert "<script" not in hostile
    assert "href" not in hostile


def test_highlighting_escapes_what_it_marks() -> None:
    html = markup.highlighted("<b>bad</b> news", [(0, 3, 0.5), (11, 15, -0.4)], "negative")
    assert "<b>" not in html
    assert html.count("<mark") == 2


@pytest.mark.parametrize("cell", ["=1+1", "+1+1", "-1+cmd", "@x", "\tx"])
def test_U5_a_cell_that_a_spreadsheet_would_run_is_text(cell: str) -> None:
    frame = pd.DataFrame({"title": [cell], "score": [-0.83]})
    text = tables.export(frame, "csv").decode("utf-8-sig")
    assert "-0.83" in text
    assert "'-0.83" not in text
    sheet = openpyxl.load_workbook(io.BytesIO(tables.export(frame, "xlsx"))).active
    assert sheet is not None
    assert str(sheet.cell(2, 1).value).startswith("'")
    assert sheet.cell(2, 2).value == -0.83


def test_json_keeps_text_as_it_is() -> None:
    assert json.loads(tables.export(pd.DataFrame({"t": ["=1+1"], "n": [None]}), "json")) == [{"t": "=1+1", "n": None}]
