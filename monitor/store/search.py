"""Search text and search questions, pure: what is written to the index, and what a person typed as a safe query.

Words are folded (NFKC, lower case) and cut at everything that is not a letter or digit; Chinese, Japanese and Korean
runs become overlapping pairs of characters. Both sides go through the same cut, so typed input can never be a syntax
error: every token reaches the database inside quotes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

MAX_TOKENS = 4000
MAX_TOKEN = 64
MAX_TERMS = 32
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_PIECE = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
_ASCII = {code: " " for code in range(128) if not chr(code).isalnum()}
_TERM = re.compile(r'(-?)"([^"]*)"?|(\S+)')


@dataclass(frozen=True, slots=True)
class Term:
    tokens: tuple[str, ...]  # in this order, side by side
    prefix: bool = False  # the last token may go on


@dataclass(frozen=True, slots=True)
class Question:
    wanted: tuple[Term, ...]
    unwanted: tuple[Term, ...]

    def __bool__(self) -> bool:
        return bool(self.wanted or self.unwanted)


def tokens_of(text: str) -> Iterator[str]:
    """Folded tokens of a text for the index, in order; a run of Chinese ends with its last single character."""
    if text.isascii():
        pieces = text.lower().translate(_ASCII).split()
        yield from pieces if max(map(len, pieces), default=0) <= MAX_TOKEN else [piece[:MAX_TOKEN] for piece in pieces]
        return
    for piece in _PIECE.findall(unicodedata.normalize("NFKC", text).lower()):
        if _is_cjk(piece):
            yield from (piece[at : at + 2] for at in range(len(piece)))
        else:
            yield piece[:MAX_TOKEN]


def search_body(title: str, summary: str) -> str:
    """What the index holds for an article. Deleting from the index needs the very same text again."""
    return " ".join(islice(tokens_of(f"{title}\n{summary}"), MAX_TOKENS))


def tsvector_body(title: str, summary: str) -> str:
    """The same as a tsvector literal of PostgreSQL."""
    places: dict[str, list[str]] = {}
    for place, token in enumerate(search_body(title, summary).split(" "), start=1):
        if token:
            places.setdefault(token, []).append(str(place))
    return " ".join(f"'{token}':{','.join(at[:250])}" for token, at in places.items())


def ask(text: str) -> Question:
    """What a person typed: words, "quoted phrases", -minus, word* for beginnings. Never raises."""
    wanted: list[Term] = []
    unwanted: list[Term] = []
    for minus, phrase, word in _TERM.findall(text):
        negative, content = (bool(minus), phrase) if not word else (word.startswith("-"), word.lstrip("-"))
        term = _term(content)
        if term is not None:
            (unwanted if negative else wanted).append(term)
    return Question(tuple(wanted[:MAX_TERMS]), tuple(unwanted[:MAX_TERMS]))


def _term(content: str) -> Term | None:
    tokens: list[str] = []
    prefix = content.endswith("*")
    for piece in _PIECE.findall(unicodedata.normalize("NFKC", content).lower()):
        if not _is_cjk(piece):
            tokens.append(piece[:MAX_TOKEN])
        elif len(piece) == 1:
            tokens.append(piece)
            prefix = True  # one character: any pair that begins with it, and itself at the end of a run
        else:
            tokens.extend(piece[at : at + 2] for at in range(len(piece) - 1))
    return Term(tuple(tokens[:MAX_TERMS]), prefix) if tokens else None


def fts5_terms(terms: tuple[Term, ...], joiner: str) -> str:
    """An FTS5 expression: each term a quoted phrase."""
    return f" {joiner} ".join('"' + " ".join(term.tokens) + '"' + (" *" if term.prefix else "") for term in terms)


def fts5(question: Question) -> str:
    """The FTS5 expression of a question that wants something."""
    wanted = fts5_terms(question.wanted, "AND")
    return f"({wanted}) NOT ({fts5_terms(question.unwanted, 'OR')})" if question.unwanted else wanted


def tsquery(question: Question) -> str:
    """The same as a tsquery literal of PostgreSQL."""
    return " & ".join(
        [_ts_term(term) for term in question.wanted] + [f"!({_ts_term(term)})" for term in question.unwanted]
    )


def _ts_term(term: Term) -> str:
    quoted = [f"'{token}'" for token in term.tokens]
    if term.prefix:
        quoted[-1] += ":*"
    return "(" + " <-> ".join(quoted) + ")"


def _is_cjk(piece: str) -> bool:
    first = piece[0]
    return (
        "\u3040" <= first <= "\u30ff"
        or "\u3400" <= first <= "\u4dbf"
        or "\u4e00" <= first <= "\u9fff"
        or "\uac00" <= first <= "\ud7af"
        or "\uf900" <= first <= "\ufaff"
    )


def clean(text: str) -> str:
    """Text that both databases take: no NUL, no lone surrogates."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text
