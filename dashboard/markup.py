"""Small pieces of HTML for `st.html`: every value from outside is escaped here, once. Pure; no Streamlit.

Colours and sizes are the product's own, text keeps the theme's colour, so both themes read well.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from dashboard import palette
from dashboard.i18n import Words
from dashboard.safe import safe_link
from models.backend import Prediction

_DIM = "opacity:.72"
_ROW = "display:grid;grid-template-columns:6.5rem 1fr 3rem;gap:.5rem;align-items:center;line-height:1.55"
_TRACK = f"background:{palette.GRID};height:.55rem;border-radius:2px;overflow:hidden"
_NUMBER = "text-align:right;font-variant-numeric:tabular-nums"
_WRAP = "overflow-wrap:anywhere"


def block(inner: str, style: str = "") -> str:
    return f'<div style="{style}">{inner}</div>'


def headline(title: str, size: str = "1.2rem") -> str:
    return f'<div role="heading" aria-level="3" style="font-size:{size};font-weight:600;{_WRAP}">{escape(title)}</div>'


def inline(text: str) -> str:
    return f'<span style="{_WRAP}">{escape(text)}</span>'


def dim(text: str) -> str:
    return f'<div style="{_DIM};font-size:.92rem;{_WRAP}">{escape(text)}</div>'


def notice(text: str) -> str:
    """A slim line that marks the whole page."""
    style = f"border-left:3px solid {palette.SEVERITY['warning']};background:{palette.GRID};padding:.25rem .7rem"
    return f'<div style="{style};font-size:.92rem;{_WRAP}">{escape(text)}</div>'


def paragraph(text: str) -> str:
    return f'<div style="white-space:pre-wrap;line-height:1.5;{_WRAP}">{escape(text)}</div>'


def mark(sentiment: str) -> str:
    """The coloured sign of a sentiment; the word for it always stands beside it."""
    colour = palette.SENTIMENT.get(sentiment, palette.NEUTRAL)
    return f'<span aria-hidden="true" style="color:{colour}">{palette.MARK.get(sentiment, "·")}</span>'


def sentiment_bars(prediction: Prediction, words: Words) -> str:
    """Three aligned bars with their probabilities."""
    rows = []
    for sentiment, share in (
        ("negative", prediction.p_negative),
        ("neutral", prediction.p_neutral),
        ("positive", prediction.p_positive),
    ):
        fill = f"width:{100 * share:.1f}%;height:100%;background:{palette.SENTIMENT[sentiment]}"
        weight = "font-weight:600" if sentiment == prediction.sentiment else ""
        rows.append(
            f'<div style="{_ROW}"><span style="{weight}">{mark(sentiment)} {escape(words.sentiment(sentiment))}</span>'
            f'<div style="{_TRACK}"><div style="{fill}"></div></div>'
            f'<span style="{_NUMBER};{weight}">{share:.0%}</span></div>'
        )
    return block("".join(rows))


def tags(texts: Sequence[str]) -> str:
    style = f"border:1px solid {palette.MUTED};border-radius:3px;padding:0 .4rem;margin:0 .3rem .2rem 0;{_WRAP}"
    spans = "".join(f'<span style="display:inline-block;{style}">{escape(text)}</span>' for text in texts)
    return block(spans, "font-size:.92rem")


def highlighted(text: str, words_of: Sequence[tuple[int, int, float]], sentiment: str) -> str:
    """The text with words that speak for the label shaded in its colour, by strength, and underlined.

    words_of: (start, end, contribution) in characters; contributions against the label get a dotted underline only.
    """
    top = max((abs(value) for _, _, value in words_of), default=0.0)
    colour = palette.SENTIMENT.get(sentiment, palette.NEUTRAL)
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    pieces, reached = [], 0
    for start, end, value in sorted(words_of):
        if start < reached or top <= 0 or abs(value) < 0.12 * top:
            continue
        pieces.append(escape(text[reached:start]))
        if value > 0:
            alpha = 0.10 + 0.45 * value / top
            style = f"background:rgba({red},{green},{blue},{alpha:.2f});border-bottom:2px solid {colour};color:inherit"
        else:
            style = f"border-bottom:2px dotted {palette.MUTED};background:none;color:inherit"
        pieces.append(f'<mark style="{style}">{escape(text[start:end])}</mark>')
        reached = end
    pieces.append(escape(text[reached:]))
    return f'<div style="white-space:pre-wrap;line-height:1.7;{_WRAP}">{"".join(pieces)}</div>'


def sentences(text: str, parts: Sequence[tuple[int, int, str, float, str]]) -> str:
    """The text with each sentence shaded in the colour of its sentiment, by how sure the model is, behind its sign.

    parts: (start, end, sentiment, strength from 0 to 1, words for the hover), in order; what lies between stays as it
    is, and neutral sentences stay plain.
    """
    pieces, reached = [], 0
    for start, end, sentiment, strength, hover in parts:
        pieces.append(escape(text[reached:start]))
        inner = escape(text[start:end])
        if sentiment in ("negative", "positive"):
            red, green, blue = (int(palette.SENTIMENT[sentiment][i : i + 2], 16) for i in (1, 3, 5))
            style = f"background:rgba({red},{green},{blue},{0.08 + 0.3 * strength:.2f});color:inherit;padding:.1rem 0"
            inner = f'<mark style="{style}">{mark(sentiment)}&#8288;{inner}</mark>'
        pieces.append(f'<span title="{escape(hover)}">{inner}</span>')
        reached = max(reached, end)
    pieces.append(escape(text[reached:]))
    return f'<div style="white-space:pre-wrap;line-height:1.75;{_WRAP}">{"".join(pieces)}</div>'


def story_line(title: str, detail: str, url: str | None, sentiment: str = "") -> str:
    """One story: sign, title (a link when its address is safe), and who and when below."""
    link = safe_link(url)
    text = escape(title)
    if link:
        text = (
            f'<a href="{escape(link)}" target="_blank" rel="noopener noreferrer" '
            f'style="color:inherit;text-decoration:underline;text-decoration-color:{palette.MUTED}">{text}</a>'
        )
    sign = f"{mark(sentiment)} " if sentiment else ""
    return block(
        f'<div style="{_WRAP}">{sign}{text}</div><div style="{_DIM};font-size:.88rem;{_WRAP}">{escape(detail)}</div>',
        "padding:.18rem 0",
    )


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Name and value in two aligned columns."""
    rows = "".join(
        f'<div style="{_DIM}">{escape(name)}</div><div style="font-variant-numeric:tabular-nums;{_WRAP}">'
        f"{escape(value)}</div>"
        for name, value in pairs
    )
    return block(rows, "display:grid;grid-template-columns:minmax(7rem,max-content) 1fr;gap:.12rem .9rem")


def dot(colour: str, text: str) -> str:
    """A coloured dot with the word for what it says."""
    return f'<span><span aria-hidden="true" style="color:{colour}">●</span> {escape(text)}</span>'
