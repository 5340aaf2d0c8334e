"""The dashboard as it is served, door and all, but with a scripted classifier: started by the browser tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import streamlit as st

from dashboard.door import middleware

app = st.App(Path(__file__).parent / "served_script.py", middleware=middleware())
