"""The ristretto255 group, and the only file that touches libsodium.

Holds:    nothing but the loaded library; every call works in buffers of its own, so threads may share it.
Refuses:  bytes of the wrong length, before they reach C; encodings that are not canonical; the identity.
Source:   RFC 9496 (group and encoding), RFC 9497 §4.1 (ristretto255-SHA512), RFC 9380 §5.3.1 (expansion).

Multiplications release Python's global lock, so a thread pool uses every core. Calls of a few microseconds
keep it: to win it back among busy threads takes longer than they do.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import hashlib
import importlib.util
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from elsewhere.errors import BatchSizeWrong, MalformedElement, MalformedScalar, SodiumMissing

ELEMENT_SIZE = 32
SCALAR_SIZE = 32
UNIFORM_SIZE = 64
IDENTITY = bytes(ELEMENT_SIZE)
ORDER = 2**252 + 27742317777372353535851937790883648493  # RFC 9496 §4, the order of the group

Origin = Literal["system", "rbcl"]
_SONAMES = ("libsodium.so.23", "libsodium.so.26")  # Debian 11 to 13; releases since 1.0.19
_POINTER_OUT, _BYTES_IN = ctypes.c_void_p, ctypes.c_char_p  # c_char_p takes bytes alone, never an address


@dataclass(frozen=True, slots=True)
class Library:
    """Which libsodium answers: where it came from, its version, and the file it was read from."""

    origin: Origin
    version: str
    path: str


class _Bindings:
    """The ten C functions in use, with their argument types, and the library they belong to."""

    def __init__(self, handle: ctypes.CDLL, origin: Origin, path: str) -> None:
        handle.sodium_version_string.restype = ctypes.c_char_p
        if handle.sodium_init() < 0:
            raise SodiumMissing(f"libsodium from {origin} did not initialise")
        version: bytes = handle.sodium_version_string()
        self.library = Library(origin, version.decode("ascii"), path)
        self.multiply = self._typed(handle.crypto_scalarmult_ristretto255, inputs=2)
        self.multiply_base = self._typed(handle.crypto_scalarmult_ristretto255_base, inputs=1)
        self.from_hash = self._typed(handle.crypto_core_ristretto255_from_hash, inputs=1)
        self.scalar_invert = self._typed(handle.crypto_core_ristretto255_scalar_invert, inputs=1)
        short = ctypes.PyDLL(path, handle=handle._handle)
        self.add = self._typed(short.crypto_core_ristretto255_add, inputs=2)
        self.scalar_multiply = self._typed(short.crypto_core_ristretto255_scalar_mul, inputs=2)
        self.scalar_subtract = self._typed(short.crypto_core_ristretto255_scalar_sub, inputs=2)
        self.scalar_reduce = self._typed(short.crypto_core_ristretto255_scalar_reduce, inputs=1)
        self.is_valid = short.crypto_core_ristretto255_is_valid_point
        self.is_valid.argtypes = [_BYTES_IN]

    @staticmethod
    def _typed(function: ctypes._NamedFuncPointer, *, inputs: int) -> ctypes._NamedFuncPointer:
        """Declare one output pointer followed by byte strings, so that nothing else can reach C."""
        function.argtypes = [_POINTER_OUT] + [_BYTES_IN] * inputs
        function.restype = ctypes.c_int
        return function


def _open_system() -> _Bindings:
    """Load the libsodium that the operating system keeps up to date."""
    names = list(_SONAMES)
    for attempt in range(len(names) + 1):
        # find_library starts other programs, so it is asked only after the usual names have failed.
        name = names[attempt] if attempt < len(names) else ctypes.util.find_library("sodium")
        try:
            if name is not None:
                return _Bindings(ctypes.CDLL(name), "system", _mapped_path(name))
        except (OSError, AttributeError):
            continue  # absent, or older than 1.0.18 and without ristretto255
    raise SodiumMissing("no libsodium 1.0.18 or newer on this system: install Debian's libsodium23")


def _open_rbcl() -> _Bindings:
    """Load the copy inside the `rbcl` wheel, read out of its source without importing it.

    Importing the wheel leaves a shared object in the temporary folder for each process, which another
    user could race; an anonymous file holds it instead.
    """
    spec = importlib.util.find_spec("rbcl")
    if spec is None or not spec.submodule_search_locations:
        raise SodiumMissing("the rbcl wheel is not installed: pip install rbcl, or Debian's libsodium23")
    source = Path(next(iter(spec.submodule_search_locations))) / "_sodium.py"
    try:
        embedded = re.search(r"bytes\.fromhex\('([0-9a-f]+)'\)", source.read_text("ascii"))
        if embedded is None:
            raise SodiumMissing("the rbcl wheel has no embedded library of the known form: use version 1.1.2")
        descriptor = os.memfd_create("libsodium-rbcl", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(bytes.fromhex(embedded[1]))
            file.flush()
            return _Bindings(ctypes.CDLL(f"/proc/self/fd/{descriptor}"), "rbcl", str(source))
    except (OSError, AttributeError) as err:
        raise SodiumMissing("the rbcl wheel's libsodium does not load on this machine") from err


def _mapped_path(name: str) -> str:
    """Give the file a loaded library was mapped from, or its name where the kernel does not say."""
    stem = name.split(".so")[0]
    for line in Path("/proc/self/maps").read_text("utf-8", "replace").splitlines():
        path = line.split(maxsplit=5)[-1]
        if path.rsplit("/", 1)[-1].startswith(stem):
            return path
    return name


@functools.cache
def _opened(origin: Origin) -> _Bindings:
    """Open each library once in a process."""
    return _open_system() if origin == "system" else _open_rbcl()


_in_use: list[_Bindings] = []  # the one library that calls go to; empty until the first of them


def _sodium() -> _Bindings:
    """Give the library in use, choosing it at the first call."""
    if not _in_use:
        try:
            _in_use[:] = [_opened("system")]
        except SodiumMissing:
            _in_use[:] = [_opened("rbcl")]
    return _in_use[0]


def library() -> Library:
    """Tell which libsodium calls go to.

    Raises:
        SodiumMissing: neither the system nor the `rbcl` wheel has one; its message says what to install.
    """
    return _sodium().library


def use_library(origin: Origin) -> None:
    """Send all further calls of this process to the named library; for tests and comparisons.

    Raises:
        SodiumMissing: that one is not here. The library in use stays.
    """
    _in_use[:] = [_opened(origin)]


def is_element(encoded: bytes) -> bool:
    """Tell whether bytes are the canonical encoding of an element other than the identity."""
    return _is_shaped(encoded) and encoded != IDENTITY and _sodium().is_valid(encoded) == 1


def _is_shaped(encoded: bytes) -> bool:
    """Tell whether bytes have an element's length and a clear top bit.

    libsodium 1.0.18 ignores the top bit of an encoding, so it would take a second spelling of every
    element: a repeated element, or the identity, could be passed off as another one.
    """
    return len(encoded) == ELEMENT_SIZE and encoded[-1] < 0x80


def check_batch(elements: Sequence[bytes], *, size: int | None = None) -> None:
    """Check that a batch holds distinct, canonical elements, none of them the identity.

    Args:
        elements: what a peer sent.
        size: the exact number expected; None accepts any number but zero.

    Raises:
        BatchSizeWrong: another number of elements.
        MalformedElement: `.index` is the first offender. Do not retry.
    """
    if (size is not None and len(elements) != size) or not elements:
        raise BatchSizeWrong(expected=size, got=len(elements))
    seen: set[bytes] = set()
    for index, element in enumerate(elements):
        if not is_element(element):
            raise MalformedElement(index, "the bytes encode no element, or the identity")
        if element in seen:
            # A repeated element would let a peer tell equal questions apart, or count one answer twice.
            raise MalformedElement(index, "it repeats an earlier element")
        seen.add(element)


def check_scalar(scalar: bytes) -> None:
    """Check that bytes are a scalar in 1..ORDER-1, 32 bytes little-endian.

    Raises:
        MalformedScalar: another length, zero, or not reduced. Nothing of the value is in the message.
    """
    if len(scalar) != SCALAR_SIZE or not 0 < int.from_bytes(scalar, "little") < ORDER:
        raise MalformedScalar("expected a scalar of 32 bytes, not zero and below the group order")


def multiply_each(scalar: bytes, elements: Sequence[bytes]) -> list[bytes]:
    """Multiply every element by one scalar.

    Args:
        scalar: in 1..ORDER-1.
        elements: any number, 32 bytes each.

    Returns:
        The products, in the same order, 32 bytes each.

    Raises:
        MalformedScalar: the scalar is out of range.
        MalformedElement: `.index` names bytes that are no element, or the identity.
    """
    check_scalar(scalar)
    multiply = _sodium().multiply
    out = ctypes.create_string_buffer(ELEMENT_SIZE * len(elements) or 1)
    address = ctypes.addressof(out)
    for index, element in enumerate(elements):
        if not _is_shaped(element) or multiply(address + ELEMENT_SIZE * index, scalar, element):
            raise MalformedElement(index, "the bytes encode no element, or the identity")
    return _split(out.raw, len(elements))


def multiply_pairs(scalars: Sequence[bytes], elements: Sequence[bytes]) -> list[bytes]:
    """Multiply each element by the scalar in the same position; otherwise as `multiply_each`."""
    multiply = _sodium().multiply
    out = ctypes.create_string_buffer(ELEMENT_SIZE * len(elements) or 1)
    address = ctypes.addressof(out)
    for index, (scalar, element) in enumerate(zip(scalars, elements, strict=True)):
        check_scalar(scalar)
        if not _is_shaped(element) or multiply(address + ELEMENT_SIZE * index, scalar, element):
            raise MalformedElement(index, "the bytes encode no element, or the identity")
    return _split(out.raw, len(elements))


def multiply_base(scalar: bytes) -> bytes:
    """Multiply the group's generator by a scalar in 1..ORDER-1."""
    check_scalar(scalar)
    out = ctypes.create_string_buffer(ELEMENT_SIZE)
    _sodium().multiply_base(out, scalar)
    return out.raw


def sum_elements(elements: Sequence[bytes]) -> bytes:
    """Add elements up; the sum of none is the identity.

    Raises:
        MalformedElement: `.index` names bytes that are no canonical encoding.
    """
    if not elements:
        return IDENTITY
    add, is_valid = _sodium().add, _sodium().is_valid
    if not _is_shaped(elements[0]) or not is_valid(elements[0]):
        raise MalformedElement(0, "the bytes encode no element")
    out = ctypes.create_string_buffer(elements[0], ELEMENT_SIZE)
    for index, element in enumerate(elements[1:], 1):
        if not _is_shaped(element) or add(out, out.raw, element):
            raise MalformedElement(index, "the bytes encode no element")
    return out.raw


def add(left: bytes, right: bytes) -> bytes:
    """Add two elements; the sum may be the identity."""
    return sum_elements((left, right))


def invert_scalars(scalars: Sequence[bytes]) -> list[bytes]:
    """Invert scalars in 1..ORDER-1, in order.

    One inversion costs as much as a hundred products, so the whole batch shares one: with the running
    products p_i = s_0 ... s_i, the inverse of s_i is p_(i-1) / p_i (Montgomery).
    """
    if not scalars:
        return []
    check_scalar(scalars[0])
    running = [scalars[0]]
    for scalar in scalars[1:]:
        check_scalar(scalar)
        running.append(scalar_multiply(running[-1], scalar))
    out = ctypes.create_string_buffer(SCALAR_SIZE)
    _sodium().scalar_invert(out, running[-1])
    tail = out.raw  # the inverse of s_0 ... s_i, for i falling
    inverses: list[bytes] = []
    for index in range(len(scalars) - 1, 0, -1):
        inverses.append(scalar_multiply(tail, running[index - 1]))
        tail = scalar_multiply(tail, scalars[index])
    return [tail, *reversed(inverses)]


def scalar_multiply(left: bytes, right: bytes) -> bytes:
    """Multiply two scalars of 32 bytes modulo the group order."""
    return _combine(_sodium().scalar_multiply, left, right)


def scalar_subtract(left: bytes, right: bytes) -> bytes:
    """Subtract the right scalar from the left one modulo the group order."""
    return _combine(_sodium().scalar_subtract, left, right)


def reduce_scalar(uniform: bytes) -> bytes:
    """Reduce 64 little-endian bytes modulo the group order; uniform bytes give a uniform scalar."""
    if len(uniform) != UNIFORM_SIZE:
        raise MalformedScalar(f"expected {UNIFORM_SIZE} bytes to reduce; {len(uniform)} came")
    out = ctypes.create_string_buffer(SCALAR_SIZE)
    _sodium().scalar_reduce(out, uniform)
    return out.raw


def hash_to_group(messages: Sequence[bytes], domain: bytes) -> list[bytes]:
    """Hash each message to an element whose discrete logarithm nobody knows.

    Args:
        messages: any byte strings.
        domain: the domain separation tag, 1..255 bytes.

    Returns:
        Elements in the order of `messages`, 32 bytes each.

    Source: RFC 9497 §4.1 HashToGroup: expand_message_xmd to 64 bytes, then RFC 9496 §4.3.4.
    """
    prefix, suffix_0, suffix_1 = _expansion(domain)
    from_hash, sha512 = _sodium().from_hash, hashlib.sha512
    out = ctypes.create_string_buffer(ELEMENT_SIZE * len(messages) or 1)
    address = ctypes.addressof(out)
    for index, message in enumerate(messages):
        inner = prefix.copy()
        inner.update(message + suffix_0)
        from_hash(address + ELEMENT_SIZE * index, sha512(inner.digest() + suffix_1).digest())
    return _split(out.raw, len(messages))


def from_uniform(uniform: bytes) -> bytes:
    """Map 64 uniform bytes to an element. Source: RFC 9496 §4.3.4."""
    if len(uniform) != UNIFORM_SIZE:
        raise MalformedScalar(f"expected {UNIFORM_SIZE} uniform bytes; {len(uniform)} came")
    out = ctypes.create_string_buffer(ELEMENT_SIZE)
    _sodium().from_hash(out, uniform)
    return out.raw


def hash_to_scalar(message: bytes, domain: bytes) -> bytes:
    """Hash a message to a scalar, which is zero with negligible probability.

    Source: RFC 9497 §4.1 HashToScalar: expand_message_xmd to 64 bytes, reduced modulo the order.
    """
    return reduce_scalar(_expand(message, domain))


def hash_to_public_scalars(messages: Sequence[bytes], domain: bytes) -> list[bytes]:
    """Hash each message to a scalar as `hash_to_scalar`, where both are public.

    Python's own numbers reduce them: faster, in a time that depends on what everybody may know.
    """
    numbers = (int.from_bytes(_expand(message, domain), "little") % ORDER for message in messages)
    return [number.to_bytes(SCALAR_SIZE, "little") for number in numbers]


def _expand(message: bytes, domain: bytes) -> bytes:
    """Expand a message to 64 uniform bytes."""
    prefix, suffix_0, suffix_1 = _expansion(domain)
    inner = prefix.copy()
    inner.update(message + suffix_0)
    return hashlib.sha512(inner.digest() + suffix_1).digest()


@functools.cache
def _expansion(domain: bytes) -> tuple[hashlib._Hash, bytes, bytes]:
    """Prepare expand_message_xmd with SHA-512 for outputs of 64 bytes, where b_1 is the whole output.

    Source: RFC 9380 §5.3.1, ell = 1.
    """
    if not 1 <= len(domain) <= 255:
        raise ValueError("a domain separation tag has 1..255 bytes")
    # DST_prime = DST || I2OSP(len(DST), 1)
    domain_prime = domain + bytes([len(domain)])
    # b_0 = H(Z_pad || msg || l_i_b_str || I2OSP(0, 1) || DST_prime)
    # b_1 = H(b_0 || I2OSP(1, 1) || DST_prime)
    zero_pad = bytes(128)
    return hashlib.sha512(zero_pad), UNIFORM_SIZE.to_bytes(2) + b"\x00" + domain_prime, b"\x01" + domain_prime


def _combine(function: ctypes._NamedFuncPointer, left: bytes, right: bytes) -> bytes:
    """Apply a C function of two scalars, refusing lengths that C would read past."""
    if len(left) != SCALAR_SIZE or len(right) != SCALAR_SIZE:
        raise MalformedScalar("expected two scalars of 32 bytes")
    out = ctypes.create_string_buffer(SCALAR_SIZE)
    function(out, left, right)
    return out.raw


def _split(joined: bytes, count: int) -> list[bytes]:
    """Cut a buffer into its elements."""
    return [joined[start : start + ELEMENT_SIZE] for start in range(0, count * ELEMENT_SIZE, ELEMENT_SIZE)]
