"""Contrast of the themes and of the palette, by WCAG 2.2: 4.5 to 1 for text (AA), 3 to 1 for marks and lines."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from dashboard import palette

ROOT = Path(__file__).resolve().parents[2]
THEME = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
THEMES = ("light", "dark")


def luminance(colour: str) -> float:
    """Relative luminance of #RRGGBB, 0 to 1."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_is_that_of_the_guideline() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", ["backgroundColor", "secondaryBackgroundColor"])
def test_text_and_links_are_read(theme: str, ground: str) -> None:
    own = THEME[theme]
    ink = palette.INK_LIGHT if theme == "light" else palette.INK_DARK
    found = {colour: contrast(colour, own[ground]) for colour in (own["textColor"], own["linkColor"], ink)}
    assert {colour: ratio for colour, ratio in found.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("theme", THEMES)
def test_marks_and_lines_are_seen(theme: str) -> None:
    used = {*palette.SENTIMENT.values(), *palette.SEVERITY.values(), *palette.SERIES, palette.ACCENT}
    found = {colour: round(contrast(colour, THEME[theme]["backgroundColor"]), 2) for colour in used}
    assert {colour: ratio for colour, ratio in found.items() if ratio < 3.0} == {}
