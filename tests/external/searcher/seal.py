"""Padding, sealing and the place of a message.

Source:   docs/protocol.md "Envelope"; RFC 9180 base mode; KEM MLKEM768-X25519 of draft-ietf-hpke-pq.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from searcher.refusal import Refusal, require

SIZES = {"EvaluateRequest": 4096, "EvaluateReply": 4096, "RedeemRequest": 2048, "RedeemReply": 8192}
CATALOGUE_KEY_SIZE = 256
OVERHEAD = 1136
_LABEL = bytes.fromhex("5c2e2f2f5e5c")
_SUITE = b"HPKE" + bytes.fromhex("647a00010002")


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def extract(salt: bytes, ikm: bytes) -> bytes:
    """HKDF-Extract of RFC 5869 with SHA-256."""
    return hmac.digest(salt or bytes(32), ikm, "sha256")


def expand(prk: bytes, info: bytes, size: int) -> bytes:
    """HKDF-Expand of RFC 5869 with SHA-256."""
    out, block, counter = b"", b"", 1
    while len(out) < size:
        block = hmac.digest(prk, block + info + bytes([counter]), "sha256")
        out, counter = out + block, counter + 1
    return out[:size]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed message belongs."""

    sender: str
    receiver: str
    direction: str
    about: bytes
    round: int

    def info(self) -> bytes:
        parts = (
            b"elsewhere/seal/v1",
            (1).to_bytes(4, "big"),
            self.sender.encode(),
            self.receiver.encode(),
            self.direction.encode(),
            self.about,
            bytes([self.round]),
        )
        return b"".join(framed(part) for part in parts)


def pad(message: bytes, size: int) -> bytes:
    require(4 + len(message) <= size, "message.size", f"at most {size - 4} bytes")
    return (len(message).to_bytes(4, "big") + message).ljust(size, b"\0")


def unpad(padded: bytes) -> bytes:
    length = int.from_bytes(padded[:4], "big")
    require(length <= len(padded) - 4, "seal.broken", "a length that fits")
    require(not any(padded[4 + length :]), "seal.broken", "zeros after the message")
    return padded[4 : 4 + length]


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A private key: the ML-KEM seed of 64 bytes, then 32 bytes of X25519."""

    secret: bytes = field(repr=False)

    def _halves(self) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
        return (
            MLKEM768PrivateKey.from_seed_bytes(self.secret[:64]),
            X25519PrivateKey.from_private_bytes(self.secret[64:]),
        )

    def public(self) -> bytes:
        kem, curve = self._halves()
        return kem.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()

    def open(self, sealed: bytes, place: Place) -> bytes:
        """Open and unpad, or refuse."""
        require(len(sealed) > OVERHEAD, "seal.broken", "sealed bytes")
        ciphertext, share, box = sealed[:1088], sealed[1088:1120], sealed[1120:]
        kem, curve = self._halves()
        own = curve.public_key().public_bytes_raw()
        try:
            agreed = curve.exchange(X25519PublicKey.from_public_bytes(share))
            key, nonce = _schedule(_combine(kem.decapsulate(ciphertext), agreed, share, own), place.info())
            return unpad(AESGCM(key).decrypt(nonce, box, b""))
        except (InvalidTag, ValueError):
            raise Refusal("seal.broken", "bytes sealed to this key for this place") from None


def seal(public: bytes, padded: bytes, place: Place, random: Callable[[int], bytes]) -> bytes:
    """Seal to a public key of 1,216 bytes."""
    require(len(public) == 1216, "seal.broken", "a public key of 1,216 bytes")
    kem_secret, ciphertext = MLKEM768PublicKey.from_public_bytes(public[:1184]).encapsulate()
    own = X25519PrivateKey.from_private_bytes(random(32))
    share = own.public_key().public_bytes_raw()
    agreed = own.exchange(X25519PublicKey.from_public_bytes(public[1184:]))
    key, nonce = _schedule(_combine(kem_secret, agreed, share, public[1184:]), place.info())
    return ciphertext + share + AESGCM(key).encrypt(nonce, padded, b"")


def _combine(kem_secret: bytes, agreed: bytes, share: bytes, receiver: bytes) -> bytes:
    return hashlib.sha3_256(kem_secret + agreed + share + receiver + _LABEL).digest()


def _schedule(shared: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and nonce of the only message. Source: RFC 9180 §5.1 KeySchedule, mode 0x00."""

    def labelled_extract(salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return extract(salt, b"HPKE-v1" + _SUITE + label + ikm)

    context = b"\0" + labelled_extract(b"", b"psk_id_hash", b"") + labelled_extract(b"", b"info_hash", info)
    secret = labelled_extract(shared, b"secret", b"")

    def labelled_expand(label: bytes, size: int) -> bytes:
        return expand(secret, size.to_bytes(2, "big") + b"HPKE-v1" + _SUITE + label + context, size)

    return labelled_expand(b"key", 32), labelled_expand(b"base_nonce", 12)
