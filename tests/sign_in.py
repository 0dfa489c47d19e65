"""An agency's sign-in for tests: a real HTTPS server of this process with keys of its own."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from elsewhere.wire.tls import make_authority, make_key, sign_gateway

AUDIENCE = "elsewhere-desk"
SUBJECT = "f3b1c0de-0001-4a5b-9c00-0123456789ab"
DISCOVERY = "/tenant/.well-known/openid-configuration"
ALL = ("RS256", "PS256", "ES256", "HS256", "none")
Key = RSAKey | ECKey


@cache
def signing_key(kid: str, kind: str = "EC") -> Key:
    """A key by its id: the same one whenever it is asked for."""
    if kind == "RSA":
        return RSAKey.generate_key(2048, {"kid": kid})
    return ECKey.generate_key("P-256", {"kid": kid})


class SignIn:
    """What the server says; tests change it while it runs."""

    def __init__(self, port: int) -> None:
        self.issuer = f"https://127.0.0.1:{port}/tenant"
        self.keys: list[Key] = [signing_key("first")]
        self.listed: list[dict[str, Any]] | None = None  # in place of `keys`
        self.discovery: dict[str, Any] = {}  # differences
        self.status = 200
        self.location = ""
        self.body: bytes | None = None
        self.fetched = 0

    def document(self, path: str) -> bytes:
        """What stands at a path."""
        if path == DISCOVERY:
            said = {"issuer": self.issuer, "jwks_uri": self.issuer + "/keys", **self.discovery}
            return json.dumps(said).encode()
        self.fetched += 1
        listed = self.listed or [dict(key.as_dict(private=False)) for key in self.keys]
        return self.body or json.dumps({"keys": listed}).encode()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims that are good now; one changed to None is left out."""
        now = int(datetime.now(UTC).timestamp())
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": SUBJECT,
            "iat": now,
            "exp": now + 300,
            "realm_access": {"roles": ["Social-Worker", "offline_access"]},
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, key: Key | None = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A token as this sign-in gives one, with changes."""
        key = key or self.keys[0]
        head = {"alg": "ES256" if isinstance(key, ECKey) else "RS256", "kid": key.kid, "typ": "JWT"}
        payload = json.dumps(self.claims(**changes)).encode()
        registry = jws.JWSRegistry(algorithms=ALL, strict_check_header=False)
        return jws.serialize_compact(head | (header or {}), payload, key, registry=registry)

    def settings(self, folder: Path) -> dict[str, Any]:
        """`[desk.oidc]` for it."""
        return {
            "issuer": self.issuer,
            "audience": AUDIENCE,
            "ca": str(folder / "sign-in.pem"),
            "role_claim": ["realm_access", "roles"],
            "roles": {
                "Social-Worker": "practitioner",
                "Lead": "safeguarding_lead",
                "Reviewers": "reviewer",
            },
        }


@contextmanager
def sign_in(folder: Path) -> Iterator[SignIn]:
    """Serve one; its CA is in the folder."""
    authority = make_authority("Sign-in", now=datetime.now(UTC))
    key = make_key()
    cert = sign_gateway(authority, key, hosts=["127.0.0.1"], now=datetime.now(UTC))
    (folder / "sign-in.pem").write_bytes(authority.cert_pem)
    (folder / "server.pem").write_bytes(key + cert)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = said.document(self.path)
            self.send_response(said.status)
            if said.location:
                self.send_header("Location", said.location)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    said = SignIn(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield said
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
