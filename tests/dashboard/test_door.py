"""The server's own checks, asked over a real socket of a real server: names, origins, and room for uploads (U2)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from dashboard import admission, door
from dashboard.door import MEGABYTE, SESSION_LIMIT, TOTAL_LIMIT, Door
from tests.tools import free_port


class Behind:
    """What stands behind the door: remembers what came through, and holds what was uploaded."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self.held: dict[str, int] = {}
        self.go_on = threading.Event()
        self.go_on.set()

    async def page(self, request: Request) -> PlainTextResponse:
        self.came.append(request.url.path)
        return PlainTextResponse("page")

    async def upload(self, request: Request) -> PlainTextResponse:
        session = request.path_params["session"]
        size = sum([len(chunk) async for chunk in request.stream()])
        self.held[session] = self.held.get(session, 0) + size
        return PlainTextResponse("taken")

    async def socket(self, websocket: WebSocket) -> None:
        self.came.append("socket")
        await websocket.accept()
        await websocket.close()


class Front:
    def __init__(self, behind: Behind, **checks: object) -> None:
        app = Starlette(
            routes=[
                Route("/", behind.page),
                Route("/_stcore/upload_file/{session}/{file}", behind.upload, methods=["PUT"]),
                WebSocketRoute("/_stcore/stream", behind.socket),
            ]
        )
        self.port = free_port()
        given = {"origins": frozenset({"https://desk.example"}), "hosts": frozenset({"localhost"}), **checks}
        config = uvicorn.Config(Door(app, **given), port=self.port, log_level="error", lifespan="off")  # type: ignore[arg-type]
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve()), daemon=True)
        self.thread.start()
        while not self.server.started:
            pass

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body=body or None, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
def front(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    monkeypatch.setattr(door, "_held", lambda: iter(behind.held.items()))
    monkeypatch.setattr(admission, "_admitted", {f"s{number}" for number in range(100)})
    one = Front(behind)
    yield one
    one.close()


SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def test_D2_a_name_that_is_not_ours_is_served_nothing(front: Front, behind: Behind) -> None:
    port = front.port
    for host in (f"evil.invalid:{port}", "127.0.0.1.evil.invalid", "[::1", "", "10.0.0.7"):
        assert front.ask("GET", "/", Host=host)[0] in (400, 403), host
        assert front.ask("GET", "/_stcore/stream", Host=host, **SOCKET)[0] in (400, 403), host
    assert behind.came == []
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", "127.9.9.9"):
        assert front.ask("GET", "/", Host=host)[0] == 200, host


@pytest.mark.parametrize("origin", ["https://evil.invalid", "null", "http://localhost:1", "https://desk.example.evil"])
def test_D2_a_page_from_elsewhere_gets_neither_socket_nor_upload(front: Front, behind: Behind, origin: str) -> None:
    assert front.ask("GET", "/_stcore/stream", Origin=origin, **SOCKET)[0] == 403
    assert front.ask("PUT", "/_stcore/upload_file/s1/f", b"x", Origin=origin)[0] == 403
    assert (behind.came, behind.held) == ([], {})


def test_our_own_page_and_the_one_that_a_proxy_shows_get_both(front: Front, behind: Behind) -> None:
    for origin in (f"http://127.0.0.1:{front.port}", "https://desk.example"):
        assert front.ask("GET", "/_stcore/stream", Origin=origin, **SOCKET)[0] == 101
        assert front.ask("PUT", "/_stcore/upload_file/s1/f", b"x", Origin=origin) == (200, "taken")
    assert behind.came == ["socket", "socket"]


def test_D2_a_session_that_has_not_entered_uploads_nothing(front: Front, behind: Behind) -> None:
    assert front.ask("PUT", "/_stcore/upload_file/stranger/f", b"x") == (403, "log in first\n")
    assert front.ask("PUT", "/_stcore/upload_file/../s1/f", b"x")[0] in (403, 404)
    assert behind.held == {}


def test_U2_what_fifty_sessions_bring_together_is_bounded(front: Front, behind: Behind) -> None:
    file = bytes(20 * MEGABYTE)
    answers = [front.ask("PUT", f"/_stcore/upload_file/s{number}/f", file)[0] for number in range(50)]
    assert answers == [200] * 20 + [507] * 30
    assert sum(behind.held.values()) == TOTAL_LIMIT
    del behind.held["s0"]  # a session ended
    assert front.ask("PUT", "/_stcore/upload_file/s49/f", file)[0] == 200


def test_U2_one_session_cannot_take_the_room_of_all(front: Front, behind: Behind) -> None:
    file = bytes(20 * MEGABYTE)
    answers = [front.ask("PUT", f"/_stcore/upload_file/s1/{number}", file)[0] for number in range(7)]
    assert answers == [200] * 5 + [507] * 2
    assert behind.held == {"s1": SESSION_LIMIT}


def test_U2_uploads_on_their_way_count_too(front: Front, behind: Behind) -> None:
    """Twenty-one that announce 20 MB and send nothing yet: the last one finds no room left."""
    waiting = []
    for number in range(20):
        connection = HTTPConnection("127.0.0.1", front.port, timeout=30)
        connection.putrequest("PUT", f"/_stcore/upload_file/s{number}/f")
        connection.putheader("Content-Length", str(20 * MEGABYTE))
        connection.endheaders()
        waiting.append(connection)
    answers = {front.ask("PUT", "/_stcore/upload_file/s50/f", b"x")[0] for _ in range(3)}
    assert answers == {507}
    for connection in waiting:
        connection.close()


def test_U2_an_upload_that_does_not_say_how_long_it_is_is_refused(front: Front, behind: Behind) -> None:
    connection = HTTPConnection("127.0.0.1", front.port, timeout=30)
    connection.request("PUT", "/_stcore/upload_file/s1/f", body=iter([b"x"] * 3), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})  # fmt: skip
    assert connection.getresponse().status == 411
    connection.close()
    assert behind.held == {}


def test_a_login_that_cannot_be_used_closes_the_door(own_home, monkeypatch: pytest.MonkeyPatch) -> None:
    own_home.mkdir(parents=True)
    (own_home / "login.toml").write_text("[auth\n")
    [only] = door.middleware()
    assert only.kwargs == {"origins": frozenset(), "hosts": frozenset(), "uploads": False}
