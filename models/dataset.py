"""Labelled files, read strictly: every fault names the file, the line and the column, and nothing is used by halves.

Also the splits. Rows that tell one story (near-duplicate texts, in whichever corpus they stand) go to one side
together, and the newest headlines are held out as a block, so a score cannot come from having read the answer.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import html
import io
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from models.backend import join_title_and_summary
from models.errors import DataError
from models.labels import MAX_TOPICS, SENTIMENTS, TOPICS
from models.sources import PRODUCT, SOURCES, Source

UNLABELLED: Final = "unlabelled"
"""Source of the rows that nobody labelled: for masked-language pre-training and for a pupil of other models."""

_LINK: Final = re.compile(r"https?://\S+|www\.\S+")
_SPACE: Final = re.compile(r"\s+")
_MARKUP_SOURCES: Final = ("twitter_financial_news_sentiment", "twitter_financial_news_topic", "fiqa_2018_task1")


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text.

    sentiment: index into `SENTIMENTS`, or None where the source does not say.
    topics: indices into `TOPICS`, most central first; empty where the source does not say.
    auxiliary: index into the labels of the source's own head, or None.
    meta: further columns (published, source, set, agreement, ...) for slices and splits.
    """

    text: str
    summary: str
    source: str
    line: int
    sentiment: int | None = None
    topics: tuple[int, ...] = ()
    auxiliary: int | None = None
    meta: Mapping[str, str] = field(default_factory=dict)

    @property
    def joined(self) -> str:
        """Title and summary as one text, exactly as the product joins them."""
        return join_title_and_summary(self.text, self.summary)


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def source_of(path: Path, columns: Iterable[str] = ()) -> Source:
    """The source a file belongs to: a known corpus by its stem, else the product's own convention."""
    known = SOURCES.get(path.name.split(".")[0])
    if known is not None and (known.kind == "product" or known.label_column in set(columns)):
        return known
    return replace(PRODUCT, name=path.name.split(".")[0])


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, row) of a CSV file, plain or gzip, UTF-8 with a header.

    Raises DataError for a file that is missing, empty, not UTF-8, without header or with rows of another width.
    """
    try:
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = _column_at(raw, error.start)
        raise DataError(f"{path}: line {line}, column {column}: not UTF-8; save the file as UTF-8") from error
    csv.field_size_limit(1 << 27)
    reader = csv.reader(io.StringIO(content, newline=""))
    try:
        header = [name.strip() for name in next(reader, [])]
        if not any(header):
            raise DataError(f"{path}: line 1: the header row with the column names is missing")
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                raise DataError(f"{path}: line {reader.line_num}, column {header[0]}: the row is empty")
            if len(cells) != len(header):
                name = header[min(len(cells), len(header)) - 1]
                wrong = f"{len(cells)} cells where the header has {len(header)}"
                raise DataError(f"{path}: line {reader.line_num}, column {name}: {wrong}")
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: not readable as CSV ({error})") from error


def _column_at(raw: bytes, offset: int) -> str:
    """The column name of the byte at `offset`, as well as it can be told from the separators of its line."""
    header = raw.split(b"\n", 1)[0].decode("utf-8", errors="replace").strip("\ufeff\r").split(",")
    start = raw.rfind(b"\n", 0, offset) + 1
    unquoted = re.sub(rb'"[^"]*("|$)', b"", raw[start:offset])
    return header[min(unquoted.count(b","), len(header) - 1)] if start else "1 of the header"


def clean_text(text: str, source: str = "") -> str:
    """Collapse white space; of tweets and posts also take out links and HTML entities, which carry no label."""
    if source in _MARKUP_SOURCES:
        text = _LINK.sub(" ", html.unescape(text))
    return _SPACE.sub(" ", text).strip()


def says_nothing(text: str, source: str) -> bool:
    """Whether a row has no text to learn from by its nature: a tweet of links alone, a Reuters story without title."""
    return not clean_text(text, source) and (source == "reuters21578" or bool(_LINK.search(text)))


def load_file(path: Path) -> list[Example]:
    """Read one labelled file in its own convention (see models/sources.py). Raises DataError; see the module."""
    rows = list(read_rows(path))
    if not rows:
        raise DataError(f"{path}: line 2: the file has a header but no rows")
    source = source_of(path, rows[0][1])
    read = _read_product if source.kind == "product" else _read_auxiliary
    return read(path, source, rows)


def load_unlabelled(path: Path) -> list[Example]:
    """Texts without labels: a CSV file with a column `text` or `title`, and perhaps `summary`. Raises DataError.

    Rows without a text are passed over: archives have them, and they can teach nothing.
    """
    rows = list(read_rows(path))
    if not rows:
        raise DataError(f"{path}: line 2: the file has a header but no rows")
    column = next((name for name in ("text", "title") if name in rows[0][1]), None)
    if column is None:
        raise DataError(f"{path}: line 1, column text: missing, and so is title; the file has {', '.join(rows[0][1])}")
    found = [
        Example(text, clean_text(row.get("summary", "")), UNLABELLED, line)
        for line, row in rows
        if (text := clean_text(row[column]))
    ]
    return list({normalise(example.text): example for example in found}.values())


def _require(path: Path, row: Mapping[str, str], columns: Iterable[str]) -> None:
    missing = [name for name in columns if name not in row]
    if missing:
        raise DataError(f"{path}: line 1, column {missing[0]}: missing; the file has {', '.join(row)}")


def _read_product(path: Path, source: Source, rows: Sequence[tuple[int, dict[str, str]]]) -> list[Example]:
    _require(path, rows[0][1], ["text"])
    if "sentiment" not in rows[0][1] and "topics" not in rows[0][1]:
        raise DataError(f"{path}: line 1, column sentiment: missing, and so is topics; one of them is needed")
    found = []
    for line, row in rows:
        text = clean_text(row["text"])
        if not text:
            raise DataError(f"{path}: line {line}, column text: empty")
        named = row.get("sentiment", "").strip()
        if named and named not in SENTIMENTS:
            raise DataError(f"{path}: line {line}, column sentiment: {named!r} is none of {', '.join(SENTIMENTS)}")
        found.append(
            Example(
                text=text,
                summary=clean_text(row.get("summary", "")),
                source=source.name,
                line=line,
                sentiment=SENTIMENTS.index(named) if named else None,
                topics=_parse_topics(path, line, row.get("topics", "")),
                meta={
                    key: value for key, value in row.items() if key not in ("text", "summary", "sentiment", "topics")
                },
            )
        )
    if not any(example.sentiment is not None or example.topics for example in found):
        raise DataError(f"{path}: line 2, column sentiment: no row of the file has a sentiment or a topic")
    return found


def _parse_topics(path: Path, line: int, cell: str) -> tuple[int, ...]:
    names = [name.strip() for name in cell.split("|") if name.strip()]
    for name in names:
        if name not in TOPICS:
            raise DataError(f"{path}: line {line}, column topics: {name!r} is not a topic of the guide")
    if len(set(names)) != len(names) or len(names) > MAX_TOPICS:
        raise DataError(f"{path}: line {line}, column topics: one to {MAX_TOPICS} different topics, found {cell!r}")
    if "other" in names and len(names) > 1:
        raise DataError(f"{path}: line {line}, column topics: 'other' stands alone, found {cell!r}")
    return tuple(TOPICS.index(name) for name in names)


def _read_auxiliary(path: Path, source: Source, rows: Sequence[tuple[int, dict[str, str]]]) -> list[Example]:
    _require(path, rows[0][1], [source.text_column, source.label_column])
    labels = source.head_labels
    found = []
    for line, row in rows:
        text = clean_text(row[source.text_column], source.name)
        named = row[source.label_column].strip()
        if source.name == "reuters21578":
            known = [name for name in named.split("|") if name in labels]
            # Only stories with one topic of the list: the head is a softmax, and two answers would contradict it.
            if len(known) != 1:
                continue
            named = known[0]
        if says_nothing(row[source.text_column], source.name):
            continue
        if not text:
            raise DataError(f"{path}: line {line}, column {source.text_column}: empty")
        if named not in source.labels:
            raise DataError(
                f"{path}: line {line}, column {source.label_column}: {named!r} is none of {', '.join(source.labels)}"
            )
        mapped = source.labels[named]
        if mapped is None:
            continue
        keep = {k: v for k, v in row.items() if k in ("agreement", "date", "published", "kind", "lewissplit", "source")}
        summary = clean_text(row[source.summary_column])[:600] if source.summary_column else ""
        found.append(Example(text, summary, source.name, line, auxiliary=labels.index(mapped), meta=keep))
    return _without_contradictions(found)


def _without_contradictions(examples: list[Example]) -> list[Example]:
    """One row per text; a text with two labels (two targets in one headline) teaches nothing and is dropped."""
    by_text: dict[str, list[Example]] = {}
    for example in examples:
        by_text.setdefault(normalise(example.text), []).append(example)
    return [rows[0] for rows in by_text.values() if len({row.auxiliary for row in rows}) == 1]


def check_classes(path: Path, examples: Sequence[Example]) -> None:
    """Raise DataError when a labelled column holds a single class: nothing could be learned from it."""
    columns = {
        "sentiment": Counter(e.sentiment for e in examples if e.sentiment is not None),
        "topics": Counter(e.topics[0] for e in examples if e.topics),
        "label": Counter(e.auxiliary for e in examples if e.auxiliary is not None),
    }
    for column, counts in columns.items():
        if len(counts) == 1:
            raise DataError(f"{path}: line {examples[0].line}, column {column}: the whole file has one class only")


def normalise(text: str) -> str:
    """A text for comparison: NFKC, lower case, no links, letters and digits only."""
    folded = unicodedata.normalize("NFKC", _LINK.sub(" ", text)).casefold()
    return " ".join(re.findall(r"\w+", folded))
