"""Which watched entities a headline and its lead name: exactly by their aliases, wary of common words.

All aliases are searched at once with an Aho-Corasick automaton (Aho and Corasick 1975), so a watchlist of ten
thousand costs no more than one of ten. The longest match wins; letters of other words around a match refuse it; in
Chinese, which has no word breaks, any occurrence counts.

An alias of one word that is written with a capital never matches small letters ("Strides", not "made good strides").
It is matched with exactly its case when it could be another word: a short one, a ticker, one in capitals, or a common
English word ("Knight", "Turkey", "BP"); and a common word counts in a headline in title case only at its start, for
there every word has a capital. In a headline that is all capitals, so may these be.

What stands around a match may speak against it (`context.py`): a person's name, a fund or a place named after the
company, another company of its group. Which of two is meant by "Acme" in "Acme Energy" the watchlist tells: where it
knows a longer name ("Acme Bank"), of the same entity or of another one, other lines of business are others; where it
knows none, the mention stands, less surely.

What this does not do: tell a company from a person who is named nowhere but in passing, or from a common word that
opens a sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import ahocorasick

from monitor.domain import Entity, Mention
from monitor.entities import context
from monitor.entities.common_words import COMMON_WORDS
from monitor.entities.company_words import LINES

TITLE, LEAD = "title", "lead"
_LEAD_LENGTH = 600
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_WEIGHT = {TITLE: 1.0, LEAD: 0.8}
_MARKED = 0.9  # how sure a ticker is that is marked as one
_UNSETTLED = 0.6  # and a name that goes on with a line of business of which the watchlist knows nothing


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
    own: frozenset[str] = frozenset()  # lines of business with which longer names of the entity go on
    speaks: bool = False  # it is whom the headline quotes, not whom it is about
    shared: bool = False  # another watched entity's name goes on from here with a line of business


class Matcher:
    """Built once for a watchlist, asked for many articles. Immutable; a changed watchlist gets a new one."""

    def __init__(self, entities: Sequence[Entity]) -> None:
        self._automaton = ahocorasick.Automaton()
        self._tickers: dict[str, list[_Alias]] = {}
        by_key: dict[str, list[_Alias]] = {}
        longer = _longer_names(entities)
        for entity in entities:
            for alias in _aliases(entity):
                key = _fold(alias.text)
                onward = longer.get(key, ())
                own = frozenset(line for owner, line in onward if owner == entity.id)
                shared = any(owner != entity.id for owner, _ in onward)
                by_key.setdefault(key, []).append(replace(alias, own=own, shared=shared) if onward else alias)
            if entity.ticker:
                ticker = entity.ticker.upper().partition(".")[0]
                self._tickers.setdefault(ticker, []).append(_Alias(entity.id, entity.ticker, _Case.EXACT, _MARKED))
        for key, aliases in by_key.items():
            self._automaton.add_word(key, (len(key), tuple(aliases)))
        self._empty = not by_key
        if by_key:
            self._automaton.make_automaton()

    def mentions(self, title: str, summary: str = "") -> tuple[Mention, ...]:
        """At most one mention per entity: in the title if it is there, else in the lead. Whom a headline only quotes
        is named in passing, as in a lead."""
        if self._empty:
            return ()
        found: dict[int, Mention] = {}
        for where, text in ((TITLE, title), (LEAD, summary[:_LEAD_LENGTH])):
            for alias in self._search(text):
                place = LEAD if alias.speaks else where
                sure = round(alias.sure * _WEIGHT[place], 3)
                known = found.get(alias.entity_id)
                if known is None or (place, sure) > (known.where, known.confidence):  # "title" comes after "lead"
                    found[alias.entity_id] = Mention(
                        entity_id=alias.entity_id, where=place, confidence=sure, alias=alias.text
                    )
        return tuple(found.values())

    def _search(self, text: str) -> list[_Alias]:
        plain = _same_length(text)
        hits = []
        for last, (length, aliases) in self._automaton.iter(_fold_same_length(plain)):
            start, end = last + 1 - length, last + 1
            if _edge(plain, start - 1, start) and _edge(plain, end - 1, end):
                fitting = [fit for alias in aliases if (fit := _fit(alias, plain, start, end))]
                if fitting:
                    hits.append((start, end, fitting))
        hits.sort(key=lambda hit: (hit[0] - hit[1], hit[0]))
        taken: list[tuple[int, int]] = []
        found: list[_Alias] = []
        for start, end, fitting in hits:
            if all(end <= other_start or start >= other_end for other_start, other_end in taken):
                taken.append((start, end))
                found.extend(kept for alias in fitting if (kept := _settled(alias, plain, start, end)))
        if self._tickers:
            for _, _, ticker in context.marked_tickers(plain):
                found.extend(self._tickers.get(ticker, ()))
        return found


def _longer_names(entities: Sequence[Entity]) -> dict[str, set[tuple[int, str]]]:
    """From the beginnings of names that go on with a line of business to (whose name it is, which line)."""
    found: dict[str, set[tuple[int, str]]] = {}
    for entity in entities:
        for name in (entity.name, *entity.aliases):
            words = _fold(" ".join(name.split())).split(" ")
            for place, word in enumerate(words[1:], start=1):
                if word in LINES:
                    found.setdefault(" ".join(words[:place]), set()).add((entity.id, word))
    return found


def _aliases(entity: Entity) -> list[_Alias]:
    names = [(name, False) for name in (entity.name, *entity.aliases)]
    if entity.ticker:
        names.append((entity.ticker, True))
    found: dict[str, _Alias] = {}
    for name, ticker in names:
        text = " ".join(unicodedata.normalize("NFKC", name).split())
        if len(text) < 2 or (ticker and len(text) < 3):
            continue  # one letter, or a ticker such as F or GM, says nothing in running text where it is not marked
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


def _fit(alias: _Alias, text: str, start: int, end: int) -> _Alias | None:
    """The alias where a place is written as it must be, else None."""
    written = text[start:end]
    if alias.case is _Case.ANY:
        return alias
    if alias.case is _Case.CAPITAL:
        return alias if written != written.lower() else None
    exact = _same_length(alias.text)
    if written == exact:
        return None if alias.case is _Case.WORD and not _speaks(text, start) else alias
    if written == exact.upper() and _shouted(text):
        return alias if alias.case is _Case.EXACT or start == 0 else None
    return None


def _speaks(text: str, start: int) -> bool:
    """Whether the capital of a common word says something: not within a headline in title case, nor at the end of
    another name."""
    clause = context.clause_of(text, start)
    if context.in_title_case(clause):
        return text.find(clause) == start
    return not context.continues_a_name(text, start)


def _settled(alias: _Alias, text: str, start: int, end: int) -> _Alias | None:
    """The alias, less sure or None where the words around the place speak for another bearer of the name."""
    if context.is_speaker(text, start, end):
        alias = replace(alias, speaks=True)
    if _CJK.search(alias.text):
        return alias
    if context.is_fund_or_namesake(text, end) or context.is_contact(text, end):
        return None
    name = _fold(alias.text)
    line = context.line_after(text, end)
    if line and not any(context.akin(line, own) for own in alias.own):
        if not context.in_title_case(context.clause_of(text, start)):
            last = name.rpartition(" ")[2] if " " in name else ""
            if alias.own or alias.shared or (last in LINES and not context.akin(line, last)):
                return None
        if context.is_quoted_arm(text, start, line):
            return None
        return replace(alias, sure=min(alias.sure, _UNSETTLED))
    return None if " " not in name and context.is_person(text, start, end) else alias


def _shouted(text: str) -> bool:
    return text.isupper() and text.count(" ") >= 2


def _edge(text: str, left: int, right: int) -> bool:
    """Whether a word ends between two places. Between Chinese characters every place is such an end."""
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
