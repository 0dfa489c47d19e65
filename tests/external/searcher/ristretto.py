"""The group ristretto255 and its scalars, by libsodium through ctypes.

Refuses:  encodings that are not canonical, the identity, scalars that are zero or not reduced.
Source:   RFC 9496; docs/protocol.md "The keyed function".
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import hashlib
import importlib

from searcher.refusal import require

ORDER = 2**252 + 27742317777372353535851937790883648493


@functools.cache
def _sodium() -> ctypes.CDLL:
    """Load libsodium: the system's, or the one that the `rbcl` wheel brings."""
    name = ctypes.util.find_library("sodium")
    library = ctypes.CDLL(name) if name is not None else importlib.import_module("rbcl._sodium")._sodium
    if library.sodium_init() < 0:
        raise OSError("libsodium cannot be initialised")
    return library


def _call(function: str, size: int, *arguments: bytes) -> bytes:
    out = ctypes.create_string_buffer(size)
    result = getattr(_sodium(), function)(out, *arguments)
    require(result == 0, "oprf.element", "a product that is not the identity")
    return out.raw


def check_element(element: bytes) -> None:
    """Refuse what is no canonical element, and the identity."""
    is_valid = len(element) == 32 and element != bytes(32)
    require(
        is_valid and _sodium().crypto_core_ristretto255_is_valid_point(element) == 1,
        "oprf.element",
        "a canonical element",
    )


def multiply(scalar: int, element: bytes) -> bytes:
    return _call("crypto_scalarmult_ristretto255", 32, scalar.to_bytes(32, "little"), element)


def multiply_base(scalar: int) -> bytes:
    return _call("crypto_scalarmult_ristretto255_base", 32, scalar.to_bytes(32, "little"))


def add(left: bytes, right: bytes) -> bytes:
    return _call("crypto_core_ristretto255_add", 32, left, right)


def invert(scalar: int) -> int:
    return pow(scalar, -1, ORDER)


def scalar_from_wide(data: bytes) -> int:
    """64 uniform bytes, little-endian, modulo the group order."""
    return int.from_bytes(data, "little") % ORDER


def scalar_from_wire(data: bytes) -> int:
    """A canonical non-zero scalar."""
    scalar = int.from_bytes(data, "little")
    require(len(data) == 32 and 0 < scalar < ORDER, "oprf.scalar", "a reduced scalar that is not zero")
    return scalar


def _expand(message: bytes, dst: bytes) -> bytes:
    """expand_message_xmd of RFC 9380 §5.3.1 with SHA-512, one block of 64 bytes."""
    dst_prime = dst + bytes([len(dst)])
    first = hashlib.sha512(bytes(128) + message + (64).to_bytes(2, "big") + b"\0" + dst_prime).digest()
    return hashlib.sha512(first + b"\x01" + dst_prime).digest()


def hash_to_group(message: bytes, dst: bytes) -> bytes:
    return _call("crypto_core_ristretto255_from_hash", 32, _expand(message, dst))


def hash_to_scalar(message: bytes, dst: bytes) -> int:
    return scalar_from_wide(_expand(message, dst))
