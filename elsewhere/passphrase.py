"""A key locked with a passphrase, for a file.

Holds:    the key, for the length of a call.
Refuses:  another passphrase, another file around it.
Source:   scrypt: RFC 7914, N = 2^16, r = 8, p = 1 (64 MiB); AES-256-GCM: NIST SP 800-38D.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from elsewhere.canonical import Json, canonical_json
from elsewhere.fields import Fields
from elsewhere.random import RandomBytes

LEAST_PASSPHRASE: Final = 12
_SALT, _NONCE, _TAG = 16, 12, 16
_N, _R, _P = 2**16, 8, 1


def lock(secret: bytes, passphrase: str, shown: Json, random: RandomBytes) -> dict[str, Json]:
    """Lock a secret.

    Args:
        secret: of any length.
        passphrase: at least LEAST_PASSPHRASE characters, which the caller has checked.
        shown: what stands beside it in the file; with anything else there it does not open.
        random: returns n random bytes.

    Returns: salt, nonce and locked, for the file.
    """
    salt, nonce = random(_SALT), random(_NONCE)
    locked = AESGCM(_stretch(passphrase, salt)).encrypt(nonce, secret, canonical_json(shown))
    return {"salt": salt.hex(), "nonce": nonce.hex(), "locked": locked.hex()}


def read_locked(fields: Fields, size: int) -> tuple[bytes, bytes, bytes]:
    """Take salt, nonce and the locked secret of `size` bytes out of a file; raises DocumentInvalid."""
    return (
        fields.octets("salt", _SALT),
        fields.octets("nonce", _NONCE),
        fields.octets("locked", size + _TAG),
    )


def unlock(held: tuple[bytes, bytes, bytes], passphrase: str, shown: Json) -> bytes | None:
    """Open what `read_locked` has read; None if the passphrase or what is shown beside it is another."""
    salt, nonce, locked = held
    try:
        return AESGCM(_stretch(passphrase, salt)).decrypt(nonce, locked, canonical_json(shown))
    except InvalidTag:
        return None


def _stretch(passphrase: str, salt: bytes) -> bytes:
    """A key out of a passphrase, slow and in much memory on purpose."""
    return Scrypt(salt=salt, length=32, n=_N, r=_R, p=_P).derive(passphrase.encode("utf-8"))
