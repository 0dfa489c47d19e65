"""The agency's own sign-in, as an OpenID provider publishes it: its discovery document and its public keys.

Sees:     public documents. Nothing of anybody who signs in is sent there.
Refuses:  anything but TLS with a verified certificate, redirects, more bytes than fit, another issuer's
          document, and keys that are not public signature keys of a size that holds.
Source:   OpenID Connect Discovery 1.0 §4; RFC 7517 §5.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from elsewhere.identity import ProviderUnreachable

MAX_DOCUMENT_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 100
MAX_KID: Final = 256
STEP_S: Final = 5.0  # for each read, and for the connection
WHOLE_S: Final = 10.0  # for one document: who sends a byte now and then holds nobody up
LEAST_RSA_BITS: Final = 2048
_PATH: Final = "/.well-known/openid-configuration"
_PRIVATE: Final = frozenset("dpqk")

PublicKey = RSAKey | ECKey


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a sign-in publishes its keys. Methods block."""

    issuer: str
    tls: ssl.SSLContext

    def fetch(self) -> Mapping[str, PublicKey]:
        """Fetch the keys that sign tokens now, by key id; a single key may have the id "".

        Raises:
            ProviderUnreachable: no document that can be used came; the message says what did.
        """
        found = parse_discovery(self._get(self.issuer.rstrip("/") + _PATH), self.issuer)
        return parse_keys(self._get(found))

    def _get(self, url: str) -> bytes:
        """Fetch one document."""
        parts = split_url(url)
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=STEP_S, context=self.tls
        )
        watch = threading.Timer(WHOLE_S, _hang_up, (connection,))
        watch.daemon = True
        watch.start()
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target or "/", headers={"Accept": "application/json"})
            response = connection.getresponse()
            # A redirect is refused with the rest: it could lead anywhere, and providers need none here.
            if response.status != http.client.OK:
                raise ProviderUnreachable(f"expected a document of the sign-in; got HTTP {response.status}")
            data = response.read(MAX_DOCUMENT_BYTES + 1)
        except ssl.SSLCertVerificationError:
            raise ProviderUnreachable(
                "expected a certificate of the sign-in that a trusted CA signed for its name; it is none"
            ) from None
        except (OSError, http.client.HTTPException, ValueError):
            raise ProviderUnreachable("expected an answer of the sign-in; none came in time") from None
        finally:
            watch.cancel()
            connection.close()
        if len(data) > MAX_DOCUMENT_BYTES:
            raise ProviderUnreachable(f"expected a document of at most {MAX_DOCUMENT_BYTES} bytes")
        return data


def parse_discovery(data: bytes, issuer: str) -> str:
    """Read where a provider's keys are.

    Args:
        data: the discovery document, from anyone.
        issuer: that it has to be about, to the letter.

    Raises:
        ProviderUnreachable: not such a document.
    """
    found = _object(data)
    if found.get("issuer") != issuer:
        raise ProviderUnreachable("expected the discovery document of the configured issuer; it is another's")
    url = found.get("jwks_uri")
    if not isinstance(url, str):
        raise ProviderUnreachable("expected jwks_uri in the sign-in's discovery document")
    split_url(url)
    return url


def parse_keys(data: bytes) -> Mapping[str, PublicKey]:
    """Read the public keys that may sign tokens, by key id; others in the set are passed over.

    Raises:
        ProviderUnreachable: not a key set, or none of its keys is of use.
    """
    listed = _object(data).get("keys")
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise ProviderUnreachable(f"expected a list of at most {MAX_KEYS} keys of the sign-in")
    found = [(_kid(entry), key) for entry in listed if (key := _key(entry)) is not None]
    keys = {kid: key for kid, key in found if kid or len(found) == 1}
    if not keys or len(keys) < len(found):
        raise ProviderUnreachable("expected keys of the sign-in for signatures, each with an id of its own")
    return MappingProxyType(keys)


def split_url(url: str) -> SplitResult:
    """Take a URL apart.

    Raises:
        ProviderUnreachable: not an https URL of a host, or it holds a password.
    """
    try:
        parts = urlsplit(url)
        fits = parts.scheme == "https" and bool(parts.hostname) and parts.username is None
        fits = fits and parts.port != 0 and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        fits = False
    if not fits:
        raise ProviderUnreachable("expected an https URL of the sign-in")
    return parts


def _key(entry: object) -> PublicKey | None:
    """One key, if it is a public one that may sign; a secret one in public has been given away."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.keys() & _PRIVATE:
        return None
    # Imported with its public numbers alone: what else a provider adds is not ours to check.
    names = ("kty", "n", "e", "crv", "x", "y", "alg")
    numbers = {name: entry[name] for name in names if isinstance(entry.get(name), str)}
    is_rsa = numbers.get("kty") == "RSA"
    if not is_rsa and numbers.get("kty") != "EC":
        return None
    # Looked at before it is imported: the library would warn of a short one and take it.
    if is_rsa and len(numbers.get("n", "")) * 6 < LEAST_RSA_BITS:
        return None
    try:
        key = JWKRegistry.import_key(numbers)
        public = key.get_op_key("verify")
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        return None
    if isinstance(public, RSAPublicKey) and public.key_size < LEAST_RSA_BITS:
        return None
    return key if isinstance(key, RSAKey | ECKey) else None


def _kid(entry: Mapping[str, Any]) -> str:
    kid = entry.get("kid", "")
    return kid if isinstance(kid, str) and len(kid) <= MAX_KID else ""


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ProviderUnreachable("expected a JSON object of the sign-in; something else came")
    return found


def _hang_up(connection: http.client.HTTPSConnection) -> None:
    """End a connection under whoever reads from it: past TLS, which another thread is in."""
    with suppress(OSError):
        if connection.sock is not None:
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
