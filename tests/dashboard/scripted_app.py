"""The real app with a classifier that says what it was told to say, for pages without a checkpoint."""

from __future__ import annotations

from models.backend import Classifier
from monitor.app import App
from tests.dashboard.seeding import classifier


class ScriptedApp(App):
    def classifier(self) -> Classifier:
        return classifier()

    def open_classifier(self, version: str | None) -> Classifier:
        return classifier()
