"""The store. `open_store(url, role=…)` opens one; the seam is in base.py."""

from monitor.store.open import open_store

__all__ = ["open_store"]
