"""Stores for the fault tests; see tests/stores.py."""

from tests.stores import empty_sqlite, migrated_postgres, open_at, postgres, postgres_url, sqlite_url, store, store_url

__all__ = [
    "empty_sqlite",
    "migrated_postgres",
    "open_at",
    "postgres",
    "postgres_url",
    "sqlite_url",
    "store",
    "store_url",
]
