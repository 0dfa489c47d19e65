"""Signatures: who said these bytes, and which kind of statement they are.

Holds:    an Ed25519 private key, inside `SigningKey` only; it never prints.
Refuses:  a signature made for another payload type, by an unlisted key, or by fewer keys than the quorum.
Source:   DSSE protocol and envelope 1.0 (secure-systems-lab); Ed25519: RFC 8032 §5.1.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from elsewhere.canonical import Json, canonical_json, parse_canonical
from elsewhere.errors import MalformedKey, SignatureInvalid
from elsewhere.random import RandomBytes

KEY_BYTES = 32
SIGNATURE_BYTES = 64
MAX_ENVELOPE_BYTES = 4 * 1024 * 1024
MAX_SIGNATURES = 256
SPARE_TRIALS = 8  # beyond one for each listed key: of signatures that name none, or another's


def key_id(public: bytes) -> str:
    """Name a public key: 16 hex digits of its SHA-256. A name only; trust comes from the roster."""
    return hashlib.sha256(public).hexdigest()[:16]


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """An Ed25519 key pair from its 32-byte seed. Prints its key id only."""

    seed: bytes = field(repr=False)
    public: bytes = field(init=False, repr=False)
    key_id: str = field(init=False)
    _private: Ed25519PrivateKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != KEY_BYTES:
            raise MalformedKey(f"signing key: expected a seed of {KEY_BYTES} bytes, got {len(self.seed)}")
        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        public = private.public_key().public_bytes_raw()
        object.__setattr__(self, "_private", private)
        object.__setattr__(self, "public", public)
        object.__setattr__(self, "key_id", key_id(public))

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """Rebuild the pair from its 32 secret bytes."""
        return cls(seed)

    @classmethod
    def generate(cls, random: RandomBytes) -> SigningKey:
        """Make a new pair from 32 random bytes."""
        return cls(random(KEY_BYTES))

    def sign(self, message: bytes) -> bytes:
        """Sign raw bytes, 64 bytes out. Callers use `sign_bytes`, which binds the payload type."""
        return self._private.sign(message)


def pae(payload_type: str, payload: bytes) -> bytes:
    """Encode type and payload so that no other pair gives the same bytes.

    Source: DSSE protocol, "Signature Definition".
    """
    # PAE(type, body) = "DSSEv1" + SP + LEN(type) + SP + type + SP + LEN(body) + SP + body
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign_bytes(key: SigningKey, payload_type: str, payload: bytes) -> bytes:
    """Sign a payload as one kind of statement.

    Args:
        key: the signer's key.
        payload_type: a media type of ours; the verifier must expect the same one.
        payload: the exact bytes; whoever verifies needs them again.

    Returns:
        64 bytes, to be carried beside the payload.
    """
    return key.sign(pae(payload_type, payload))


def check_signature(public: bytes, payload_type: str, payload: bytes, signature: bytes) -> None:
    """Return only if the key signed exactly this payload as exactly this kind of statement.

    Args:
        public: 32 bytes, taken from the roster and never from the message itself.
        payload_type: the kind the caller expects here.
        payload: the bytes received.
        signature: 64 bytes.

    Raises:
        SignatureInvalid: use nothing of the payload.
    """
    if not _verifies(public, pae(payload_type, payload), signature):
        raise SignatureInvalid(
            f"expected a signature of type {payload_type} by key {key_id(public)}; it fails"
        )


def sign_document(keys: Sequence[SigningKey], payload_type: str, value: Json) -> bytes:
    """Wrap a JSON value in an envelope signed by every key given.

    Args:
        keys: 1..256 signers, no two alike.
        payload_type: the kind of document.
        value: has a canonical form, which is what gets signed.

    Returns:
        The DSSE JSON envelope, itself canonical JSON.

    Raises:
        NotCanonical: the value cannot be written canonically. Nothing was signed.
    """
    if not 1 <= len(keys) <= MAX_SIGNATURES or len({key.public for key in keys}) != len(keys):
        raise ValueError(f"expected 1..{MAX_SIGNATURES} different signers, got {len(keys)} keys")
    payload = canonical_json(value)
    return enclose(
        payload_type, payload, {key.public: sign_bytes(key, payload_type, payload) for key in keys}
    )


def enclose(payload_type: str, payload: bytes, signatures: Mapping[bytes, bytes]) -> bytes:
    """Put a payload and the signatures made of it, by public key, into an envelope, in the keys' order.

    Nothing is checked here: whoever reads the envelope does.
    """
    listed: list[Json] = [
        {"keyid": key_id(public), "sig": _to_base64(signature)} for public, signature in signatures.items()
    ]
    return canonical_json({"payload": _to_base64(payload), "payloadType": payload_type, "signatures": listed})


def open_document(
    envelope: bytes,
    payload_type: str,
    publics: Sequence[bytes],
    quorum: int = 1,
    limit: int = MAX_ENVELOPE_BYTES,
) -> Json:
    """Give the value of a signed document once enough of the listed keys have signed it.

    Args:
        envelope: a DSSE JSON envelope, at most 4 MiB.
        payload_type: the kind the caller expects; another kind is refused.
        publics: the keys that may sign, 32 bytes each.
        quorum: how many different ones must have signed, at least 1.
        limit: bytes that the envelope may have.

    Raises:
        SignatureInvalid: not such an envelope, or too few valid signatures. Use nothing of it.
        NotCanonical: signed, but its payload is not canonical JSON.
    """
    return parse_canonical(open_envelope(envelope, payload_type, publics, quorum, limit))


def open_envelope(
    envelope: bytes,
    payload_type: str,
    publics: Sequence[bytes],
    quorum: int = 1,
    limit: int = MAX_ENVELOPE_BYTES,
) -> bytes:
    """Give the exact payload bytes of a signed document, as `open_document` does; its digest is taken here.

    Each trial of a key reads the whole payload, so signatures that name their key are tried first, and others
    only for so many trials: 256 bad signatures against 100 keys would take a peer's word and seconds of time.

    Raises:
        SignatureInvalid: not such an envelope, or too few valid signatures. Use nothing of it.

    Source: DSSE protocol, "Multi-signature Verification".
    """
    if quorum < 1 or quorum > len(set(publics)):
        raise SignatureInvalid(f"expected a quorum of 1..{len(set(publics))} listed keys, asked for {quorum}")
    kind, payload, signatures = _read_envelope(envelope, limit)
    if not kind or kind != payload_type:
        raise SignatureInvalid(f"expected an envelope of type {payload_type}; it states another")
    message = pae(kind, payload)
    accepted: set[bytes] = set()
    for key, signature in islice(_trials(signatures, publics), len(publics) + SPARE_TRIALS):
        if key not in accepted and _verifies(key, message, signature):
            accepted.add(key)
            if len(accepted) == quorum:
                return payload
    raise SignatureInvalid(f"expected {quorum} signatures by listed keys, {len(accepted)} verify")


def verified_signatures(envelope: bytes, payload_type: str, publics: Sequence[bytes]) -> dict[bytes, bytes]:
    """Give every signature by a listed key that holds, by its key, in the order of the keys listed.

    A signature by an unlisted key is passed over, and a second one by the same key as well.

    Raises:
        SignatureInvalid: not an envelope of this type. Use nothing of it.
    """
    kind, payload, signatures = _read_envelope(envelope, MAX_ENVELOPE_BYTES)
    if not kind or kind != payload_type:
        raise SignatureInvalid(f"expected an envelope of type {payload_type}; it states another")
    message, found = pae(kind, payload), dict[bytes, bytes]()
    for key, signature in islice(_trials(signatures, publics), len(publics) + SPARE_TRIALS):
        if key not in found and _verifies(key, message, signature):
            found[key] = signature
    return {key: found[key] for key in publics if key in found}


def unverified_payload(envelope: bytes, payload_type: str) -> bytes:
    """Give the payload of an envelope that nobody has verified: only to learn whose signatures to look for.

    Raises:
        SignatureInvalid: not an envelope of this type.
    """
    kind, payload, _ = _read_envelope(envelope, MAX_ENVELOPE_BYTES)
    if kind != payload_type:
        raise SignatureInvalid(f"expected an envelope of type {payload_type}; it states another")
    return payload


def _read_envelope(envelope: bytes, limit: int) -> tuple[str, bytes, list[tuple[object, bytes]]]:
    """Take type, payload and (keyid, signature) pairs out of an envelope of which nothing is trusted yet."""
    refused = SignatureInvalid("expected a DSSE envelope: payload, payloadType, signatures; it is not one")
    if len(envelope) > limit:
        raise SignatureInvalid(f"expected an envelope of at most {limit} bytes, got {len(envelope)}")
    try:
        found = json.loads(envelope.decode("utf-8"))
        kind, payload, signatures = found["payloadType"], found["payload"], found["signatures"]
        if not isinstance(kind, str) or not isinstance(signatures, list) or len(signatures) > MAX_SIGNATURES:
            raise refused
        pairs = [(item.get("keyid"), _from_base64(item["sig"])) for item in signatures]
        return kind, _from_base64(payload), pairs
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise refused from None


def _trials(
    signatures: Sequence[tuple[object, bytes]], publics: Sequence[bytes]
) -> Iterator[tuple[bytes, bytes]]:
    """Pair keys with signatures, first by the name each states: unauthenticated, so it orders and no more."""
    names = {key: key_id(key) for key in publics}
    for is_named in (True, False):
        for hint, signature in signatures:
            yield from ((key, signature) for key, name in names.items() if (name == hint) is is_named)


def _verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether one Ed25519 signature holds; bytes that are no key or no signature do not."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _to_base64(data: bytes) -> str:
    """Write standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def _from_base64(text: str) -> bytes:
    """Read either base64 alphabet, as a DSSE verifier must; anything outside both is a ValueError."""
    if not isinstance(text, str):
        raise binascii.Error("not text")
    return base64.b64decode(text.translate(str.maketrans("-_", "+/")), validate=True)
