"""Every word of the pages stands in both catalogues, and none stands in the code."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard import i18n
from models.labels import SENTIMENTS, TOPICS
from monitor.alerts.rules import PARAMS
from monitor.notify.kinds import KINDS
from monitor.settings import described

FOLDER = Path(i18n.__file__).resolve().parents[1]
FILES = sorted(FOLDER.rglob("*.py"))
LANGUAGES = list(i18n.LANGUAGES)

# Calls whose text arguments a person sees. Text from outside goes to `st.text`, `st.html` and dataframes as a variable.
SHOWN = {
    *("title", "header", "subheader", "caption", "text", "markdown", "write", "info", "warning", "error", "success"),
    *("toast", "button", "popover", "expander", "metric", "selectbox", "multiselect", "text_input", "text_area"),
    *("toggle", "checkbox", "radio", "pills", "segmented_control", "download_button", "link_button", "date_input"),
    *("file_uploader", "form_submit_button", "spinner", "progress", "number_input", "slider", "empty", "headline"),
    *("paragraph", "dim", "notice", "chart", "facts", "html"),
}
PRODUCT = {"Headwind", "OPML"}
PROSE = re.compile(r"[A-Za-z]{3,} [a-z]{2,}")


def keys(language: str) -> dict[str, str]:
    return i18n._flat(language)


def fields(text: str) -> set[str]:
    """Placeholders of a text; those of plotly (`%{x}`) count as they stand."""
    plotly = set(re.findall(r"%\{[^}]+\}", text))
    if plotly:
        return plotly
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_catalogue_has_the_same_keys(language: str) -> None:
    assert several(language) == several(i18n.DEFAULT)


def several(language: str) -> set[str]:
    """The keys without what a language has for itself: forms for one thing, and formats of dates."""
    return {key for key in keys(language) if not key.endswith("_one") and not key.startswith("chart.ticks_")}


def test_a_form_for_one_belongs_to_a_form_for_several() -> None:
    for language in LANGUAGES:
        assert [key for key in keys(language) if key.endswith("_one") and key[:-4] not in keys(language)] == []


def test_one_thing_is_counted_as_one() -> None:
    words = i18n.words("en")
    assert words.counted(1, 2) == "1 article, 2 publisher families"
    assert words("feeds.title", n=1) == "1 feed"
    assert i18n.words("zh").counted(1, 1) == "1 篇文章，1 个发布集团"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_the_same_placeholders(language: str) -> None:
    english = keys(i18n.DEFAULT)
    wrong = [key for key in several(language) if fields(keys(language)[key]) != fields(english[key])]
    ones = {key: text for key, text in keys(language).items() if key.endswith("_one")}
    wrong += [key for key, text in ones.items() if not fields(text) <= fields(keys(language)[key[:-4]])]
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty(language: str) -> None:
    assert [key for key, text in keys(language).items() if not text.strip()] == []


def test_labels_of_the_taxonomy_have_names() -> None:
    for language in LANGUAGES:
        words = i18n.words(language)
        assert all(words.topic(topic) != topic for topic in TOPICS)
        assert all(words.sentiment(sentiment) != sentiment for sentiment in SENTIMENTS)


def test_a_chinese_browser_gets_chinese_and_any_other_english() -> None:
    assert i18n.choose("zh-CN") == "zh"
    assert i18n.choose("zh") == "zh"
    assert i18n.choose("de-CH") == "en"
    assert i18n.choose(None) == "en"


def test_a_series_is_named_as_people_say_it() -> None:
    words = i18n.words("en")
    assert words.series("topic:litigation") == "Litigation"
    assert words.series("entity:Acme/topic:litigation") == "Acme · Litigation"
    assert words.series("entity:Acme") == "Acme"
    assert words.series("all") == "All news"


def test_what_the_pipeline_names_has_words() -> None:
    """Options of channels, parameters of rules and settings are named below the pages; the catalogues know them all."""
    wanted = {f"option.{option.name}" for kind in KINDS.values() for option in kind.options}
    wanted |= {f"channel_kind.{kind}" for kind in KINDS} | {f"channel_kind.{kind}_help" for kind in KINDS}
    wanted |= {f"param.{name}" for params in PARAMS.values() for name in params}
    wanted |= {f"deploy.{name}" for name, *_ in described()}
    assert wanted - set(keys(i18n.DEFAULT)) == set()


def used_keys() -> tuple[set[str], set[str]]:
    """(keys that the code names whole, prefixes of keys that it puts together)."""
    whole: set[str] = set()
    prefixes: set[str] = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                whole.add(node.value)
            elif isinstance(node, ast.JoinedStr) and node.values and isinstance(node.values[0], ast.Constant):
                start = str(node.values[0].value)
                if re.match(r"[a-z_]+\.", start):
                    prefixes.add(start)
    return whole, prefixes


# `view_switch(key, views, prefix)`, the two labels that come from a table of keys, the sentences that
# dashboard/said.py finds by their English, and the fields of the audit log, whose sections stand in a list.
INDIRECT = (
    "audit_field.",
    "model.",
    "alerts.",
    "settings.",
    "drift.",
    "topic.",
    "sentiment.",
    "series.",
    "said.",
    "card.",
)


def test_no_key_is_left_over() -> None:
    whole, prefixes = used_keys()
    built = (*prefixes, *INDIRECT)
    unused = [key for key in several("en") if key not in whole and not key.startswith(built)]
    assert unused == []


def test_every_key_that_the_code_names_exists() -> None:
    sections = {key.split(".")[0] for key in keys("en")}
    missing = []
    for path, node in calls():
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        first = node.args[0] if node.args else None
        if name == "words" and isinstance(first, ast.Constant) and isinstance(first.value, str):
            key = first.value
            if key.split(".")[0] not in sections or key not in keys("en"):
                missing.append(f"{path.name}:{node.lineno} {key}")
    assert missing == []


def calls() -> Iterator[tuple[Path, ast.Call]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path, node


def test_no_page_says_anything_outside_the_catalogues() -> None:
    found = []
    for path, node in calls():
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if name not in SHOWN or (isinstance(owner, ast.Name) and owner.id == "log"):
            continue
        shown = [
            *node.args[:1],
            *(word.value for word in node.keywords if word.arg in ("help", "placeholder", "label")),
        ]
        for value in shown:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                text = value.value
                if re.search(r"[A-Za-z]{2}", text) and text not in PRODUCT and "." not in text and "://" not in text:
                    found.append(f"{path.name}:{node.lineno} {text!r}")
    assert found == []


def test_no_sentence_stands_in_the_code_of_the_views() -> None:
    """Anywhere in views and panes: no string of several words, docstrings and refusals of bad uploads apart."""
    found = []
    for path in FILES:
        if path.name in {"uploads.py", "jobs.py", "tables.py", "markup.py", "palette.py", "context.py", "door.py"}:
            continue  # errors of bad files, answers to programs: English, like all errors; the others hold styles
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        documented |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
                logged = node.value in {"page failed", "page refused"}
                if PROSE.search(node.value) and not logged and "<" not in node.value:
                    found.append(f"{path.name}:{node.lineno} {node.value!r}")
    assert found == []
