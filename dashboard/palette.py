"""The colours of the product. Negative, neutral and positive stay apart for every kind of colour vision.

Okabe and Ito's vermillion and blue, moved to tones that keep a contrast of at least 3:1 on the light and on the dark
background. Colour never stands alone: a mark or a word always says the same.
"""

from __future__ import annotations

from typing import Final

NEGATIVE: Final = "#D9622B"
NEUTRAL: Final = "#8793A0"
POSITIVE: Final = "#2F7FBF"
ACCENT: Final = "#2F7FBF"
BAND: Final = "rgba(135, 147, 160, 0.28)"
GRID: Final = "rgba(135, 147, 160, 0.22)"
MUTED: Final = "rgba(135, 147, 160, 0.85)"

INK_LIGHT: Final = "#4A5561"
INK_DARK: Final = "#B4BEC8"
"""Labels of charts on the light and on the dark background, at a contrast of more than 4.5:1."""

SENTIMENT: Final = {"negative": NEGATIVE, "neutral": NEUTRAL, "positive": POSITIVE}
MARK: Final = {"negative": "▼", "neutral": "■", "positive": "▲"}
SEVERITY: Final = {"info": POSITIVE, "warning": "#A87F14", "critical": NEGATIVE}
SEVERITY_MARK: Final = {"info": "○", "warning": "◐", "critical": "●"}

SERIES: Final = ("#2F7FBF", "#D9622B", "#3F9C8A", "#B8860B", "#8A6BB1", "#5B6B7B")
HEAT: Final = (
    (0.0, "rgba(217, 98, 43, 0.04)"),
    (0.5, "rgba(217, 98, 43, 0.45)"),
    (1.0, "rgba(181, 71, 27, 1)"),
)
