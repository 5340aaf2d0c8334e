"""Words of the pages: one TOML catalogue a language, the same keys in each (tests/dashboard/test_i18n.py)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any, Final

from models.labels import SENTIMENTS, TOPICS

LANGUAGES: Final = {"en": "English", "zh": "中文"}
DEFAULT: Final = "en"


class Words:
    """The catalogue of one language. `words("now.title", n=3)` gives the text; an unknown key is a bug and raises."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = _flat(language)

    def __call__(self, key: str, **values: object) -> str:
        """`n` chooses between a text and its form for one, `<key>_one`, where the language has such a form."""
        one = str(values.get("n", "")) == "1" and f"{key}_one" in self._texts
        text = self._texts[f"{key}_one" if one else key]
        return text.format(**values) if values else text

    def has(self, key: str) -> bool:
        return key in self._texts

    def keys(self, section: str) -> list[str]:
        """The keys that begin so, in the order of the catalogue."""
        return [key for key in self._texts if key.startswith(section)]

    def get(self, key: str) -> str:
        """The text of a key, or nothing."""
        return self._texts.get(key, "")

    def topic(self, label: str) -> str:
        return self._texts[f"topic.{label}"] if label in TOPICS else label

    def sentiment(self, label: str) -> str:
        return self._texts[f"sentiment.{label}"] if label in SENTIMENTS else label

    def counted(self, articles: int, families: int) -> str:
        """`3 articles, 2 publisher families`"""
        return self("count.joined", first=self("count.articles", n=articles), second=self("count.families", n=families))

    def tongue(self, code: str) -> str:
        """A language by its two letters: `en` → `English`."""
        return self._texts.get(f"lang.{code}", code)

    def scope(self, patterns: Iterable[str]) -> str:
        """What a rule watches, as people say it: `topic:*` → `every topic`."""
        return self("scope.comma").join(
            self.get(f"scope.{pattern[:-2]}") or pattern if pattern.endswith(":*") else self.series(pattern)
            for pattern in patterns
        )

    def series(self, name: str) -> str:
        """A series as people say it: `topic:litigation` → `Litigation`, `entity:Acme/topic:x` → `Acme · X`.

        The entity, publisher and language names in it are text from outside.
        """
        if name == "all":
            return self("series.all")
        kind, _, rest = name.partition(":")
        if kind == "topic":
            return self.topic(rest)
        if kind == "entity" and "/topic:" in rest:
            entity, _, topic = rest.rpartition("/topic:")
            return f"{entity} · {self.topic(topic)}"
        if f"series.{name}" in self._texts:
            return self(f"series.{name}")
        if not rest:
            return name
        return rest


def choose(locale: str | None) -> str:
    """The language for a browser's locale: Chinese for any `zh`, else English."""
    return "zh" if (locale or "").lower().startswith("zh") else DEFAULT


@cache
def words(language: str) -> Words:
    return Words(language if language in LANGUAGES else DEFAULT)


@cache
def _flat(language: str) -> dict[str, str]:
    raw = resources.files(__package__).joinpath(f"{language}.toml").read_text(encoding="utf-8")
    texts: dict[str, str] = {}

    def walk(prefix: str, node: dict[str, Any]) -> None:
        for key, value in node.items():
            name = f"{prefix}.{key}" if prefix else key
            if isinstance(value, dict):
                walk(name, value)
            else:
                texts[name] = str(value)

    walk("", tomllib.loads(raw))
    return texts
