"""What a file is, by its content: the name is only asked between kinds of plain text. Pure."""

from __future__ import annotations

import codecs
import re
from typing import Final

from monitor.errors import UploadError

KINDS: Final = ("txt", "md", "csv", "xlsx", "html", "pdf", "docx", "eml")
BINARY_KINDS: Final = frozenset({"pdf", "docx", "xlsx"})

_REFUSED: Final = (
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
    (b"\xfe\xed\xfa", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\xd0\xcf\x11\xe0", "an old or encrypted Office file; save it as .docx or .xlsx without a password"),
    (b"{\\rtf", "RTF; save it as .docx"),
    (b"\x1f\x8b", "a compressed archive"),
    (b"BZh", "a compressed archive"),
    (b"\xfd7zXZ", "a compressed archive"),
    (b"7z\xbc\xaf", "a compressed archive"),
    (b"Rar!", "a compressed archive"),
    (b"\x28\xb5\x2f\xfd", "a compressed archive"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"II*\x00", "an image"),
    (b"SQLite format 3", "a database"),
    (b"PAR1", "a Parquet file; save it as .csv"),
)
_HEADER: Final = re.compile(
    r"(?:from|to|subject|date|received|return-path|delivered-to|mime-version|message-id|content-type|sender|reply-to"
    r"|x-[a-z0-9-]+|dkim-signature|authentication-results|arc-[a-z-]+):",
    re.IGNORECASE,
)
_HTML: Final = re.compile(r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_MARKDOWN: Final = re.compile(r"^(?:#{1,6} \S|```|\s*[-*] \[.\]|\[[^\]]+\]\([^)]+\))", re.MULTILINE)
_DELIMITERS: Final = (",", ";", "\t", "|")
_ODD: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ufffe\uffff]")


def container(data: bytes) -> str:
    """pdf, zip or text. Raises `UploadError` (without the name) for what is none of them."""
    if not data.strip(b"\x00 \t\r\n"):
        raise UploadError("the file is empty")
    head = data[:1024]
    for magic, what in _REFUSED:
        if head.startswith(magic) and not (magic == b"MZ" and _is_words(head)):
            raise UploadError(f"this is {what}")
    if b"%PDF-" in head:
        return "pdf"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head.startswith(b"PK"):
        raise UploadError("this is an empty or split archive")
    return "text"


def decode(data: bytes) -> tuple[str, str]:
    """(text, encoding). Byte order marks, UTF-8, UTF-16 without a mark, GB18030, then Windows-1252.

    GB18030 accepts nearly any bytes, so it is believed only when the bytes above 127 come in pairs, as they do in
    Chinese and do not in western European text. Raises `UploadError` when the result is not text.
    """
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            text = data.decode(encoding, "replace").removeprefix("\ufeff")
            return _checked(text), encoding
    try:
        text = data.decode("utf-8")
        if "\x00" not in text[:4096] or _utf16_order(data) is None:
            return _checked(text), "utf-8"
    except UnicodeDecodeError:
        pass  # not UTF-8: the other encodings are tried below
    order = _utf16_order(data)
    if order is not None:
        return _checked(data.decode(order, "replace")), order
    if _pairs_share(data) >= 0.8:
        return _checked(data.decode("gb18030", "replace")), "gb18030"
    return _checked(data.decode("cp1252", "replace")), "cp1252"


def text_kind(text: str, name: str) -> str:
    """txt, md, csv, html or eml, of what is text already."""
    head = text[:4096]
    if head.lstrip().startswith("<") and _HTML.search(head):
        return "html"
    if is_mail(head):
        return "eml"
    ending = name.lower().rpartition(".")[2]
    if ending in ("csv", "tsv"):
        return "csv"
    if ending in ("txt", "text", "md", "markdown", "log"):
        return "md" if ending in ("md", "markdown") else "txt"
    if _looks_like_table(text):
        return "csv"
    return "md" if _MARKDOWN.search(head) else "txt"


def is_mail(head: str) -> bool:
    """Header lines from the first line on, at least two of them ones that mails have."""
    seen = 0
    for line in head.splitlines()[:40]:
        if not line.strip():
            break
        if line[0] in " \t" and seen:
            continue
        if not re.match(r"[A-Za-z0-9-]{1,60}:", line):
            return False
        seen += bool(_HEADER.match(line))
    return seen >= 2


def delimiter_of(text: str) -> str:
    """The delimiter that splits the first lines most evenly; a comma when there is nothing to choose by."""
    lines = [line for line in text[:65536].splitlines() if line.strip()][:20]
    best, most = ",", 0
    for delimiter in _DELIMITERS:
        counts = [_outside_quotes(line, delimiter) for line in lines]
        if counts and counts[0] > most and sum(count == counts[0] for count in counts) * 2 >= len(counts):
            best, most = delimiter, counts[0]
    if most == 0 and lines:
        best = max(_DELIMITERS, key=lambda delimiter: _outside_quotes(lines[0], delimiter))
        best = best if _outside_quotes(lines[0], best) else ","
    return best


def _looks_like_table(text: str) -> bool:
    lines = [line for line in text[:65536].splitlines() if line.strip()][:20]
    delimiter = delimiter_of(text)
    counts = [_outside_quotes(line, delimiter) for line in lines]
    same = sum(count == counts[0] for count in counts)
    return len(lines) >= 2 and counts[0] >= 1 and same == len(counts) and len(lines[0]) <= 300


def _outside_quotes(line: str, delimiter: str) -> int:
    return sum(part.count(delimiter) for part in line.split('"')[::2])


def _is_words(head: bytes) -> bool:
    return all(byte >= 32 or byte in (9, 10, 13) for byte in head[:256])


def _utf16_order(data: bytes) -> str | None:
    """utf-16-le or utf-16-be when the zero bytes of ASCII letters stand on one side only."""
    sample = data[:4096]
    if len(sample) < 4 or len(data) % 2:
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if odd > 0.3 * half and even < 0.02 * half:
        return "utf-16-le"
    if even > 0.3 * half and odd < 0.02 * half:
        return "utf-16-be"
    return None


def _pairs_share(data: bytes) -> float:
    """Share of the bytes above 127 that stand in pairs as GB2312 has them (both bytes 0xA1 or above)."""
    high = [len(run.group()) for run in re.finditer(rb"[\x80-\xff]+", data[:262_144])]
    paired = sum(length for length in high if length % 2 == 0)
    return paired / sum(high) if high else 0.0


def _checked(text: str) -> str:
    sample = text[:65536]
    if len(_ODD.findall(sample)) > 0.05 * len(sample) or sample.count("\ufffd") > 0.1 * len(sample):
        raise UploadError("this is not text")
    return text
