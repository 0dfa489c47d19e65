"""Signed documents: canonical JSON in DSSE envelopes, and what a reader refuses of each.

Source:   docs/protocol.md "Documents"; RFC 8785; DSSE 1.0; RFC 8032.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from searcher.refusal import Refusal, require

PREFIX = "application/vnd.elsewhere."
ROSTER_KEYS = {
    *("federation", "version", "previous_digest", "members", "stewards", "quorum", "stewards_since"),
    *("gateway_key", "issued_utc", "valid_until_utc"),
}
STEWARD_KEYS = {"agency_id", "name", "key"}
MEMBER_KEYS = {"agency_id", "name", "sector", "operator", "state", "signing_key"}
STATEMENT_KEYS = {
    "agency",
    "version",
    "issued_utc",
    "sealing_keys",
    "oprf_keys",
    "protocol_versions",
    "match_key_versions",
}
RECEIPT_KEYS = {
    "custodian",
    "searcher",
    "commitment",
    "request_digest",
    "decision",
    "clause",
    "tier",
    "released",
    "elements",
    "leaf",
    "call_reference",
    "time_utc",
}


def document_type(name: str) -> str:
    return f"{PREFIX}{name}.v1+json"


def message_type(name: str) -> str:
    return f"{PREFIX}{name}.v1"


def canonical(value: object) -> bytes:
    """RFC 8785 for what occurs here: text, whole numbers, booleans, null; all keys are ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse(data: bytes) -> dict[str, Any]:
    """Read a canonical object, refusing every other form of it."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        require(len(dict(pairs)) == len(pairs), "document.not_canonical", "every key once")
        return dict(pairs)

    def whole(text: str) -> int:
        require(abs(int(text)) < 2**53, "document.not_canonical", "integers of 53 bits")
        return int(text)

    try:
        value: object = json.loads(
            data, object_pairs_hook=once, parse_int=whole, parse_constant=_refuse_constant
        )
    except ValueError:
        raise Refusal("document.not_canonical", "JSON") from None
    if not isinstance(value, dict) or canonical(value) != data:
        raise Refusal("document.not_canonical", "canonical JSON")
    return value


def _refuse_constant(_: str) -> None:
    raise Refusal("document.not_canonical", "a number of JSON")


def encoding(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(key: Ed25519PrivateKey, payload_type: str, payload: bytes) -> bytes:
    return key.sign(encoding(payload_type, payload))


def verify_signature(public: bytes, payload_type: str, payload: bytes, signature: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, encoding(payload_type, payload))
    except (InvalidSignature, ValueError):
        raise Refusal("signature.invalid", f"a signature of {payload_type}") from None


def key_id(public: bytes) -> str:
    """The first 16 hex digits of SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def envelope(key: Ed25519PrivateKey, payload_type: str, content: dict[str, Any]) -> bytes:
    """Sign a document."""
    payload = canonical(content)
    public = key.public_key().public_bytes_raw()
    signature = {"keyid": key_id(public), "sig": _to_base64(sign(key, payload_type, payload))}
    return canonical({"payload": _to_base64(payload), "payloadType": payload_type, "signatures": [signature]})


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@dataclass(frozen=True, slots=True)
class Document:
    """A document whose signature held."""

    content: dict[str, Any]
    digest: bytes

    def is_in_force(self, now: datetime, since: str, until: str) -> bool:
        return time(self.content[since]) <= now < time(self.content[until])


def open_envelope(data: bytes, payload_type: str, public: bytes, keys: set[str] | None = None) -> Document:
    """Verify, then parse; `keys` are all that the document has, where a searcher knows them all."""
    found, signers = open_signed(data, payload_type, [public], keys)
    require(bool(signers), "signature.invalid", f"a signature of {payload_type}")
    return found


def open_signed(
    data: bytes, payload_type: str, publics: Sequence[bytes], keys: set[str] | None = None
) -> tuple[Document, set[bytes]]:
    """Parse, and tell which of these keys have signed: each counts once, no other counts."""
    try:
        return _opened(data, payload_type, publics, keys)
    except (KeyError, TypeError, ValueError):
        raise Refusal("document.invalid", f"an envelope of {payload_type}") from None


def _opened(
    data: bytes, payload_type: str, publics: Sequence[bytes], keys: set[str] | None
) -> tuple[Document, set[bytes]]:
    outer = parse(data)
    require(set(outer) == {"payload", "payloadType", "signatures"}, "document.invalid", "a DSSE envelope")
    require(outer["payloadType"] == payload_type, "document.invalid", payload_type)
    payload = base64.b64decode(outer["payload"], validate=True)
    signatures = [base64.b64decode(one["sig"], validate=True) for one in outer["signatures"]]
    signers = set()
    for public, signature in itertools.product(publics, signatures):
        with contextlib.suppress(Refusal):
            verify_signature(public, payload_type, payload, signature)
            signers.add(public)
    content = parse(payload)
    require(keys is None or set(content) == keys, "document.invalid", f"the keys of {payload_type}")
    return Document(content, hashlib.sha256(payload).digest()), signers


def time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def time_text(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
