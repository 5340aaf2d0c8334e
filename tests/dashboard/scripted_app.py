"""The real app with two versions that say what they were told to say, for pages without a checkpoint."""

from __future__ import annotations

from models.backend import Classifier
from monitor.app import App
from tests.dashboard.seeding import VERSIONS, classifier


class ScriptedApp(App):
    def classifier(self) -> Classifier:
        return self.open_classifier(self.live_version())

    def open_classifier(self, version: str | None, threads: int | None = None) -> Classifier:
        return classifier(version if version in VERSIONS else VERSIONS[0])

    def model_versions(self) -> list[tuple[str, str, str, str]]:
        live = self.live_version()
        return [(version, "live" if version == live else "", "en", "2026-01-01T00:00:00") for version in VERSIONS]
