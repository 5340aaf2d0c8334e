"""Words of the pages: one TOML catalogue a language, the same keys in each (tests/dashboard/test_i18n.py)."""

from __future__ import annotations

import tomllib
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
        text = self._texts[key]
        return text.format(**values) if values else text

    def has(self, key: str) -> bool:
        return key in self._texts

    def topic(self, label: str) -> str:
        return self._texts[f"topic.{label}"] if label in TOPICS else label

    def sentiment(self, label: str) -> str:
        return self._texts[f"sentiment.{label}"] if label in SENTIMENTS else label

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
        if kind == "pipeline" or not rest:
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
