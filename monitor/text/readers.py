"""Text and tables out of each kind of file. Runs in the child process of monitor/text/extract.py only: what these
libraries do with a hostile file is bounded by that process, not by them.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as mail_policy
from html.parser import HTMLParser
from typing import Any, Final

from monitor.errors import UploadError
from monitor.text import sniff
from monitor.text.tables import MAX_COLUMNS, MAX_ROWS, Table, read_csv

MAX_TEXT: Final = 2_000_000
MAX_PAGES: Final = 1_000
MAX_UNPACKED: Final = 256 * 1024 * 1024
MAX_RATIO: Final = 150
MAX_ENTRIES: Final = 10_000
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def read(name: str, data: bytes) -> dict[str, Any]:
    """The answer of the child: kind, text, columns, rows, problems, encoding. Raises `UploadError`."""
    container = sniff.container(data)
    if container == "pdf":
        return _text_answer("pdf", *_pdf(data))
    if container == "zip":
        kind = _office_kind(data)
        return _table_answer("xlsx", _xlsx(data)) if kind == "xlsx" else _text_answer("docx", _docx(data), [])
    text, encoding = sniff.decode(data)
    kind = sniff.text_kind(text, name)
    ending = name.lower().rpartition(".")[2]
    if ending in sniff.BINARY_KINDS:
        raise UploadError(f"the content is plain text, not {ending}")
    if kind == "csv":
        return {**_table_answer("csv", read_csv(text)), "encoding": encoding}
    if kind == "eml":
        return _text_answer("eml", *_mail(data))
    plain = html_text(text) if kind == "html" else text
    return {**_text_answer(kind, plain, []), "encoding": encoding}


def _text_answer(kind: str, text: str, problems: list[str]) -> dict[str, Any]:
    clean = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not clean:
        raise UploadError("no text was found in it" + ("; a scanned PDF has none" if kind == "pdf" else ""))
    if len(clean) > MAX_TEXT:
        problems = [*problems, f"only the first {MAX_TEXT:,} characters are read"]
    return {"kind": kind, "text": clean[:MAX_TEXT], "columns": [], "rows": [], "problems": problems, "encoding": ""}


def _table_answer(kind: str, table: Table) -> dict[str, Any]:
    if not table.columns:
        raise UploadError("the table has no row")
    rows = [[_CONTROL.sub("", cell) for cell in row] for row in table.rows]
    columns = [_CONTROL.sub("", column) for column in table.columns]
    return {"kind": kind, "text": "", "columns": columns, "rows": rows, "problems": table.problems, "encoding": ""}


# ── zip containers ───────────────────────────────────────────────────────────────────────────────────────────────


def _office_kind(data: bytes) -> str:
    """docx or xlsx, after the directory of the zip file was checked for bombs, before anything is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise UploadError("the file is damaged or cut short") from error
    if len(entries) > MAX_ENTRIES:
        raise UploadError(f"refused: {len(entries):,} parts inside")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MAX_UNPACKED or unpacked > MAX_RATIO * max(len(data), 65536):
        raise UploadError(f"refused: it would unpack to {unpacked / 1e6:,.0f} MB")
    if any(entry.flag_bits & 1 for entry in entries):
        raise UploadError("the file is encrypted; save it without a password")
    names = {entry.filename for entry in entries}
    if "word/document.xml" in names:
        return "docx"
    if "xl/workbook.xml" in names:
        return "xlsx"
    raise UploadError("this is an archive, not .docx or .xlsx")


def _docx(data: bytes) -> str:
    from docx import Document
    from docx.table import Table as DocxTable

    def cells(table: DocxTable) -> str:
        return "\n".join("\t".join(cell.text for cell in row.cells) for row in table.rows)

    document = _opened("docx", lambda: Document(io.BytesIO(data)))
    parts: list[str] = []
    size = 0
    for block in document.iter_inner_content():
        parts.append(cells(block) if isinstance(block, DocxTable) else block.text)
        size += len(parts[-1])
        if size > MAX_TEXT:
            break
    return "\n".join(parts)


def _xlsx(data: bytes) -> Table:
    """The first sheet that is shown. Formulas give their stored values; a formula that was never computed is empty."""
    from openpyxl import load_workbook

    book = _opened("xlsx", lambda: load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False))
    sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.worksheets
    if not sheets:
        raise UploadError("the workbook has no sheet")
    table = Table()
    rows = sheets[0].iter_rows(max_col=MAX_COLUMNS, max_row=4 * MAX_ROWS, values_only=True)
    for number, cells in enumerate(rows, 1):
        if table.full:
            table.problem(number, f"only the first {MAX_ROWS:,} rows are read")
            break
        table.add(number, [_cell(cell) for cell in cells], aligned=True)
    if len(sheets) > 1:
        table.problems.append(f"only the sheet {sheets[0].title!r} is read, of {len(sheets)}")
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _opened(kind: str, opener: Callable[[], Any]) -> Any:
    """A file of that kind, or one line that it is damaged: each library has a dozen ways to say so."""
    try:
        return opener()
    except MemoryError:
        raise
    except Exception as error:
        raise UploadError(f"the .{kind} file is damaged ({type(error).__name__})") from error


# ── pdf ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _pdf(data: bytes) -> tuple[str, list[str]]:
    from pypdf import PdfReader

    reader = _opened("pdf", lambda: PdfReader(io.BytesIO(data)))
    if reader.is_encrypted:
        _open_lock(reader)
    pages: list[str] = []
    problems: list[str] = []
    size = 0
    count = _opened("pdf", lambda: len(reader.pages))
    for number in range(min(count, MAX_PAGES)):
        try:
            text = reader.pages[number].extract_text()
        except MemoryError:
            raise
        except Exception as error:  # one page that cannot be read does not take the others with it
            problems.append(f"page {number + 1} cannot be read ({type(error).__name__})")
            continue
        pages.append(text)
        size += len(text)
        if size > MAX_TEXT:
            break
    if count > MAX_PAGES:
        problems.append(f"only the first {MAX_PAGES:,} of {count:,} pages are read")
    if problems and not any(page.strip() for page in pages):
        raise UploadError(f"no page can be read; {problems[0]}")
    return "\n\n".join(pages), problems[:20]


def _open_lock(reader: Any) -> None:
    """Many PDFs are encrypted with an empty password, to forbid printing; those open."""
    try:
        opened = reader.decrypt("")
    except Exception as error:
        raise UploadError(f"the PDF is encrypted ({type(error).__name__}); save it without a password") from error
    if not opened:
        raise UploadError("the PDF is encrypted; save it without a password")


# ── html, mail ───────────────────────────────────────────────────────────────────────────────────────────────────

_BLOCKS: Final = frozenset(
    {
        "address",
        "article",
        "aside",
        "blockquote",
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "td",
        "th",
        "title",
        "tr",
        "ul",
    }
)
_UNSEEN: Final = frozenset({"script", "style", "template", "noscript", "svg", "iframe", "object"})


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(data)


def html_text(page: str) -> str:
    """The words of a page, a line for each block; scripts, styles and what is not shown are left out."""
    words = _Words()
    words.feed(page)
    words.close()
    lines = (" ".join(line.split()) for line in "".join(words.parts).split("\n"))
    return "\n".join(line for line in lines if line)


def _mail(data: bytes) -> tuple[str, list[str]]:
    message = message_from_bytes(data, policy=mail_policy)
    assert isinstance(message, EmailMessage)
    body = message.get_body(preferencelist=("plain", "html"))
    text = ""
    if body is not None:
        raw = body.get_content()
        text = html_text(raw) if body.get_content_type() == "text/html" else str(raw)
    attached = sum(1 for _ in message.iter_attachments()) if message.is_multipart() else 0
    problems = [f"{attached} attachment{'s are' if attached > 1 else ' is'} not read"] if attached else []
    subject = " ".join(str(message.get("Subject", "")).split())
    return f"{subject}\n\n{text}".strip(), problems
