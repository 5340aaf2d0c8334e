"""Each kind of file gives its words or its table, and what was left out is said."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.errors import UploadError
from monitor.text.readers import html_text, read
from monitor.text.sniff import decode, delimiter_of
from tests.text import files
from tests.text.files import STORY


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("note.txt", STORY.encode(), "txt"),
        ("note.md", f"# {STORY}\n".encode(), "md"),
        ("page.html", f"<!doctype html><html><body><p>{STORY}</p></body></html>".encode(), "html"),
        ("note.pdf", files.pdf(), "pdf"),
        ("note.docx", files.docx(), "docx"),
        ("note.eml", files.mail(), "eml"),
        ("wrong-name.bin", files.pdf(), "pdf"),
        ("no-ending", files.mail(), "eml"),
        ("no-ending", b"<html><body>" + STORY.encode(), "html"),
    ],
)
def test_words_come_out_of_every_kind_by_its_content(name: str, data: bytes, kind: str):
    answer = read(name, data)
    assert answer["kind"] == kind
    assert STORY in answer["text"]


def test_a_workbook_gives_its_first_visible_sheet_as_a_table():
    answer = read("scores.xlsx", files.xlsx(("title", "score", None), (STORY, -0.83, 7), sheets=2))
    assert answer["columns"] == ["title", "score"]
    assert answer["rows"] == [[STORY, "-0.83"]]
    assert answer["problems"] == ["only the sheet 'Sheet' is read, of 2"]


def test_a_document_gives_its_tables_too():
    assert "left\tright" in read("a.docx", files.docx())["text"]


def test_a_mail_gives_subject_and_words_and_names_what_it_leaves_out():
    answer = read("a.eml", files.mail(html=True, attachment=True, subject="Morning  note"))
    assert answer["text"].splitlines()[0] == "Morning note"
    assert "bad()" not in answer["text"]
    assert answer["problems"] == ["1 attachment is not read"]


def test_a_page_gives_a_line_for_each_block_without_scripts():
    page = "<title>T</title><style>p{}</style><p>one &amp; <b>two</b></p><script>x='</p>'</script><p>three<br>four"
    assert html_text(page).splitlines() == ["T", "one & two", "three", "four"]


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [
        ("储户挤兑,监管部门介入调查。" * 5, "utf-8", "utf-8"),
        ("储户挤兑,监管部门介入调查。" * 5, "utf-8-sig", "utf-8"),
        ("储户挤兑,监管部门介入调查。" * 5, "gb18030", "gb18030"),
        ("储户挤兑 by clients of Harbour Bank", "gb18030", "gb18030"),
        ("Société Générale réduit ses prévisions", "cp1252", "cp1252"),
        ("Die Börse schließt schwächer", "cp1252", "cp1252"),
        ("Bank falls", "utf-16", "utf-16"),
        ("Bank falls", "utf-16-be", "utf-16-be"),
        ("Bank falls again", "utf-16-le", "utf-16-le"),
        ("Bank falls", "utf-32", "utf-32"),
        ("plain", "ascii", "utf-8"),
    ],
)
def test_an_encoding_is_found(text: str, encoding: str, found: str):
    assert decode(text.encode(encoding)) == (text, found)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_may_use_any_usual_delimiter(delimiter: str):
    text = f'title{delimiter}when\n"a{delimiter}b"{delimiter}1\nc{delimiter}2\n'
    assert delimiter_of(text) == delimiter
    answer = read("t.csv", text.encode())
    assert answer["rows"] == [[f"a{delimiter}b", "1"], ["c", "2"]]


def test_a_table_without_a_name_is_known_by_its_shape():
    assert read("upload", b"title,when\na,1\nb,2\n")["kind"] == "csv"
    assert read("upload", b"A bank, which was small, fell.\nNobody noticed.\n")["kind"] == "txt"


def test_a_table_of_one_column_is_a_table():
    answer = read("t.csv", b"text\nfirst\nsecond\n")
    assert (answer["columns"], answer["rows"]) == (["text"], [["first"], ["second"]])


def _problems(data: bytes) -> dict[str, Any]:
    return read("t.csv", data)


def test_a_cell_may_span_lines():
    assert _problems(b'title,n\n"one\ntwo",1\nlast,2\n')["rows"] == [["one\ntwo", "1"], ["last", "2"]]


def test_an_inch_sign_in_a_cell_does_not_swallow_the_next_rows():
    answer = _problems(b'title,n\n5" pipe,1\n6" pipe,2\nlast,3\n')
    assert [row[1] for row in answer["rows"]] == ["1", "2", "3"]


def test_short_rows_are_filled_and_names_are_made_unique():
    answer = _problems(b"title,,title\na\nb,2,3\n")
    assert answer["columns"] == ["title", "column 2", "title 3"]
    assert answer["rows"] == [["a", "", ""], ["b", "2", "3"]]


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b" \r\n\x00", "empty"),
        ("a.pdf", b"just words", "plain text, not pdf"),
        ("a.docx", files.zip_of(readme_dot_txt=b"x"), "an archive"),
        ("a.docx", files.docx()[:-400], "damaged"),
        ("a.pdf", b"%PDF-1.4\ngarbage", "damaged|no text|no page"),
        ("a.txt", bytes(range(256)) * 10, "not text"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(name: str, data: bytes, why: str):
    with pytest.raises(UploadError, match=why) as caught:
        read(name, data)
    assert "\n" not in str(caught.value)
