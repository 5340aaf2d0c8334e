"""What the pipeline wrote in English (sentences of alerts, time lines, errors) in the viewer's language.

Mails, the command line and what is stored stay English. The catalogue in English holds each sentence word for word, so
a sentence is found by it and said again from the other catalogue. Its numbers, dates and names stay; what is not known
stays as it is written. A test makes the pipeline's own sentences and wants none of them left over.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Final

from dashboard import i18n
from dashboard.i18n import Words

_FIELD: Final = re.compile(r"\{(\w+)\}")
_NUMBER: Final = r"[+-]?\d[\d.,]*(?:e[+-]?\d+)?%?"
_FORMS: Final = {
    **dict.fromkeys(("n", "p", "id", "low", "hours", "least", "all"), _NUMBER),
    "since": r"\d{4}-\d\d-\d\d \d\d:\d\d UTC",
    **dict.fromkeys(("part", "step", "state", "kind", "measure", "label"), r"[a-z_]+"),
    **dict.fromkeys(("field", "option"), r"'[\w.]+'"),
}
_QUOTES: Final = "'"
_FILE: Final = "said.file"
_CLAUSES: Final = frozenset({"known", "stories", "voices", "span", "usual", "slice"})
"""Fields that are sentences of their own; one that is not known leaves the whole as it is."""
_REST: Final = frozenset({"what", "why"})
"""Fields that are sentences too, and may be anything else: what an alert was, why something failed."""


def said(text: str, words: Words) -> str:
    """A sentence of the pipeline in the language of `words`."""
    return _found(text, words.language, "said.") or text


def card(text: str, words: Words) -> str:
    """A model card, line by line: headings, heads of tables and the sentences that every card has."""
    if words.language == i18n.DEFAULT:
        return text
    return "\n".join(_card_line(line, words) for line in text.splitlines())


def _card_line(line: str, words: Words) -> str:
    if line.startswith("| "):
        cells = line.strip("| ").split(" | ")
        return f"| {' | '.join(_found(cell, words.language, 'card.') or cell for cell in cells)} |"
    lead = re.match(r"#+ |- |", line)
    start = lead[0] if lead else ""
    rest = line[len(start) :]
    return start + (_found(rest, words.language, "card.") or rest)


@lru_cache(maxsize=4096)
def _found(text: str, language: str, section: str, file: bool = True) -> str | None:
    if language == i18n.DEFAULT or not text.strip():
        return text
    words = i18n.words(language)
    for key, pattern in _patterns(section):
        if key == _FILE:
            return _of_a_file(text, language) if file else None
        match = pattern.fullmatch(text)
        if match is None:
            continue
        values = {name: _value(name, value, words, section) for name, value in match.groupdict().items()}
        if all(value is not None for value in values.values()):
            return words(key, **{"n": "1", **values})
    return None


def _of_a_file(text: str, language: str) -> str | None:
    """`NAME: reason`; a name may hold a colon and a space, so the reason is the longest end that is known by itself."""
    for at in re.finditer(": ", text):
        known = _found(text[at.end() :], language, "said.", file=False)
        if known is not None:
            return i18n.words(language)(_FILE, file=text[: at.start()], known=known)
    return None


def _value(name: str, value: str, words: Words, section: str) -> str | None:
    if name in _CLAUSES:
        return _found(value, words.language, section)
    if name in _REST:
        whole = _found(value, words.language, section)
        parts = [] if whole else value.split("; ")  # what the gate finds worse is a list
        return whole or words("count.semicolon").join(_found(one, words.language, section) or one for one in parts)
    if name == "about":
        return words("count.comma").join(words.topic(topic.replace(" ", "_")) for topic in value.split(", "))
    if name == "label":
        return words.topic(value)
    if name == "series":
        return words.series(value)
    if name == "part":
        return words.get(f"series.pipeline:{value}") or value
    section_of = {"step": "event", "state": "state_of", "kind": "kind", "option": "option"}.get(name)
    if section_of is not None:
        return words.get(f"{section_of}.{value.strip(_QUOTES)}") or value
    if name == "measure":
        return words.get(f"param.measure_{value}") or value
    if name == "field":
        return words.get(f"param.{value.strip(_QUOTES).removeprefix('params.')}") or value.strip(_QUOTES)
    return value


@cache
def _patterns(section: str) -> list[tuple[str, re.Pattern[str]]]:
    """(key, what finds its English sentence), in the order of the catalogue: the narrow ones stand before the wide."""
    english = i18n.words(i18n.DEFAULT)
    return [(key.removesuffix("_one"), _pattern(english(key))) for key in english.keys(section)]


def _pattern(text: str) -> re.Pattern[str]:
    """A summary begins with a capital, a reason does not: the first letter may be either."""
    pieces = _FIELD.split(text)
    parts = [
        f"(?P<{piece}>{_FORMS.get(piece, '.+?')})" if i % 2 else re.escape(piece) for i, piece in enumerate(pieces)
    ]
    if text[:1].isalpha():
        parts[0] = f"(?i:{text[0]}){re.escape(pieces[0][1:])}"
    return re.compile("".join(parts), re.DOTALL)
