"""The model: what the first start needs, which version is live, and opening it."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import structlog

from models import registry
from models.backend import Classifier
from models.errors import CheckpointError
from models.process_backend import ProcessClassifier
from monitor.alerts.rules import default_rules
from monitor.app.core import Core

log = structlog.get_logger("app")

RETRY_REFUSED_S = 60.0  # a live version that could not be opened is tried again: its files may have been on their way
PREPARED = "prepared"


class ModelPart(Core):
    def prepare(self, now: datetime | None = None) -> None:
        """What the first start needs: default rules, and a live model. Later starts change nothing, except that a
        live version that is no longer shipped gives way to the one that is."""
        moment = now or datetime.now(UTC)
        if self.store.setting(PREPARED) is None:
            for rule in default_rules():
                self.store.save_rule(rule, "default", moment)
            self.store.set_setting(PREPARED, True, "default", moment)
        live = self.store.live_model()
        wanted = self.settings.model
        if live is not None and not wanted and live[0] in {m.version for m in registry.available()}:
            return
        manifest = registry.verify(registry.resolve(wanted or None))
        if live is None or live[0] != manifest.version:
            reason = "set by HEADWIND_MODEL" if wanted else "first start" if live is None else "shipped version"
            self.store.set_live_model(manifest.version, manifest.languages, "deployment", reason, moment)

    def live_version(self) -> str | None:
        live = self.store.live_model()
        return live[0] if live else None

    def classifier(self) -> Classifier:
        """The live model, opened once and again after a promotion. A version that cannot be loaded leaves the one
        in memory serving, says so in `refused`, and is tried again each minute; without one in memory the reason is
        raised (`CheckpointError`)."""
        with self._lock:
            version = self.live_version()
            if self._classifier is not None:
                if version == self._classifier.version:
                    self._refused = None
                    return self._classifier
                refused, _, tried = self._refused or ("", "", 0.0)
                if refused == version and time.monotonic() - tried < RETRY_REFUSED_S:
                    return self._classifier
            try:
                self._classifier = self.open_classifier(version)
                self._refused = None
            except CheckpointError as error:
                if self._classifier is None:
                    raise
                self._refused = (version, str(error), time.monotonic())
                log.error("live model refused; the one before serves on", version=version, error=str(error))
            return self._classifier

    @property
    def refused(self) -> str | None:
        """Why this process could not open the live version, in words; None when it could or never tried. The queue
        is that version's: until it opens, nothing is scored."""
        if self._refused is None:
            return None
        return f"the live model {self._refused[0]} cannot be opened, so nothing is scored: {self._refused[1]}"

    def open_classifier(self, version: str | None, threads: int | None = None) -> Classifier:
        """A version by name or folder, on this deployment's backend and device. Raises `CheckpointError`, and
        `ScorerError` where it answers from a process of its own that does not start. threads: instead of the
        deployment's."""
        open_model = ProcessClassifier if self._scores_apart else registry.open_classifier
        return open_model(
            self._place_of(version),
            backend=self.settings.backend,
            device=self.settings.device,
            threads=threads or self.settings.threads or None,
        )

    def _place_of(self, version: str | None) -> str | None:
        """HEADWIND_MODEL may name a folder outside the checkpoints: that version is opened there, any other by name."""
        pinned = self.settings.model
        if pinned and version and registry.read_manifest(registry.resolve(pinned)).version == version:
            return pinned
        return version or pinned or None

    def model_versions(self) -> list[tuple[str, str, str, str]]:
        """(version, live or empty, languages, created) of every checkpoint at hand."""
        live = self.live_version()
        return [
            (m.version, "live" if m.version == live else "", ",".join(m.languages), m.created)
            for m in registry.available()
        ]
