"""The language of a short text, fast enough for every headline that comes in.

Scripts decide where a script has one language (kana, hangul, Cyrillic, Arabic, Han without kana). Among languages of
the Latin script, function words and letters decide, and only against clear evidence is the language that the source
states given up: a headline like "Apple Q3 EPS beats" holds no function word at all.

What this does not do: tell apart languages that are not listed, or rule on mixed texts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SCRIPTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("ja", re.compile("[\u3040-\u30ff\uff66-\uff9d]")),
    ("ko", re.compile("[\uac00-\ud7af\u1100-\u11ff]")),
    ("zh", re.compile("[\u3400-\u9fff\uf900-\ufaff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("hi", re.compile("[\u0900-\u097f]")),
)
_LATIN = re.compile("[a-zA-Z\u00c0-\u024f]")
_WORD = re.compile(r"[a-z\u00df-\u024f']+")
_FUNCTION_WORDS: dict[str, frozenset[str]] = {
    "en": _words(
        """
    the of to and in for on with as at by is are was from that it its after over be will has have not
    but says said new this could may would than into amid about how why what who up out more us uk his
    her their year
    """
    ),
    "de": _words(
        """
    der die das und ist nicht von zu mit für auf ein eine im den dem des sich nach bei wird aus wie über
    auch sind hat werden zum zur vor gegen mehr
    """
    ),
    "fr": _words(
        """
    le la les des et est une du pour dans sur avec au aux que qui par plus ne pas ce cette sont ses
    après selon contre être
    """
    ),
    "es": _words(
        """
    el la los las de del y en que por para con una un se su al más como tras sobre no es sin entre según
    """
    ),
    "it": _words(
        """
    il lo gli di e che in per con una un del della dei delle alla al nel non si da sono più dopo sulla
    ai
    """
    ),
    "pt": _words(
        """
    o os as de do da dos das e em que para com uma um no na por mais não se ao após sobre são pela
    """
    ),
    "nl": _words(
        """
    de het een en van in op te voor met is dat niet aan zijn bij naar ook door meer wordt om
    """
    ),
    "sv": _words(
        """
    och att det som en av för på är med till inte om har den ett från vid efter mer
    """
    ),
}


_KNOWN = {
    word: tuple(code for code, own in _FUNCTION_WORDS.items() if word in own)
    for word in sorted(frozenset().union(*_FUNCTION_WORDS.values()))
}


def detect_language(text: str, stated: str | None = None, default: str = "en") -> str:
    """ISO 639-1 code. `stated` is what the source says; it stands unless the text clearly says otherwise."""
    sample = text[:400]
    if not sample.isascii():
        script = _script_of(sample)
        if script:
            return script
    words = _WORD.findall(sample.lower())
    if not words:
        return stated or default
    hits = dict.fromkeys(_FUNCTION_WORDS, 0)
    for word in words:
        for code in _KNOWN.get(word, ()):
            hits[code] += 1
    assumed = stated or default
    best = max(hits, key=lambda code: hits[code], default=assumed)
    if assumed not in _FUNCTION_WORDS:  # a language without a list here: only clear English may correct it
        return "en" if hits.get("en", 0) >= 3 and hits["en"] * 3 >= len(words) else assumed
    clear = hits.get(best, 0) >= 3 and hits[best] >= 2 * hits[assumed] + 1 and hits[best] * 5 >= len(words)
    return best if clear else assumed


def main_language(found: Sequence[str], stated: str) -> str:
    """The language of most of a feed's items; what is stated stands where they do not say otherwise."""
    counts = Counter(found)
    most = max(counts, key=lambda code: (counts[code], code == stated), default=stated)
    return most if 2 * counts[most] > len(found) else stated


def _script_of(sample: str) -> str | None:
    latin = len(_LATIN.findall(sample))
    for code, pattern in _SCRIPTS:
        found = len(pattern.findall(sample))
        # One sign of a dense script says about as much as four Latin letters; names in brackets do not decide.
        weight = 4 if code in ("ja", "ko", "zh") else 1
        if found >= max(2, latin / weight):
            return code
    return None
