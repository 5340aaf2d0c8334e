"""Faults U1, U3, U4 and U5: hostile files, and cells that a spreadsheet would run. U2's sessions: the dashboard."""

from __future__ import annotations

import csv
import io
import json
import random
import resource
import threading
import zlib
from datetime import UTC, datetime

import pytest
from openpyxl import load_workbook

from monitor.errors import UploadError
from monitor.text.export import safe_cell, to_csv, to_json, to_xlsx
from monitor.text.extract import Extracted, Limits, extract, read_file, shown_name
from tests.text import files
from tests.text.files import STORY


def refused(name: str, data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(UploadError) as caught:
        extract(name, data, limits)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(shown_name(name))
    return line


@pytest.mark.parametrize(
    "data",
    [
        b"MZ\x90\x00\x03\x00\x00\x00" + bytes(500),
        b"\x7fELF\x02\x01\x01" + bytes(500),
        b"\xcf\xfa\xed\xfe" + bytes(500),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500),
        b"\x89PNG\r\n\x1a\n" + bytes(500),
        b"\x1f\x8b\x08" + bytes(500),
    ],
)
def test_U1_a_program_or_picture_named_pdf_is_refused_by_its_content(data: bytes):
    assert "this is" in refused("report.pdf", data)


def test_U1_noise_is_not_text():
    assert "not text" in refused("report.txt", random.Random(3).randbytes(5000).replace(b"%PDF", b"xxxx"))


def test_U1_words_that_begin_like_a_program_are_words():
    assert extract("note.txt", b"MZ Holdings falls after profit warning").kind == "txt"


@pytest.mark.parametrize("name", ["../../etc/passwd", "C:\\temp\\evil.txt", "a\r\nb.txt", "x" * 5000 + ".txt", ""])
def test_U1_a_name_is_only_a_label(name: str):
    shown = shown_name(name)
    assert "/" not in shown and "\\" not in shown and "\n" not in shown
    assert 1 <= len(shown) <= 80


def test_U2_more_than_20_MB_is_refused_before_anything_is_read(tmp_path):
    data = b"a" * (20 * 1024 * 1024 + 1)
    assert "limit of 20 MB" in refused("big.txt", data)
    path = tmp_path / "big.txt"
    path.write_bytes(data)
    with pytest.raises(UploadError, match="limit of 20 MB"):
        read_file(path)


def test_U2_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UploadError, match=r"gone\.txt: cannot be read"):
        read_file(tmp_path / "gone.txt")


def test_U2_many_at_once_are_read_two_at_a_time_and_all_come_back():
    done: list[Extracted] = []
    threads = [
        threading.Thread(target=lambda n=number: done.append(extract(f"{n}.txt", f"{STORY} {n}".encode())))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=90)
    assert sorted(one.text for one in done) == [f"{STORY} {number}" for number in range(6)]


def test_U3_a_pdf_of_nested_compressed_streams_is_stopped():
    bomb = files.deflated(b"BT (x) Tj ET " * 10_000_000, 1)
    nested = zlib.compress(bomb, 9)
    data = files.pdf(content=nested, filters="/Filter [/FlateDecode /FlateDecode]")
    assert len(data) < 2_000_000
    line = refused("bomb.pdf", data, Limits(seconds=10))
    assert "refused" in line or "no page can be read" in line or "no text" in line


def test_U3_a_pdf_whose_pages_go_in_circles_ends():
    plain = files.pdf().replace(b"/Kids [3 0 R] /Count 1", b"/Kids [2 0 R] /Count 1")
    refused("loop.pdf", plain, Limits(seconds=5))


def test_U3_a_pdf_that_runs_for_ever_is_stopped_by_the_clock():
    content = b"BT " + b"(a) Tj " * 2_500_000 + b"ET"
    line = refused("slow.pdf", files.pdf(content=content), Limits(seconds=2))
    assert "longer than 2 s" in line


def test_U3_an_encrypted_pdf_says_so():
    assert "encrypted" in refused("secret.pdf", files.encrypted_pdf("word"))


@pytest.mark.parametrize(
    ("name", "container", "part"),
    [("a.docx", files.docx(), "word/document.xml"), ("a.xlsx", files.xlsx(), "xl/worksheets/sheet1.xml")],
)
def test_U3_an_office_bomb_is_refused_before_it_is_unpacked(name: str, container: bytes, part: str):
    bomb = files.with_part(container, part, b" " * (40 * 1024 * 1024))
    assert len(bomb) < 1_000_000
    assert "would unpack to" in refused(name, bomb)


def test_U3_an_office_bomb_that_lies_about_its_size_meets_the_memory_limit():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    honest = files.with_part(files.docx(), "word/document.xml", b"<a>" + b"x" * (60 * 1024 * 1024) + b"</a>")
    lying = honest.replace((60 * 1024 * 1024 + 7).to_bytes(4, "little"), (5000).to_bytes(4, "little"))
    assert lying != honest
    refused("liar.docx", lying)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300 * 1024, "kilobytes; the file itself was made in this process"


def test_U3_a_billion_laughs_in_a_document_is_not_expanded():
    entities = b"".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">'.encode() for n in range(1, 10))
    evil = b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY l0 "lol">' + entities + b"]><d>&l9;</d>"
    refused("laughs.docx", files.with_part(files.docx(), "word/document.xml", evil))


def test_U3_an_external_entity_reads_no_file(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("T0PSECRET")
    container = files.docx()
    evil = (
        f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file://{secret}">]>'
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r>'
        "<w:t>before &x; after</w:t></w:r></w:p></w:body></w:document>"
    ).encode()
    try:
        text = extract("xxe.docx", files.with_part(container, "word/document.xml", evil)).text
    except UploadError as error:
        text = str(error)
    assert "T0PSECRET" not in text


def test_U3_a_mail_nested_a_thousand_deep_ends():
    body = b"x"
    for number in range(1000):
        head = f"From: a@b.example\nSubject: {number}\nContent-Type: message/rfc822\n\n".encode()
        body = head + body
    try:
        extract("deep.eml", body)
    except UploadError as error:
        assert "\n" not in str(error)


def test_U3_what_needs_more_memory_than_the_limit_is_stopped():
    line = refused("hungry.txt", b"words and more words " * 900_000, Limits(memory=45 * 1024 * 1024))
    assert "memory" in line or "needs more than 45 MB" in line


def test_U4_a_million_columns_are_a_row_error():
    wide = ",".join(["x"] * 1_000_000)
    found = extract("wide.csv", f"title,n\nfirst,1\n{wide}\nlast,2\n".encode())
    assert found.rows == (("first", "1"), ("last", "2"))
    assert found.problems == ("line 3: 1,000,000 cells where the first row names 2 columns",)
    header = extract("wide.csv", f"{wide}\n1,2\n".encode())
    assert len(header.columns) == 200
    assert "1,000,000 columns" in header.problems[0]


def test_U4_an_open_quote_costs_its_own_row():
    rows = "".join(f"story {number},{number}\n" for number in range(1000))
    found = extract("quote.csv", f'title,n\n"never closed,1\n{rows}'.encode())
    assert len(found.rows) == 1000
    assert found.problems == ("line 2: a quote is opened and never closed",)


def test_U4_a_nul_costs_its_own_row():
    found = extract("nul.csv", b"title,n\nfirst,1\nbr\x00ken,2\nlast,3\n")
    assert [row[0] for row in found.rows] == ["first", "last"]
    assert found.problems == ("line 3: contains a NUL character",)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "gb18030", "utf-8-sig"])
def test_U4_a_table_may_come_in_any_usual_encoding(encoding: str):
    text = "title,n\n" + "储户挤兑银行,1\n" * 3 + "plain words of a story,2\n" * 6
    found = extract("t.csv", text.encode(encoding))
    assert found.columns == ("title", "n")
    assert found.rows[0] == ("储户挤兑银行", "1")
    assert found.problems == ()


def test_U4_a_hundred_thousand_rows_are_read_and_the_rest_is_named():
    found = extract("long.csv", b"title\n" + b"a story\n" * 100_050)
    assert len(found.rows) == 100_000
    assert "only the first 100,000 rows" in found.problems[-1]


FORMULAS = (
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "＝1+1",
    "－1+2",
    "＠x",
    "　=1",
)


@pytest.mark.parametrize("text", FORMULAS)
def test_U5_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str):
    assert safe_cell(text) == f"'{text}"
    assert list(csv.reader(io.StringIO(to_csv(["title"], [[text]]).decode("utf-8-sig"), newline="")))[1] == [f"'{text}"]
    cell = load_workbook(io.BytesIO(to_xlsx(["title"], [[text]]))).active["A2"]
    assert cell.data_type == "s"
    assert str(cell.value).startswith("'")


@pytest.mark.parametrize("number", [-0.83, 0.0, 7, -7, 1e-12])
def test_U5_a_number_stays_a_number(number: float):
    assert safe_cell(number) == number
    assert to_csv(["score"], [[number]]).decode("utf-8-sig").splitlines()[1] == str(number)
    cell = load_workbook(io.BytesIO(to_xlsx(["score"], [[number]]))).active["A2"]
    assert (cell.data_type, cell.value) == ("n", number)
    assert json.loads(to_json(["score"], [[number]])) == [{"score": number}]


def test_U5_text_that_is_only_a_number_is_left_as_it_is():
    assert safe_cell("-0.83") == "-0.83"
    assert safe_cell("-0.83+A1") == "'-0.83+A1"


def test_U5_a_column_name_is_a_cell_too():
    assert to_csv(["=x"], []).decode("utf-8-sig").startswith("'=x")


def test_U5_what_no_cell_can_hold_is_left_out_and_the_rest_is_written():
    row = [
        float("nan"),
        float("inf"),
        None,
        True,
        datetime(2026, 3, 2, tzinfo=UTC),
        ["a", "b"],
        "bad\x00\x0bchar",
        "储户",
    ]
    columns = [f"c{number}" for number in range(len(row))]
    line = to_csv(columns, [row]).decode("utf-8-sig").splitlines()[1]
    assert line.startswith(",,,True,2026-03-02T00:00:00+00:00,a|b,")
    values = [cell.value for cell in load_workbook(io.BytesIO(to_xlsx(columns, [row]))).active[2]]
    assert values[5:] == ["a|b", "badchar", "储户"]
    assert json.loads(to_json(columns, [row]))[0]["c0"] is None


def test_U5_what_is_exported_comes_back_as_it_was():
    data = to_csv(["title", "score"], [[STORY, -0.83], ['储户, "挤兑"', 0.5]])
    found = extract("back.csv", data)
    assert found.rows == ((STORY, "-0.83"), ('储户, "挤兑"', "0.5"))
    assert found.text_column() == "title"
