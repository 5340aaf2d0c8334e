from __future__ import annotations

from pathlib import Path

import pytest

from monitor.domain import Entity
from monitor.entities.watchlist import parse_watchlist, read_watchlist, write_watchlist
from monitor.errors import UploadError

GOOD = "name,aliases,ticker,lei,weight\nAcme Bank,Acme|Acme  Group,ACMB,5493001KJTIIGC8Y1R12,2.5\n中国平安,平安,,,\n"


def test_a_watchlist_is_read_and_written_back_the_same() -> None:
    entities = parse_watchlist(GOOD.encode())
    assert entities[0] == Entity(
        id=0, name="Acme Bank", aliases=("Acme", "Acme Group"), ticker="ACMB", lei="5493001KJTIIGC8Y1R12", weight=2.5
    )
    assert entities[1].name == "中国平安"
    assert parse_watchlist(write_watchlist(entities).encode()) == entities


@pytest.mark.parametrize("weight", [2.0, 1234567.5, 98_765_432.0, 0.1, 1e22])
def test_a_weight_is_written_back_to_its_last_digit(weight: float) -> None:
    entities = [Entity(id=0, name="Acme Bank", weight=weight)]
    assert parse_watchlist(write_watchlist(entities).encode()) == entities


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_spreadsheets_of_any_encoding_are_read(encoding: str) -> None:
    assert parse_watchlist(GOOD.encode(encoding))[1].name == "中国平安"


def test_a_name_that_a_spreadsheet_would_run_is_written_as_text_and_read_back() -> None:
    entities = [Entity(id=0, name="=SUM(A1)", aliases=("+7",))]
    text = write_watchlist(entities)
    assert "'=SUM(A1)" in text
    assert parse_watchlist(text.encode()) == entities


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("aliases\nAcme\n", "row 1: the column 'name' is missing"),
        ("name,colour\nAcme,red\n", "row 1: unknown column 'colour'"),
        ("name,name\nAcme,Acme\n", "row 1: the column 'name' stands there twice"),
        ("name,weight\nAcme,1\nBeta,heavy\n", "row 3, column 'weight': 'heavy'"),
        ("name,weight\nAcme,-1\n", "row 2, column 'weight'"),
        ("name,lei\nAcme,123\n", "row 2, column 'lei': '123'"),
        ("name,ticker\n,ACMB\n", "row 2, column 'name': is empty"),
        ("name\nAcme\nacme\n", "row 3, column 'name': 'acme' stands there twice"),
        ("name\nAcme,too,many\n", "row 2: has 3 cells"),
        ('name\n"Acme\n', "is not CSV"),
        ("name\n", "holds no entity"),
        ("name\nAc\x07me\n", "row 2, column 'name': holds a control character"),
    ],
)
def test_a_broken_watchlist_is_refused_whole_naming_row_and_column(text: str, told: str) -> None:
    with pytest.raises(UploadError) as caught:
        parse_watchlist(text.encode(), "list.csv")
    assert str(caught.value).startswith("list.csv: ")
    assert told in str(caught.value)


def test_a_file_that_is_missing_or_binary_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UploadError, match="cannot be read"):
        read_watchlist(tmp_path / "none.csv")
    (tmp_path / "image.csv").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\xff\xfe\xff")
    with pytest.raises(UploadError):
        read_watchlist(tmp_path / "image.csv")


def test_the_sample_watchlist_is_good() -> None:
    sample = Path(__file__).parents[2] / "monitor" / "sample" / "watchlist.csv"
    assert len(read_watchlist(sample)) >= 10
