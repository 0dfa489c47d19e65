"""Small secrets at rest: what a thief of the store alone must not read, encrypted under the node's own key.

Holds:    a key derived from `keys/local.key`, which is not in the store.
Refuses:  what was altered, or stored under another label.
Source:   AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces; HKDF-SHA256 (RFC 5869).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from elsewhere.errors import SealBroken
from elsewhere.random import RandomBytes

_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True, eq=False)
class Vault:
    """Seals and opens under one local key. Prints nothing."""

    local: bytes = field(repr=False)  # 32 bytes

    def seal(self, plain: bytes, label: str, random: RandomBytes) -> bytes:
        """Encrypt bytes for one label, such as the row they are kept in."""
        nonce = random(_NONCE_BYTES)
        return nonce + self._cipher().encrypt(nonce, plain, label.encode())

    def open(self, sealed: bytes, label: str) -> bytes:
        """Decrypt what was sealed for the same label.

        Raises:
            SealBroken: altered, of another label, or under another key.
        """
        try:
            return self._cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], label.encode())
        except (InvalidTag, ValueError):
            raise SealBroken(
                "expected bytes that this node sealed for this place; they do not open"
            ) from None

    def _cipher(self) -> AESGCM:
        return AESGCM(HKDF(SHA256(), 32, None, b"elsewhere/vault/v1").derive(self.local))
