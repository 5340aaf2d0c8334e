"""Small changes of a text that must not change its label: case, one typing slip, another company's name.

Labels are left as they are, so nothing here may touch a number, a negation or a direction word.
"""

from __future__ import annotations

import random
import re
from typing import Final

_COMPANIES: Final = ("Acme", "Northwind", "Halden", "Kestrel", "Meridian", "Orlanda", "Tavira", "Wexley")
_OPENING_NAME: Final = re.compile(r"^([A-Z][a-z]+)(?='s | (?:to|says|posts|reports|shares|will|plans|seeks)\b)")


class Augmenter:
    """Changes a share of the texts (0 to 1), each in one way drawn from the given random source."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, text: str, chance: random.Random) -> str:
        """The text, or a changed one. The same text and the same state of `chance` give the same answer."""
        if chance.random() >= self.share:
            return text
        return chance.choice((_upper, _lower, _slip, _rename))(text, chance)


def _upper(text: str, chance: random.Random) -> str:
    return text.upper()


def _lower(text: str, chance: random.Random) -> str:
    return text.lower()


def _slip(text: str, chance: random.Random) -> str:
    """Swap two neighbouring letters inside one word of six letters or more."""
    words = text.split(" ")
    long = [number for number, word in enumerate(words) if len(word) >= 6 and word.isalpha()]
    if not long:
        return text
    number = chance.choice(long)
    word = words[number]
    at = chance.randrange(1, len(word) - 2)
    words[number] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)


def _rename(text: str, chance: random.Random) -> str:
    """Another name where the headline opens with a company that does something."""
    return _OPENING_NAME.sub(chance.choice(_COMPANIES), text, count=1)
