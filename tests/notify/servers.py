"""Real servers on loopback for the channels: HTTP whose answers a test scripts, and SMTP by aiosmtpd."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.tools import free_port


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    endless: int = 0  # so many bytes are streamed instead of the body
    stall: float = 0.0  # seconds before the status line


@dataclass(frozen=True)
class Got:
    path: str
    headers: dict[str, str]
    body: bytes
    at: float


class HookServer:
    """`answers` are given in turn, the last one for ever. `got` is what arrived; `written` the bytes it gave back."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers) or [Answer()]
        self.got: list[Got] = []
        self.written = 0
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:

                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = outer.note(Got(self.path, headers, body, time.monotonic()))
                if answer.stall:
                    outer.stopping.wait(answer.stall)
                self.close_connection = True
                try:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(answer.endless or len(answer.body)))
                    self.end_headers()
                    if answer.endless:
                        block = b"x" * 65536
                        for _ in range(answer.endless // len(block)):
                            self.wfile.write(block)
                            outer.written += len(block)
                    else:
                        self.wfile.write(answer.body)
                except OSError:
                    return  # the client has read enough and hung up

            do_GET = do_POST

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = int(self.server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/hook/T0K3Nsecret99"

    def note(self, got: Got) -> Answer:
        with self._lock:
            self.got.append(got)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def hook_server(*answers: Answer, tls: ssl.SSLContext | None = None) -> Iterator[HookServer]:
    hook = HookServer(*answers)
    if tls is not None:
        hook.server.socket = tls.wrap_socket(hook.server.socket, server_side=True)
        hook.url = hook.url.replace("http:", "https:")
    thread = threading.Thread(target=hook.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.stopping.set()
        hook.server.shutdown()
        hook.server.server_close()


class Mailbox:
    """What the relay accepted; `refuse` may name an SMTP reply for a recipient or for DATA."""

    def __init__(self, refuse: Callable[[str], str | None] = lambda what: None) -> None:
        self.mails: list[bytes] = []
        self.recipients: list[list[str]] = []
        self.refuse = refuse
        self.port = 0

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refused = self.refuse(address)
        if refused:
            return refused
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        refused = self.refuse("DATA")
        if refused:
            return refused
        self.mails.append(envelope.original_content or b"")
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 accepted"


@contextmanager
def mail_relay(mailbox: Mailbox, **options: Any) -> Iterator[Mailbox]:
    """An SMTP server on loopback. options go to aiosmtpd (tls_context, require_starttls, authenticator)."""
    mailbox.port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port, **options)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


def only_password(password: str) -> Callable[..., AuthResult]:
    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == password.encode(), handled=False)

    return authenticate


class TunnelProxy:
    """An egress proxy that knows CONNECT and nothing else; `asked` are the targets it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.authorization: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def serve(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return  # closed by the test
            threading.Thread(target=self._tunnel, args=(peer,), daemon=True).start()

    def _tunnel(self, peer: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += peer.recv(4096)
        lines = head.decode("latin-1").split("\r\n")
        target = lines[0].split()[1]
        self.asked.append(target)
        self.authorization += [line for line in lines if line.lower().startswith("proxy-authorization")]
        host, _, port = target.rpartition(":")
        try:
            far = socket.create_connection((host, int(port)), 5)
        except OSError:
            peer.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            peer.close()
            return
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for source, sink in ((peer, far), (far, peer)):
            threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while block := source.recv(65536):
            sink.sendall(block)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return  # one side has hung up; the other pump sees it too


@contextmanager
def tunnel_proxy() -> Iterator[TunnelProxy]:
    proxy = TunnelProxy()
    threading.Thread(target=proxy.serve, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.listener.close()
