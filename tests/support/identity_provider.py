"""An identity provider that says whatever a test wants it to: one that is right unless told otherwise.

Nobody signs in there: `send_back` is what it does with a browser that was led to it.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import Key, RSAKey
from joserfc.jws import JWSRegistry

Json = dict[str, Any]

CLIENT, SECRET = "notification-service", "s3cret"
PUBLIC = "HS256"
"""An algorithm that signs with a secret: here, with what is published of the key."""
_ALL = list(JWSRegistry.algorithms)


class FalseProvider:
    """claims: of its ID tokens, beside those that are right; None: that one is missing. algorithm, key: with which it
    signs; keys: those that it publishes. document: what it publishes of itself in place of what is right. answers:
    what it does in place of an answer, by path. more: members of the answer with the tokens. asked: the paths that it
    was asked for. headers, form: of the last one who asked for tokens."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.start_anew()

    def start_anew(self) -> None:
        """As if nobody had told it anything."""
        self.claims: Json = {"groups": ["ops"]}
        self.userinfo: Json = {}
        self.document: Json = {}
        self.more: Json = {}
        self.answers: dict[str, Callable[[Handler], object]] = {}
        self.asked: list[str] = []
        self.headers: Json = {}
        self.form: Json = {}
        self.algorithm = "RS256"
        self.key: Key = a_key(0)
        self.keys: list[Key] = [self.key]
        self._met: dict[str, list[str]] = {}

    def send_back(self, address: str, **differs: str | None) -> str:
        """The path and query at which the browser that was led to `address` comes back. differs: in its answer."""
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}" == self.issuer
        self._met = parse_qs(parts.query)
        back = urlsplit(self._met["redirect_uri"][0])
        answer = {"code": "c0de", "state": self._met["state"][0], "iss": self.issuer} | differs
        return f"{back.path}?{urlencode({name: value for name, value in answer.items() if value is not None})}"

    def rotate(self) -> None:
        """The old key is not published any more."""
        self.key = a_key(1)
        self.keys = [self.key]

    def published(self) -> Json:
        places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        places |= {"userinfo_endpoint": "userinfo", "end_session_endpoint": "end"}
        found: Json = {name: f"{self.issuer}/{path}" for name, path in places.items()}
        found |= {"issuer": self.issuer, "authorization_response_iss_parameter_supported": True}
        return {name: value for name, value in (found | self.document).items() if value is not None}

    def tokens(self) -> tuple[int, Json]:
        challenge = _base64(hashlib.sha256(self.form["code_verifier"].encode()).digest())
        asked_for = self._met["code_challenge"][0], self._met["redirect_uri"][0]
        if (challenge, self.form["redirect_uri"]) != asked_for:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        right: Json = {"iss": self.issuer, "sub": "anna-1", "aud": CLIENT, "iat": now, "exp": now + 300}
        right |= {"nonce": self._met["nonce"][0], "auth_time": now, "name": "Anna Müller"}
        claims = {name: value for name, value in (right | self.claims).items() if value is not None}
        text = signed(claims, self.key, self.algorithm)
        return 200, {"access_token": "t0ken", "token_type": "Bearer", "id_token": text} | self.more


class Handler(BaseHTTPRequestHandler):
    provider: FalseProvider

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.provider.headers, self.provider.form = dict(self.headers), dict(parse_qsl(body))
        self._answer()

    def _answer(self) -> None:
        provider, path = self.provider, urlsplit(self.path).path.lstrip("/")
        provider.asked.append(path)
        if path in provider.answers:
            provider.answers[path](self)
        elif path == "token":
            self.reply(*provider.tokens())
        elif path == "keys":
            self.reply(200, {"keys": [key.as_dict(private=False) for key in provider.keys]})
        else:
            self.reply(200, provider.userinfo if path == "userinfo" else provider.published())

    def reply(self, status: int, answer: object, **headers: str) -> None:
        """answer: bytes as they are; else as JSON."""
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@lru_cache
def a_key(number: int) -> Key:
    """Of each number another one."""
    key = RSAKey.generate_key(2048)
    key.ensure_kid()
    return key


def signed(claims: Json, key: Key, algorithm: str) -> str:
    header = {"alg": algorithm, "kid": key.kid}
    if algorithm != PUBLIC:
        return jwt.encode(header, claims, key, registry=JWSRegistry(algorithms=_ALL))
    # By hand: no library does it. What everybody knows of the key is the secret.
    said = ".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
    secret = key.as_pem(private=False)
    return f"{said}.{_base64(hmac.new(secret, said.encode(), hashlib.sha256).digest())}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@contextmanager
def serving() -> Iterator[FalseProvider]:
    handler = type("OneHandler", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    provider = FalseProvider(server.server_address[1])
    handler.provider = provider  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, args=[0.02], daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
