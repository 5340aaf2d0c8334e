"""What Streamlit runs for each session: who may enter, which pages there are."""

from dashboard.shell import run

run()
