"""The door: the server's own checks around the pages. `python -m monitor web` starts it with the right settings."""

from pathlib import Path

import streamlit as st

from dashboard.door import middleware

app = st.App(Path(__file__).parent / "dashboard" / "script.py", middleware=middleware())
