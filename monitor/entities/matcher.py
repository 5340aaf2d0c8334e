"""Which watched entities a headline and its lead name: exactly by their aliases, wary of common words.

All aliases are searched at once with an Aho-Corasick automaton (Aho and Corasick 1975), so a watchlist of ten
thousand costs no more than one of ten. The longest match wins; letters of other words around a match refuse it; in
Chinese, which has no word breaks, any occurrence counts.

An alias of one word that is written with a capital never matches small letters ("Strides", not "made good strides").
It is matched with exactly its case when it could be another word: a short one, a ticker, one in capitals, or a common
English word ("Knight", "Turkey", "BP"); and a common word counts in a headline in title case only at its start, for
there every word has a capital.

What this does not do: tell a company from a person of that name, or from a common word that opens a sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import ahocorasick

from monitor.domain import Entity, Mention
from monitor.entities.common_words import COMMON_WORDS

TITLE, LEAD = "title", "lead"
_LEAD_LENGTH = 600
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_WORD = re.compile(r"[A-Za-z][\w'-]*")
_WEIGHT = {TITLE: 1.0, LEAD: 0.8}


class _Case(Enum):
    ANY = "any"
    CAPITAL = "capital"  # not in small letters
    EXACT = "exact"
    WORD = "word"  # exact, and not inside a headline in title case: it is a common word


@dataclass(frozen=True, slots=True)
class _Alias:
    entity_id: int
    text: str  # as it is written
    case: _Case
    sure: float


class Matcher:
    """Built once for a watchlist, asked for many articles. Immutable; a changed watchlist gets a new one."""

    def __init__(self, entities: Sequence[Entity]) -> None:
        self._automaton = ahocorasick.Automaton()
        by_key: dict[str, list[_Alias]] = {}
        for entity in entities:
            for alias in _aliases(entity):
                by_key.setdefault(_fold(alias.text), []).append(alias)
        for key, aliases in by_key.items():
            self._automaton.add_word(key, (len(key), tuple(aliases)))
        self._empty = not by_key
        if by_key:
            self._automaton.make_automaton()

    def mentions(self, title: str, summary: str = "") -> tuple[Mention, ...]:
        """At most one mention per entity: in the title if it is there, else in the lead."""
        if self._empty:
            return ()
        found: dict[int, Mention] = {}
        for where, text in ((TITLE, title), (LEAD, summary[:_LEAD_LENGTH])):
            for alias in self._search(text):
                sure = round(alias.sure * _WEIGHT[where], 3)
                known = found.get(alias.entity_id)
                if known is None or (known.where == where and known.confidence < sure):
                    found[alias.entity_id] = Mention(
                        entity_id=alias.entity_id, where=where, confidence=sure, alias=alias.text
                    )
        return tuple(found.values())

    def _search(self, text: str) -> list[_Alias]:
        plain = _same_length(text)
        folded = _fold_same_length(plain)
        hits = []
        for last, (length, aliases) in self._automaton.iter(folded):
            start, end = last + 1 - length, last + 1
            if _bounded(plain, start, end):
                written = plain[start:end]
                inside_title_case = start > 0 and _in_title_case(plain)
                fitting = [alias for alias in aliases if _fits(alias, written, inside_title_case)]
                if fitting:
                    hits.append((start, end, fitting))
        hits.sort(key=lambda hit: (hit[0] - hit[1], hit[0]))
        taken: list[tuple[int, int]] = []
        found = []
        for start, end, fitting in hits:
            if all(end <= other_start or start >= other_end for other_start, other_end in taken):
                taken.append((start, end))
                found.extend(fitting)
        return found


def _aliases(entity: Entity) -> list[_Alias]:
    names = [(name, False) for name in (entity.name, *entity.aliases)]
    if entity.ticker:
        names.append((entity.ticker, True))
    found: dict[str, _Alias] = {}
    for name, ticker in names:
        text = " ".join(unicodedata.normalize("NFKC", name).split())
        if len(text) < 2 or (ticker and len(text) < 3):
            continue  # one letter, or a ticker such as F or GM, says nothing in running text
        found.setdefault(text, _Alias(entity.id, text, *_caution(text, ticker)))
    return list(found.values())


def _caution(text: str, ticker: bool) -> tuple[_Case, float]:
    """(which case a match must have, how sure it is)."""
    if _CJK.search(text):
        return _Case.ANY, 0.95 if len(text) > 2 else 0.8
    if text.casefold() in COMMON_WORDS:
        return _Case.WORD, 0.6
    if ticker:
        return _Case.EXACT, 0.8
    if len(text) <= 4 or text.isupper():
        return _Case.EXACT, 0.9
    if " " not in text and text[0].isupper():
        return _Case.CAPITAL, 0.95
    return _Case.ANY, 0.95


def _fits(alias: _Alias, written: str, inside_title_case: bool) -> bool:
    if alias.case is _Case.ANY:
        return True
    if alias.case is _Case.CAPITAL:
        return written != written.lower()
    return _same_length(alias.text) == written and not (alias.case is _Case.WORD and inside_title_case)


def _in_title_case(text: str) -> bool:
    """Whether most longer words have a capital, so that a capital says nothing."""
    words = [word for word in _WORD.findall(text) if len(word) > 3]
    return len(words) >= 3 and sum(word[0].isupper() for word in words) >= 0.75 * len(words)


def _bounded(text: str, start: int, end: int) -> bool:
    """Whether the match ends where words end. Between Chinese characters every place is such an end."""
    return _edge(text, start - 1, start) and _edge(text, end - 1, end)


def _edge(text: str, left: int, right: int) -> bool:
    if left < 0 or right >= len(text):
        return True
    one, other = text[left], text[right]
    if _CJK.match(one) or _CJK.match(other):
        return True
    return not (one.isalnum() and other.isalnum())


def _same_length(text: str) -> str:
    """Full-width forms narrowed and typographic marks straightened, one character for one, so that places agree."""
    narrowed = (
        "".join(form if len(form := unicodedata.normalize("NFKC", char)) == 1 else char for char in text)
        if not text.isascii()
        else text
    )
    return narrowed.replace("’", "'").replace("‘", "'").replace("\u00a0", " ").replace("‑", "-")


def _fold_same_length(text: str) -> str:
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(c if len(c.lower()) > 1 else c.lower() for c in text)


def _fold(text: str) -> str:
    return _fold_same_length(_same_length(text))


def overlapping(changed: Sequence[Entity], everyone: Sequence[Entity]) -> list[Entity]:
    """Those of `everyone` that are changed, or have a name that lies within a name of a changed one or around it."""
    ids = {entity.id for entity in changed}
    texts = [_fold(alias.text) for entity in changed for alias in _aliases(entity)]
    found = []
    for entity in everyone:
        if entity.id in ids:
            found.append(entity)
            continue
        own = [_fold(alias.text) for alias in _aliases(entity)]
        if any(one in other or other in one for one in own for other in texts):
            found.append(entity)
    return found
