"""A session of the dashboard without a browser: Streamlit's own protocol over its socket, as a tab speaks it.

Opens `/_stcore/stream`, asks for a page, remembers the widgets and fragments that come, changes a widget, and waits for
the last message of the run. What a browser adds (drawing) is left out, so that twenty sessions fit beside the server.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

PATIENCE_S = 600.0  # a busy machine is slow, not broken; and the peer builds its frame of a million stories first
_WIDGETS = ("date_input", "button_group", "multiselect", "selectbox", "checkbox", "text_input", "slider")


@dataclass
class Answer:
    """One run: seconds until the last message, how many came, of how many bytes, and the errors that they showed."""

    seconds: float
    messages: int
    size: int
    errors: list[str] = field(default_factory=list)


class Session:
    """One tab. `url` as in `http://127.0.0.1:8501`; times are taken from sending to the last message of the run."""

    def __init__(self, url: str, zone: str = "UTC") -> None:
        self.zone = zone
        self.socket: ClientConnection = connect(
            f"{url.replace('http', 'ws', 1)}/_stcore/stream",
            subprotocols=["streamlit"],  # type: ignore[list-item]
            additional_headers={"Origin": url},
            max_size=None,
            open_timeout=PATIENCE_S,
            compression=None,
            proxy=None,
        )
        self.widgets: dict[str, tuple[str, str]] = {}  # key → (id, fragment)
        self.page_hash = ""
        self.query = ""
        self.first = date(2024, 1, 1)  # first day of the span that the session looks at

    def open(self, page: str, query: str = "") -> Answer:
        """Go to a page by its address, as a click on a link does."""
        self.widgets, self.query, self.page_hash = {}, query, ""
        message = self._rerun()
        message.rerun_script.page_name = page
        return self._ask(message)

    def change(self, key: str, value: list[str]) -> Answer:
        """Another value for a widget, named by its key in the code: a date, or the option of a switch."""
        identity, fragment = self.widgets[key]
        message = self._rerun()
        state = message.rerun_script.widget_states.widgets.add(id=identity)
        state.string_array_value.data.extend(value)
        message.rerun_script.fragment_id = fragment
        return self._ask(message)

    def again(self) -> Answer:
        """Run the script of the page once more, nothing changed."""
        return self._ask(self._rerun())

    def close(self) -> None:
        self.socket.close()

    def _rerun(self) -> BackMsg:
        message = BackMsg()
        message.rerun_script.query_string = self.query
        message.rerun_script.page_script_hash = self.page_hash
        message.rerun_script.context_info.timezone = self.zone
        message.rerun_script.context_info.locale = "en-GB"
        return message

    def _ask(self, message: BackMsg) -> Answer:
        begun = time.perf_counter()
        self.socket.send(message.SerializeToString())
        answer = Answer(0.0, 0, 0)
        while True:
            raw = self.socket.recv(timeout=PATIENCE_S)
            answer.messages += 1
            answer.size += len(raw)
            said = ForwardMsg()
            said.ParseFromString(raw if isinstance(raw, bytes) else raw.encode())
            kind = said.WhichOneof("type")
            if kind == "delta":
                self._keep(said.delta, answer)
            elif kind == "navigation":
                self.page_hash = said.navigation.page_script_hash
            elif kind == "page_info_changed":
                self.query = said.page_info_changed.query_string
            elif kind == "script_finished" and said.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                answer.seconds = time.perf_counter() - begun
                return answer

    def _keep(self, delta: Any, answer: Answer) -> None:
        element = delta.new_element
        kind = element.WhichOneof("type")
        if kind in _WIDGETS:
            identity = getattr(element, kind).id
            self.widgets[identity.split("-", 2)[-1]] = (identity, delta.fragment_id)
        elif kind == "exception" or (kind == "alert" and element.alert.format == element.alert.ERROR):
            answer.errors.append(getattr(element, kind).message if kind == "exception" else element.alert.body)
