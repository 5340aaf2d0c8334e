"""Labelled files are read strictly, and a story never stands on both sides of a split."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from models.backend import LEAD_LENGTH, join_title_and_summary
from models.batches import draw_rounds, order_by_length, targets_of
from models.corpus import load_corpus
from models.dataset import Example, check_classes, clean_text, load_file, load_unlabelled
from models.errors import DataError
from models.labels import TOPICS
from models.network import IGNORE
from models.sources import SOURCES, heads_of
from models.splits import assign_splits, story_ids

HEADER = "text,sentiment,topics\n"
GOOD = (
    'Halden shares slump,negative,market_move\n"Kestrel, a bank, wins deal",positive,business_operations|market_move\n'
)


def write(folder: Path, content: str, name: str = "news.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(content.encode(encoding))
    return path


def test_a_good_file_is_read_with_its_lines(tmp_path: Path) -> None:
    first, second = load_file(write(tmp_path, HEADER + GOOD))
    assert (first.sentiment, first.topics, first.line) == (0, (TOPICS.index("market_move"),), 2)
    assert second.text == "Kestrel, a bank, wins deal"
    assert [TOPICS[k] for k in second.topics] == ["business_operations", "market_move"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("title,sentiment\nA,negative\n", "line 1, column text: missing"),
        ("text,tone\nA,negative\n", "line 1, column sentiment: missing"),
        (HEADER + GOOD + "Orlanda fined,bad,\n", "line 4, column sentiment: 'bad'"),
        (HEADER + GOOD + "Orlanda fined,negative,fines\n", "line 4, column topics: 'fines'"),
        (HEADER + "Orlanda fined,negative,other|litigation\n", "line 2, column topics: 'other' stands alone"),
        (HEADER + GOOD + ",negative,litigation\n", "line 4, column text: empty"),
        (HEADER + GOOD + ",,\n", "line 4, column text: the row is empty"),
        (HEADER + "Orlanda fined,negative\n", "line 2, column sentiment: 2 cells"),
        (HEADER, "line 2: the file has a header but no rows"),
        ("", "line 1: the header row"),
        (HEADER + "Orlanda fined,,\n", "no row of the file has a sentiment or a topic"),
    ],
)
def test_a_bad_file_is_refused_with_line_and_column(tmp_path: Path, content: str, says: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError) as refusal:
        load_file(path)
    assert says in str(refusal.value) and "news.csv" in str(refusal.value)


def test_a_file_in_another_encoding_is_refused_with_line_and_column(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + GOOD + "Zürich bank fined,negative,litigation\n", encoding="latin-1")
    with pytest.raises(DataError, match="line 4, column text: not UTF-8"):
        load_file(path)


def test_one_class_only_is_refused_before_training(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "A falls,negative,\nB slumps,negative,\n")
    with pytest.raises(DataError, match="line 2, column sentiment: the whole file has one class only"):
        load_corpus([path], [])
    check_classes(path, load_file(write(tmp_path, HEADER + GOOD)))


def test_excluding_an_unknown_source_names_those_there_are(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + GOOD)
    with pytest.raises(DataError, match=r"--exclude gold.*news"):
        load_corpus([path], ["gold"])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv: cannot be read"):
        load_file(tmp_path / "absent.csv")


def test_a_compressed_corpus_keeps_its_convention(tmp_path: Path) -> None:
    rows = (
        "newid,title,body,topics\n1,WHEAT RISES,Body.,grain|wheat\n2,A AND B,Body.,earn|acq\n3,BANK NET UP,Body.,earn\n"
    )
    path = tmp_path / "reuters21578.csv.gz"
    path.write_bytes(gzip.compress(rows.encode()))
    grain, earn = load_file(path)
    labels = SOURCES["reuters21578"].head_labels
    assert grain.auxiliary is not None and earn.auxiliary is not None
    assert [labels[grain.auxiliary], labels[earn.auxiliary]] == ["grain", "earn"]


def test_foreign_labels_never_reach_the_product_heads(tmp_path: Path) -> None:
    path = write(tmp_path, "text,label\nA rises,positive\nB and C differ,mixed\nD falls,negative\n", "sentfin.csv")
    examples = load_file(path)
    assert [example.text for example in examples] == ["A rises", "D falls"]
    assert all(example.sentiment is None and not example.topics for example in examples)
    found = targets_of(examples[0], {"sentfin": 4})
    assert found["sentiment"] == IGNORE and found["primary"] == IGNORE and found["topics"][0] < 0
    assert (found["auxiliary_head"], found["auxiliary_label"]) == (4, 2)


def test_a_text_with_two_answers_is_dropped(tmp_path: Path) -> None:
    path = write(
        tmp_path, "text,label\nA beats B,positive\nA beats B,negative\nC falls,negative\n", "fiqa_2018_task1.csv"
    )
    assert [example.text for example in load_file(path)] == ["C falls"]


def test_tweets_lose_links_and_entities() -> None:
    cleaned = clean_text("A &amp; B  rally https://t.co/x1", "twitter_financial_news_sentiment")
    assert cleaned == "A & B rally"


def test_every_auxiliary_head_has_one_list_of_labels() -> None:
    for name, labels in heads_of(list(SOURCES.values())).items():
        for source in SOURCES.values():
            if source.head == name:
                assert source.head_labels == labels


def test_near_duplicates_are_one_story() -> None:
    first, second, third = story_ids(
        [
            "Halden Motors shares slump after a surprise profit warning on Monday",
            "Halden Motors shares slump after a surprise profit warning on Tuesday",
            "Central bank leaves rates unchanged",
        ]
    )
    assert first == second != third


def test_a_story_stays_on_one_side_in_every_corpus() -> None:
    titles = [f"Company {k} reports profit number {k * 7} for quarter {k % 4} of the year" for k in range(300)]
    product = [Example(title, "", "headlines", k, sentiment=k % 3) for k, title in enumerate(titles)]
    foreign = [Example(title.upper(), "", "sentfin", k, auxiliary=0) for k, title in enumerate(titles)]
    splits = assign_splits([*product, *foreign])
    assert splits[:300] == splits[300:]
    assert set(splits) == {"train", "dev", "test"}


def test_the_newest_headlines_are_held_out() -> None:
    titles = [f"story{k} about subject{k} and place{k}" for k in range(200)]
    rows = [
        Example(title, "", "headlines", k, meta={"published": f"20{10 + k // 20}-01-{k % 20 + 1:02d}"})
        for k, title in enumerate(titles)
    ]
    splits = assign_splits(rows)
    later = [row.meta["published"] for row, split in zip(rows, splits, strict=True) if split == "later"]
    others = [row.meta["published"] for row, split in zip(rows, splits, strict=True) if split != "later"]
    assert later and min(later) > max(others)


def test_rounds_go_on_through_a_source_and_the_order_is_reproducible() -> None:
    examples = [Example(f"p{k}", "", "headlines", k) for k in range(50)]
    examples += [Example(f"g{k}", "", "gold_commodity_news", k, auxiliary=0) for k in range(100)]
    rounds = draw_rounds(examples, 10, seed=1, shares={"gold_commodity_news": 0.1})
    assert all(sum(row < 50 for row in drawn) == 50 for drawn in rounds)
    assert {row for drawn in rounds for row in drawn if row >= 50} == set(range(50, 150))
    lengths = [len(example.text) for example in examples]
    order = order_by_length(rounds, lengths, 8, seed=1)
    assert sorted(order) == sorted(row for drawn in rounds for row in drawn)
    assert order == order_by_length(draw_rounds(examples, 10, 1, {"gold_commodity_news": 0.1}), lengths, 8, seed=1)


def test_batches_hold_texts_of_like_length_in_every_round() -> None:
    lengths = [10, 90] * 101
    order = order_by_length([list(range(202))] * 3, lengths, 4, seed=1)
    batches = [order[start : start + 4] for start in range(0, len(order), 4)]
    mixed = [batch for batch in batches if len({lengths[row] for row in batch}) > 1]
    assert sorted(order) == sorted([*range(202)] * 3) and len(mixed) <= 12, "one in a window of 24 at most"


def test_an_archive_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "headlines.csv.gz"
    path.write_bytes(gzip.compress(b"text,sentiment\nFerry halts,negative\n" * 50)[:-12])
    with pytest.raises(DataError, match=r"headlines\.csv\.gz: cannot be read"):
        load_file(path)


def test_a_lead_is_read_to_the_end_of_a_word() -> None:
    joined = join_title_and_summary("Halden slumps", "word " * 100)
    assert joined.startswith("Halden slumps\nword") and joined.endswith("word")
    assert len(joined) <= len("Halden slumps\n") + LEAD_LENGTH
    assert len(join_title_and_summary("标题", "长" * 400)) == 3 + LEAD_LENGTH
    assert join_title_and_summary(" A ", "A") == "A" and join_title_and_summary("A", None) == "A"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("headline\nFerry halts\n", "line 1, column text: missing, and so is title; the file has headline"),
        ("title\n", "line 2: the file has a header but no rows"),
        ("title,summary\nFerry halts\n", "line 2, column title: 1 cells where the header has 2"),
    ],
)
def test_an_unlabelled_file_without_texts_is_refused(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(DataError) as refusal:
        load_unlabelled(write(tmp_path, content))
    assert says in str(refusal.value)


def test_unlabelled_titles_are_read_once_each(tmp_path: Path) -> None:
    rows = load_unlabelled(write(tmp_path, "title,summary\nFerry halts,Ice.\nFERRY halts!,\n,A lead.\nPort opens,\n"))
    assert sorted(row.text for row in rows) == ["FERRY halts!", "Port opens"]
    assert all(row.sentiment is None and row.topics == () and row.auxiliary is None for row in rows)
