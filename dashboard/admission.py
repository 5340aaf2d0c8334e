"""Which sessions have shown that they may enter: the script says so, the server (dashboard/door.py) asks.

A session of Streamlit exists as soon as a browser has connected, before anybody has logged in; its number alone opens
nothing here.
"""

from __future__ import annotations

import threading
from typing import Final

from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

_lock = threading.Lock()
_admitted: set[str] = set()
_PRUNE_AT: Final = 200


def admit() -> None:
    """The session of this run may enter."""
    own = _session()
    if own is None:
        return
    with _lock:
        _admitted.add(own)
        if len(_admitted) > _PRUNE_AT and runtime.exists():
            alive = runtime.get_instance()
            _admitted.intersection_update({one for one in _admitted if alive.is_active_session(one)} | {own})


def dismiss() -> None:
    """The session of this run may not enter (any more)."""
    with _lock:
        _admitted.discard(_session() or "")


def is_admitted(session_id: str) -> bool:
    with _lock:
        return session_id in _admitted


def _session() -> str | None:
    running = get_script_run_ctx(suppress_warning=True)
    return running.session_id if running else None
