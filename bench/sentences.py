"""Finance sentences for the timing of classifiers: plausible, endless, and nobody's text.

Put together from our own word lists with a fixed seed. They have the length and vocabulary of financial prose and no
meaning beyond it; nothing is measured on them but time and the agreement of two runs of one network.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

SUBJECTS: Final = (
    "the lender", "a regional bank", "the chip maker", "the retailer", "an airline group", "the utility",
    "the mining company", "its largest supplier", "the insurer", "a pension fund", "the central bank",
    "the finance ministry", "an activist investor", "the drug maker", "the shipping line", "the car maker",
)  # fmt: skip
VERBS: Final = (
    "reported", "warned of", "announced", "confirmed", "denied", "postponed", "expects", "disclosed", "rejected",
    "agreed on", "was fined over", "suspended", "lowered its estimate of", "raised its forecast for", "sued over",
)  # fmt: skip
OBJECTS: Final = (
    "a quarterly loss", "higher revenue", "a bond issue", "the takeover bid", "weak demand in Asia", "a share buy-back",
    "a data breach", "new capital rules", "rising funding costs", "a profit margin of 14.2%", "the restructuring plan",
    "a credit downgrade", "an antitrust inquiry", "record order intake", "layoffs at two plants", "a dividend cut",
    "delayed deliveries", "a liquidity shortfall", "stronger exports", "the audit findings",
)  # fmt: skip
LINKS: Final = (
    "while", "because", "as analysts said that", "after", "although", "and according to a filing", "even though",
    "before", "so that", "but",
)  # fmt: skip
TAILS: Final = (
    "in the third quarter", "on Tuesday", "for the full year", "ahead of its annual meeting", "in early trading",
    "compared with $1.3 billion a year earlier", "despite easing inflation", "in a statement to the exchange",
)  # fmt: skip


def sentence(draw: random.Random, words: int) -> str:
    """One sentence of at least `words` words."""
    parts = [draw.choice(SUBJECTS), draw.choice(VERBS), draw.choice(OBJECTS)]
    while sum(part.count(" ") + 1 for part in parts) < words:
        if draw.random() < 0.3:
            parts.append(draw.choice(TAILS))
        else:
            parts += [draw.choice(LINKS), draw.choice(SUBJECTS), draw.choice(VERBS), draw.choice(OBJECTS)]
    text = " ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def sentences(
    count: int, length: Callable[[str], int], shortest: int = 20, longest: int = 200, seed: int = 11
) -> list[str]:
    """`count` sentences whose length in tokens is spread evenly from `shortest` to `longest`.

    length: tokens of a text, special tokens included.
    """
    draw = random.Random(seed)
    found: list[str] = []
    while len(found) < count:
        wanted = draw.randint(shortest, longest)
        # A word of these lists is about 1.1 tokens; the last words are cut until the length is right.
        words = sentence(draw, wanted).rstrip(".").split()
        while words and length(f"{' '.join(words)}.") > wanted:
            del words[-max(1, (length(f"{' '.join(words)}.") - wanted) // 2) :]
        text = f"{' '.join(words)}."
        if shortest <= length(text) <= longest:
            found.append(text)
    return found
