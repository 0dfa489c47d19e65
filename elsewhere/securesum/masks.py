"""Masks that cancel when everybody's share is added, and hide each one until then.

Holds:    pairwise secrets, for the length of a call.
Sees:     noised counts of this node on their way out.
Refuses:  values beyond 64 bits; bodies of different lengths.
Source:   Bonawitz et al. 2017, "Practical Secure Aggregation", §4, with everybody present; ChaCha20 RFC 8439
          §2.4; HKDF RFC 5869. docs/protocol.md, "Studies".
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from elsewhere.securesum.errors import SharesApart

WORD_BYTES = 8
_MODULUS = 2**64
_LABEL = b"elsewhere/study/mask/v1"


def pair_key(shared: bytes, drawn: bytes, rh: bytes, one: str, other: str) -> bytes:
    """The key of two members' mask in one query with one roster: 32 bytes, the same at both.

    Args:
        shared: their X25519 shared secret, 32 bytes.
        drawn: what the one whose id sorts first drew and sealed to the other, 32 bytes.
        rh: digest of the roster, 32 bytes: another roster gives another mask.
        one, other: their agency ids, in any order.
    """
    first, second = sorted((one.encode(), other.encode()))
    info = b"".join(len(item).to_bytes(2, "big") + item for item in (_LABEL, rh, first, second))
    return HKDF(SHA256(), 32, salt=None, info=info).derive(shared + drawn)


def mask(values: Sequence[int], me: str, keys: Mapping[str, bytes]) -> bytes:
    """Hide values behind one mask for each other participant.

    Args:
        values: d numbers, each within 64 bits signed.
        me: this node's agency id.
        keys: of every other participant, as `pair_key` gives them.

    Returns:
        8 * d bytes: each sum modulo 2^64, little-endian.
    """
    words = [value % _MODULUS for value in values]
    for other, key in keys.items():
        stream = _keystream(key, len(words))
        # Of two members the one whose id sorts first adds the stream and the other subtracts it.
        if me < other:
            words = [word + pad for word, pad in zip(words, stream, strict=True)]
        else:
            words = [word - pad for word, pad in zip(words, stream, strict=True)]
    return _to_bytes(array("Q", [word % _MODULUS for word in words]))


def open_total(bodies: Sequence[bytes], width: int) -> list[int]:
    """Add the bodies of all participants: the masks cancel, and what is left is the noised total.

    Args:
        bodies: one of each participant.
        width: how many numbers each holds.

    Returns:
        `width` totals on the noise's lattice, signed.

    Raises:
        SharesApart: one has another length.
    """
    if any(len(body) != WORD_BYTES * width for body in bodies):
        raise SharesApart(f"expected {WORD_BYTES * width} bytes from every participant")
    columns = zip(*(_from_bytes(body) for body in bodies), strict=True)
    totals = (sum(column) % _MODULUS for column in columns)
    return [total - _MODULUS if total >= _MODULUS // 2 else total for total in totals]


def _keystream(key: bytes, width: int) -> array[int]:
    """`width` words of ChaCha20's stream. A key is used for one query and roster only, so the nonce is 0."""
    cipher = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None)
    return _from_bytes(cipher.encryptor().update(bytes(WORD_BYTES * width)))


def _to_bytes(words: array[int]) -> bytes:
    """Words as they travel: little-endian."""
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()


def _from_bytes(data: bytes) -> array[int]:
    """Words of little-endian bytes."""
    words = array("Q")
    words.frombytes(data)
    if sys.byteorder == "big":
        words.byteswap()
    return words
