"""Stores for the tests of this folder; see tests/stores.py."""

from tests.contracts.library import library
from tests.stores import empty_sqlite, migrated_postgres, open_at, postgres, postgres_url, sqlite_url, store, store_url

__all__ = [
    "empty_sqlite",
    "library",
    "migrated_postgres",
    "open_at",
    "postgres",
    "postgres_url",
    "sqlite_url",
    "store",
    "store_url",
]
