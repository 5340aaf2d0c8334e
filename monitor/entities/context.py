"""What stands around a name in a headline: a person of that name, another company of the group, a marked ticker.

Pure and without a list of companies. It refuses a name only where the words around it speak for another bearer; where
they leave it open ("Acme Energy" for a watched "Acme" of which nothing more is known) the name stands, less surely.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from monitor.entities.company_words import (
    APPOINTS,
    ARMS,
    FORMS,
    FUNDS,
    HONORIFICS,
    LINES,
    NAMED_AFTER,
    ROLES,
    SMALL,
)

_WORD = re.compile(r"[A-Za-z][\w'-]*")
_CLAUSE = re.compile(r"[:;|]\s|\s[-–—]\s|[.?!]\s+(?=[A-Z])")
_NEXT = re.compile(r"\s((?=[A-Z])[\w&.-]*\w)('s|')?")
_NAME = re.compile(r"[A-Z][a-z]+(?:-[A-Z][a-z]+)?")
_BEFORE = re.compile(r"([\w.&-]+)\s$")
_SAID = re.compile(r"(?:[:;]\s*|\b(?:says?|said|by)\s)$")
_TOOK_OFFICE = re.compile(r"\s(?:as|to\s(?:head|lead|run|be|its|the)|new|[Hh]ead|[Cc]hief|CEO|CFO|COO)\b|,")
_ENDS = re.compile(r"\s*(?:$|,|\()")
_EXCHANGE = r"(?:[A-Z]{2,8}|Nasdaq|Xetra)\s?:\s?"
_TICKER = re.compile(
    rf"[(\[,]\s?{_EXCHANGE}([A-Z0-9]{{1,6}})(?:\.[A-Z]{{1,3}})?(?=[)\],])"  # (NYSE: F)
    r"|[(\[<](?!U\.[SKN]\b)([A-Z0-9]{1,6})\.[A-Z]{1,3}(?=[)\]>])"  # (F.N), <F.N>
    r"|\$([A-Z]{1,5})\b(?![$\d])"  # $F
)
_CONTACT = re.compile(r":\s*(?:@|;|\)|https?:)")
_SPEAKER = re.compile(
    r"(?:^|[:;|]\s+)(?:[^\s:]+\s+){3,}[^\s:]+:\s+(?:[A-Z][\w.'-]+(?:\s[A-Z][\w.'-]+){1,2},\s)?$"
    r"|[\u3400-\u9fff][^:]{7,}:\s*$"
)
_NO_PERSON = LINES | FORMS | ROLES
_NATION = re.compile(r"(?:ish|ese|an|ch)$")


def in_title_case(text: str) -> bool:
    """Whether the longer words have capitals, so that a capital says nothing. One longer word in small letters speaks
    against it, unless it is one that such headlines leave small."""
    words = [word for word in _WORD.findall(text) if len(word) > 3]
    if len(words) < 3:
        return False
    return all(not word.islower() or word in SMALL for word in words)


def clause_of(text: str, start: int) -> str:
    """The part of a headline between colons, dashes and full stops in which a place lies."""
    left, right = 0, len(text)
    for mark in _CLAUSE.finditer(text):
        if mark.end() <= start:
            left = mark.end()
        elif mark.start() >= start:
            right = mark.start()
            break
    return text[left:right]


def line_after(text: str, end: int) -> str:
    """The line of business that continues a name ("bank" in "Acme Bank"), else nothing. Small letters are no name."""
    word, possessive = _next(text, end)
    plain = word.lower().rstrip(".")
    if plain not in LINES and plain.removesuffix("s") in LINES and not possessive:
        plain = plain.removesuffix("s")  # headlines drop apostrophes: "Acme Banks profit"
    return plain if plain in LINES else ""


def is_contact(text: str, end: int) -> bool:
    """Whether the name only says where somebody is reached: "Twitter: @desk"."""
    return text[end : end + 1] == ":" and bool(_CONTACT.match(text, end))


def is_quoted_arm(text: str, start: int, line: str) -> bool:
    """Whether a broker or a fund of the house is quoted behind a colon at the end: "…: Ann Smith, Acme Securities"."""
    colon = text.rfind(":", 0, start)
    quoted = text[colon + 1 :]
    return line in ARMS and colon > 0 and all(word[0].isupper() for word in _WORD.findall(quoted))


def is_speaker(text: str, start: int, end: int) -> bool:
    """Whether the name stands alone at the end, behind a colon and a sentence: it says so, of others ("Credit losses
    to double next year: Acme Bank", "…: Ann Smith, Acme Bank")."""
    return not text[end:].strip(" .\"'") and bool(_SPEAKER.search(text[:start]))


def akin(one: str, other: str) -> bool:
    """Whether two lines of business are one word, shortened: "Tech" and "Technologies", "Sec" and "Securities"."""
    return one[:3] == other[:3]


def is_fund_or_namesake(text: str, end: int) -> bool:
    """Whether the name goes on to a fund house or to a place that only carries it: "Acme Mutual Fund", "Acme Arena"."""
    if not _capital_follows(text, end):
        return False
    rest = text[end : end + 60]
    words = [word.strip(",.:;)'").lower() for word in rest.split()[:4]]
    if words[0] in NAMED_AFTER:
        return True
    for skipped in (0, 1):
        joined = " ".join(words[skipped : skipped + 2])
        if joined in FUNDS or (words[skipped : skipped + 1] and words[skipped] in FUNDS):
            return rest.split()[skipped][0].isupper()
    return False


def is_person(text: str, start: int, end: int) -> bool:
    """Whether a name of one word is that of a person: by an office or an honorific before it, an appointment around
    it, or as the one who is quoted at the end of a headline ("…: Acme Smith, Calder Capital")."""
    before, after = text[max(0, start - 60) : start], text[end : end + 60]
    words = before.split()[-2:] if before[-1:].isspace() else []
    last = words[-1] if words else ""
    held = last.lower().rstrip(".")
    if held in HONORIFICS and last[0].isupper():
        return True
    word, possessive = _next(text, end)
    if word and not possessive and _is_given(word):
        rest = after[1 + len(word) :]
        if held in ROLES or (held in APPOINTS and _TOOK_OFFICE.match(rest)):
            return True
        if _SAID.search(before) and _ENDS.match(rest) and text.count(",", end) <= 1:
            return True
    if len(words) == 2 and _is_given(last):
        first = words[0].lower()
        return first in ROLES or (first in APPOINTS and _TOOK_OFFICE.match(after) is not None)
    return False


def _is_given(word: str) -> bool:
    return bool(_NAME.fullmatch(word)) and word.lower() not in _NO_PERSON


def continues_a_name(text: str, start: int) -> bool:
    """Whether a capitalised word leads up to a place within a sentence: "Niger Delta", "Times Square". What opens the
    sentence, belongs to it ("Poland's Orange") or says where from ("French Orange") does not."""
    held = _BEFORE.search(text[max(0, start - 40) : start])
    if held is None or not _NAME.fullmatch(held.group(1)) or _NATION.search(held.group(1)):
        return False
    lead = text[: start - len(held.group(0))].rstrip(" \"'(“")
    return bool(lead) and lead[-1] not in ".:;?!-–—|"


def marked_tickers(text: str) -> Iterator[tuple[int, int, str]]:
    """Tickers that are marked as such, whatever their length: "(NYSE: F)", "<GM.N>", "$F"."""
    if not any(mark in text for mark in "(<[$"):
        return
    for found in _TICKER.finditer(text):
        group = next(number for number in (1, 2, 3) if found.group(number))
        yield found.start(group), found.end(group), found.group(group)


def _next(text: str, end: int) -> tuple[str, bool]:
    """The word with a capital behind a place, and whether it is a possessive."""
    found = _NEXT.match(text, end) if _capital_follows(text, end) else None
    return (found.group(1), bool(found.group(2))) if found else ("", False)


def _capital_follows(text: str, end: int) -> bool:
    return text[end : end + 1].isspace() and "A" <= text[end + 1 : end + 2] <= "Z"
