"""A small OpenID provider on loopback: discovery, codes with PKCE (S256) and nonce, JWKS, userinfo, logout.

It logs in whoever `person` names without asking, and keeps what it was asked, so that a test can look. It refuses what
a provider has to refuse: another client, redirect, verifier, or a code used twice.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "headwind"
SECRET = "a-secret-of-the-client"


@dataclass
class Provider:
    """person: claims of whoever logs in next. lies: claims that are put over the token's own, to be found out."""

    redirect_uri: str
    person: dict[str, Any] = field(default_factory=dict)
    lies: dict[str, Any] = field(default_factory=dict)
    forged: bool = False
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.other_key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.answer(self, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                provider.answer(self, {name: values[0] for name, values in parse_qs(body).items()})

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def questions(self, path: str) -> list[dict[str, str]]:
        return [given for one, given in self.asked if one == path]

    def login_file(self) -> str:
        """What an operator writes into login.toml for this provider."""
        return (
            "[auth]\n"
            f'redirect_uri = "{self.redirect_uri}"\n'
            f'cookie_secret = "{secrets.token_hex(32)}"\n'
            f'client_id = "{CLIENT}"\n'
            f'client_secret = "{SECRET}"\n'
            f'server_metadata_url = "{self.issuer}/.well-known/openid-configuration"\n'
        )

    def answer(self, handler: BaseHTTPRequestHandler, posted: dict[str, str]) -> None:
        address = urlsplit(handler.path)
        given = {name: values[0] for name, values in parse_qs(address.query).items()} | posted
        self.asked.append((address.path, given))
        do = {
            "/.well-known/openid-configuration": self._discovery,
            "/authorize": self._authorize,
            "/token": self._token,
            "/jwks": lambda *_: (200, self._keys(), {}),
            "/userinfo": self._userinfo,
            "/logout": self._logout,
        }.get(address.path, lambda *_: (404, {}, {}))
        status, body, headers = do(handler, given)
        data = json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    def _discovery(self, *_: Any) -> tuple[int, Any, dict[str, str]]:
        return (
            200,
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "jwks_uri": f"{self.issuer}/jwks",
                "end_session_endpoint": f"{self.issuer}/logout",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            },
            {},
        )

    def _keys(self) -> dict[str, Any]:
        return {"keys": [self.key.as_dict(private=False)]}

    def _authorize(self, _: Any, given: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        if given.get("client_id") != CLIENT or given.get("redirect_uri") != self.redirect_uri:
            return 400, {"error": "invalid_client"}, {}
        if given.get("code_challenge_method") != "S256" or not given.get("nonce") or not given.get("state"):
            return 400, {"error": "invalid_request"}, {}
        code = secrets.token_urlsafe(16)
        self.codes[code] = {"asked": given, "person": dict(self.person)}
        return 302, {}, {"Location": f"{self.redirect_uri}?{urlencode({'code': code, 'state': given['state']})}"}

    def _token(self, handler: BaseHTTPRequestHandler, given: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        own = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        kept = self.codes.pop(given.get("code", ""), None)
        if handler.headers.get("Authorization") != own or kept is None:
            return 401, {"error": "invalid_grant"}, {}
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != kept["asked"]["code_challenge"]:
            return 400, {"error": "invalid_grant"}, {}
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 3600, "nonce": kept["asked"]["nonce"]}
        claims |= kept["person"] | self.lies
        key = self.other_key if self.forged else self.key
        access = secrets.token_urlsafe(16)
        self.tokens[access] = kept["person"]
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)
        return 200, {"access_token": access, "token_type": "Bearer", "expires_in": 3600, "id_token": signed}, {}

    def _userinfo(self, handler: BaseHTTPRequestHandler, _: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        person = self.tokens.get(handler.headers.get("Authorization", "").removeprefix("Bearer "))
        return (200, person, {}) if person else (401, {}, {})

    def _logout(self, _: Any, given: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        return 302, {}, {"Location": given.get("post_logout_redirect_uri", self.redirect_uri)}
