"""Alembic scripts. They are applied by monitor/store/open.py; there is no alembic.ini."""
