"""The door: who may enter, which pages there are."""

from dashboard.shell import run

run()
