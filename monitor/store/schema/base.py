"""What all tables share."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Integer,
    MetaData,
)

HEAD = "0004"
"""Revision of the migrations that this code expects (a test keeps it equal to the newest script)."""

APPLICATION_ID = 0x48574E44
"""PRAGMA application_id of our SQLite files ("HWND"), so that a foreign database is recognised."""

metadata = MetaData()
Id = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER is a row number in SQLite
