"""A catalogue as ciphertext: chunks that cannot be altered, dropped, reordered or taken for others.

Holds:    the snapshot key, 32 bytes, fresh for each snapshot and known to the members that may ask.
Refuses:  a chunk of another custodian, collection, epoch, version, position or number of chunks.
Source:   AES-256-GCM (NIST SP 800-38D), HKDF-SHA256 (RFC 5869).
"""

from __future__ import annotations

import hashlib
import hmac
import mmap
from collections.abc import Iterable, Iterator

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from elsewhere.catalogue.tags import SHORT_TAG_SIZE, ShortTags, check_set, from_bytes, to_bytes
from elsewhere.errors import CatalogueBroken
from elsewhere.published import TAGS_PER_CHUNK, CatalogueId, chunk_count

KEY_SIZE = 32
CHUNK_SIZE = TAGS_PER_CHUNK * SHORT_TAG_SIZE  # of plaintext: 1 MiB
GCM_TAG_SIZE = 16
MAX_CHUNKS = 65_536
_NONCE_SIZE = 12


def seal_snapshot(
    tags: ShortTags, key: bytes, which: CatalogueId, *, kind: bytes = b"snapshot"
) -> Iterator[bytes]:
    """Encrypt a set chunk by chunk.

    Args:
        tags: ascending.
        key: 32 random bytes that have never sealed anything: the nonce is only the chunk's number.
        which: the catalogue and version that the chunks are good for.
        kind: what the chunks are for, bound too.

    Yields:
        `chunk_count` ciphertexts in order, each 16 bytes longer than its share of the tags.
    """
    check_set(tags)
    cipher, chunks = AESGCM(key), chunk_count(len(tags))
    for index in range(chunks):
        plain = to_bytes(tags[index * TAGS_PER_CHUNK : (index + 1) * TAGS_PER_CHUNK])
        yield cipher.encrypt(_nonce(index), plain, which.bind(kind, index, chunks))


def open_chunk(
    ciphertext: bytes, key: bytes, which: CatalogueId, *, position: tuple[int, int], kind: bytes = b"snapshot"
) -> ShortTags:
    """Decrypt one chunk, so that a fetch can go on where it broke off.

    Args:
        position: the chunk's number, from 0, and how many chunks there are.

    Raises:
        CatalogueBroken: altered, or not this chunk of this catalogue. Fetch it again.
    """
    index, chunks = position
    try:
        plain = AESGCM(key).decrypt(_nonce(index), ciphertext, which.bind(kind, index, chunks))
    except InvalidTag:
        raise CatalogueBroken(f"chunk {index} of {chunks} does not open in its place") from None
    return from_bytes(plain)


def open_snapshot(
    ciphertexts: Iterable[bytes], key: bytes, which: CatalogueId, *, tag_count: int, kind: bytes = b"snapshot"
) -> ShortTags:
    """Decrypt a whole set into anonymous memory, which no file ever holds in clear.

    Args:
        ciphertexts: all chunks, in order; read one at a time.
        tag_count: how many tags the signed statement promises.

    Raises:
        CatalogueBroken: a chunk is altered, missing, swapped or too many, or the set is not ascending.
    """
    chunks = chunk_count(tag_count)
    if not 0 <= tag_count <= MAX_CHUNKS * TAGS_PER_CHUNK:
        raise CatalogueBroken(f"expected at most {MAX_CHUNKS} chunks")
    # numpy keeps the mapping alive for as long as the array lives.
    memory = mmap.mmap(-1, max(1, tag_count * SHORT_TAG_SIZE))
    tags: ShortTags = np.frombuffer(memory, dtype=np.uint64, count=tag_count)
    filled = opened = 0
    for index, ciphertext in enumerate(ciphertexts):
        part = open_chunk(ciphertext, key, which, position=(index, chunks), kind=kind)
        if filled + len(part) > tag_count:
            raise CatalogueBroken(f"expected {tag_count} tags; more came")
        tags[filled : filled + len(part)] = part
        filled, opened = filled + len(part), index + 1
    if (filled, opened) != (tag_count, chunks):
        raise CatalogueBroken(f"expected {tag_count} tags in {chunks} chunks; {filled} in {opened} came")
    check_set(tags)
    tags.flags.writeable = False
    return tags


def seal_delta(delta: ShortTags, snapshot_key: bytes, which: CatalogueId) -> bytes:
    """Encrypt one delta under a key of its own, derived from the snapshot's and the version.

    A custodian that stops between sealing and recording may seal another delta of the same version. So the
    nonce, sent in front, is a keyed hash of the tags: two different deltas never share key and nonce.
    """
    check_set(delta)
    key, plain = _delta_key(snapshot_key, which.version), to_bytes(delta)
    nonce = hmac.digest(key, b"nonce" + plain, hashlib.sha256)[:_NONCE_SIZE]
    return nonce + AESGCM(key).encrypt(nonce, plain, which.bind(b"delta", 0, 1))


def open_delta(ciphertext: bytes, snapshot_key: bytes, which: CatalogueId, *, delta_size: int) -> ShortTags:
    """Decrypt one delta.

    Raises:
        CatalogueBroken: altered, of another catalogue or version, of another size, or not ascending.
    """
    if len(ciphertext) != _NONCE_SIZE + delta_size * SHORT_TAG_SIZE + GCM_TAG_SIZE:
        raise CatalogueBroken(f"expected a delta of {delta_size} tags; it has another size")
    key = _delta_key(snapshot_key, which.version)
    try:
        plain = AESGCM(key).decrypt(
            ciphertext[:_NONCE_SIZE], ciphertext[_NONCE_SIZE:], which.bind(b"delta", 0, 1)
        )
    except InvalidTag:
        raise CatalogueBroken(f"the delta of version {which.version} does not open") from None
    delta = from_bytes(plain)
    check_set(delta)
    return delta


def _nonce(index: int) -> bytes:
    """Count chunks in the nonce; each key seals one set only."""
    return index.to_bytes(_NONCE_SIZE)


def _delta_key(snapshot_key: bytes, version: int) -> bytes:
    """Derive the key of one delta; the snapshot key is uniform, so RFC 5869's expansion is enough (§3.3)."""
    if len(snapshot_key) != KEY_SIZE:
        raise ValueError(f"a snapshot key has {KEY_SIZE} bytes")
    return HKDFExpand(SHA256(), KEY_SIZE, b"elsewhere/catalogue/delta/v1" + version.to_bytes(8)).derive(
        snapshot_key
    )
