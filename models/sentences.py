"""Where sentences begin and end, in English and Chinese, by a light rule. No model, no word lists to download.

The rule errs on the side of not splitting: two sentences read as one are still scored, half a sentence is not.
Figures (3.5), abbreviations (U.S., Inc., No. 4), initials and list numbers do not end a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

LONGEST: Final = 1000
"""Characters; a "sentence" beyond this is a table or a list, and is cut at a space so that it can be scored."""

# A full stop ends a sentence only before white space, which keeps 3.5 and reuters.com whole; Chinese needs none.
_END: Final = re.compile(
    r"""
    (?P<stop>(?<![.!?…])[.!?…]++["'”’»)\]]*+)(?=\s|$)
    | (?P<wide>[。！？；…]+[”’」』）》"]*)
    | (?P<line>\n\s*)
    """,
    re.VERBOSE,
)


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Always followed by what they belong to.
_LEADING: Final = _listed(
    "mr mrs ms dr prof sen rep gov gen col lt sgt capt st mt no nos vol art sec fig eq vs cf e.g i.e approx est "
    "jan feb mar apr jun jul aug sep sept oct nov dec messrs hon rev"
)
# May end a sentence, so what follows decides.
_EITHER: Final = _listed("inc corp ltd co plc llc bros jr sr etc al a.m p.m ph.d dept bn mn pct")

# Words that open a sentence and hardly ever follow "U.S." or "Inc." within one.
_OPENERS: Final = _listed(
    "the a an it its he she they we this that these those in on at but and however meanwhile for as after before "
    "while when if there his her their our both some many most all no not by with from since under despite"
)
_LAST_WORD: Final = re.compile(r"[^\s(\[\"'“‘]+$")
_NEXT_WORD: Final = re.compile(r"\s*[\"'“‘(\[]*([^\s]*)")
_ACRONYM: Final = re.compile(r"(?:[A-Za-z]\.)*[A-Za-z]")
_NUMBERING: Final = re.compile(r"\s*\(?(?:\d{1,3}|[ivxIVX]{1,5}|[a-zA-Z])\s*")
_BULLET: Final = re.compile(r"[-–—•*▪·]\s")

# A line shorter than this that is followed by a new line is a heading or an item; longer ones are wrapped text.
_WRAPPED: Final = 60


def split_sentences(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each sentence in characters, in order, without the white space around them; never empty ones.

    Nothing visible is left out: the spans cover every character that is not white space.
    """
    start = 0
    for match in _END.finditer(text):
        if match["line"] is not None:
            if _line_breaks(text, start, match):
                yield from _cut(text, start, match.start())
                start = match.end()
        elif match["wide"] is not None or _stop_ends(text, start, match):
            yield from _cut(text, start, match.end())
            start = match.end()
    yield from _cut(text, start, len(text))


def _stop_ends(text: str, start: int, match: re.Match[str]) -> bool:
    following = _NEXT_WORD.match(text, match.end(), match.end() + 200)
    after = following[1] if following else ""
    if after[:1].islower():
        return False
    if not match["stop"].startswith(".") or match["stop"].startswith(".."):
        return True
    # Looked for in the last few characters only: a text of a megabyte without a space must not be searched each time.
    before = _LAST_WORD.search(text[max(start, match.start() - 40) : match.start()])
    word = before[0] if before else ""
    if _NUMBERING.fullmatch(text, start, match.start()):
        return False
    plain = word.lower()
    if plain in _LEADING:
        # "No. 4" and "Nov. 3", but "He said no. Then he left."
        return plain in {"no", "est", "mar", "art", "sec"} and after[:1].isupper() and _opens(after)
    if plain in _EITHER or _ACRONYM.fullmatch(word):
        return not after or _opens(after)
    return True


def _opens(word: str) -> bool:
    return word[:1].isupper() and word.strip(",;:'’\"").lower() in _OPENERS


def _line_breaks(text: str, start: int, match: re.Match[str]) -> bool:
    """A blank line always ends a sentence; a single line end does where the line was no wrapped text."""
    if match["line"].count("\n") > 1 or match.end() >= len(text):
        return True
    if _BULLET.match(text, match.end()):
        return True
    before = text[max(start, match.start() - 8) : match.start()].rstrip()
    if text[match.end()].islower() or before[-1:] in {",", "-", "，", "、"}:
        return False
    # The first line of an article is its title, however long: it is joined to the lead by a line end.
    line_start = text.rfind("\n", 0, match.start()) + 1
    return line_start == 0 or match.start() - max(line_start, start) < _WRAPPED


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The span without surrounding white space, in pieces of at most `LONGEST` characters."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    while end - start > LONGEST:
        space = max(text.rfind(" ", start + 1, start + LONGEST), text.rfind("\n", start + 1, start + LONGEST))
        stop = space if space > start else start + LONGEST
        yield start, stop
        start = stop
        while start < end and text[start].isspace():
            start += 1
    if start < end:
        yield start, end
