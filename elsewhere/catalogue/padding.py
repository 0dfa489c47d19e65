"""Tags that stand for nobody, so that neither a catalogue's size nor one child's arrival can be read off it.

Holds:    a secret seed per collection and epoch; its commitment is published.
Refuses:  a set whose padding does not follow from the committed seed.

Real tags are indistinguishable from random numbers without the key, so random numbers pad them. Drawing
them from a committed seed lets an auditor tell padding from stuffing: a custodian that tags a whole
population to catch others' questions cannot call that padding.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from elsewhere.catalogue.tags import SHORT_TAG_SIZE, Catalogue, ShortTags, as_set, contains, from_bytes, union
from elsewhere.errors import PaddingInvalid

SEED_SIZE = 32
MINIMUM_SIZE = 4096
STEPS_PER_DOUBLING = 8
_DOMAIN = b"elsewhere/catalogue/padding/v1"
_SPARE = 64  # draws that met a tag that was there already, and were drawn again


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """One tick's tags in ascending order, and the real ones that did not fit, for the next tick."""

    tags: ShortTags = field(repr=False)
    carried: ShortTags = field(repr=False)


def padded_size(count: int) -> int:
    """Give the public size of a set of `count` tags: at least 4,096, then eight steps per doubling.

    The padding is at most an eighth, and a size tells the count to within an eighth.
    """
    if count <= MINIMUM_SIZE:
        return MINIMUM_SIZE
    step = (1 << (count - 1).bit_length() - 1) // STEPS_PER_DOUBLING
    return -(-count // step) * step


def commit_seed(seed: bytes) -> bytes:
    """Give the 32-byte commitment to a padding seed: SHA-256 over domain and seed."""
    _check_seed(seed)
    return hashlib.sha256(_DOMAIN + b"/commitment" + seed).digest()


def pad(tags: ShortTags, seed: bytes) -> ShortTags:
    """Pad a set to its public size.

    Args:
        tags: real short tags, in any order.
        seed: 32 bytes, fresh for this collection and epoch.

    Returns:
        Ascending, exactly `padded_size` of the distinct tags.
    """
    real = as_set(tags)
    missing = padded_size(len(real)) - len(real)
    return union(real, _draw(seed, b"snapshot", missing, taken=lambda drawn: contains(real, drawn)))


def next_delta(catalogue: Catalogue, pending: ShortTags, *, size: int, seed: bytes, version: int) -> Delta:
    """Fill one delta of constant size with the oldest pending tags, and with padding.

    Args:
        catalogue: what is published so far; what it holds is not published again, as a repeat would tell
            that a removed record came back.
        pending: real tags not yet published, oldest first; repeats are dropped.
        size: the constant number of tags of each delta.
        seed: the padding seed of this collection and epoch.
        version: the version that the delta makes; its padding depends on it.
    """
    if size < 1:
        raise ValueError("a delta holds at least one tag")
    _, first_places = np.unique(pending, return_index=True)
    fresh = pending[np.sort(first_places)]
    fresh = fresh[~catalogue.contains(fresh)]
    real = as_set(fresh[:size])
    padding = _draw(
        seed,
        _delta_label(version),
        size - len(real),
        taken=lambda drawn: catalogue.contains(drawn) | contains(real, drawn),
    )
    return Delta(tags=union(real, padding), carried=fresh[size:])


def check_padding(tags: ShortTags, *, seed: bytes, commitment: bytes, record_tags: int) -> None:
    """Check, as an auditor, that a snapshot's padding is the committed seed's and nothing else.

    Args:
        tags: the snapshot as published, ascending.
        seed: as opened by the custodian.
        commitment: as published with the snapshot.
        record_tags: how many tags the custodian's log says stand for records.

    Raises:
        PaddingInvalid: another seed or size, or tags beyond records and padding: stuffing.
    """
    _check_commitment(seed, commitment)
    if len(tags) != padded_size(record_tags):
        raise PaddingInvalid("the size of the catalogue is not that of its number of records")
    _check_drawn(tags, seed, b"snapshot", len(tags) - record_tags)


def check_delta_padding(
    delta: ShortTags, *, seed: bytes, commitment: bytes, record_tags: int, version: int
) -> None:
    """Check, as an auditor, that a delta holds the stated number of records' tags, and padding."""
    _check_commitment(seed, commitment)
    if not 0 <= record_tags <= len(delta):
        raise PaddingInvalid("the delta has fewer tags than records are stated")
    _check_drawn(delta, seed, _delta_label(version), len(delta) - record_tags)


def count_padding(delta: ShortTags, *, seed: bytes, version: int) -> int:
    """Tell how many tags of a delta its committed seed yields."""
    return int(contains(as_set(_stream(seed, _delta_label(version), len(delta))), delta).sum())


def check_whole(tags: ShortTags, records: ShortTags, *, seed: bytes, versions: int, delta_size: int) -> None:
    """Check, as an auditor, that every tag ever published stands for a record or is padding.

    Args:
        tags: the whole catalogue, ascending.
        records: the tags of all records that the custodian has had in this epoch, ascending.
        seed: as opened by the custodian, and committed to.
        versions: how many there have been; each may have been a delta, with padding of its own.
        delta_size: tags of each delta.

    Raises:
        PaddingInvalid: says how many tags are neither: stuffing.
    """
    labels = [(b"snapshot", len(tags)), *((_delta_label(n + 1), delta_size) for n in range(versions))]
    rest = tags[~contains(records, tags)]
    for label, count in labels:
        if not len(rest):
            break
        rest = rest[~contains(as_set(_stream(seed, label, count + _SPARE)), rest)]
    if len(rest):
        raise PaddingInvalid(f"{len(rest)} tags stand for no record and are no padding")


def _check_commitment(seed: bytes, commitment: bytes) -> None:
    """Refuse a seed that is not the one committed to."""
    if len(seed) != SEED_SIZE or not hmac.compare_digest(commit_seed(seed), commitment):
        raise PaddingInvalid("the seed opened is not the one committed to")


def _check_drawn(tags: ShortTags, seed: bytes, label: bytes, count: int) -> None:
    """Refuse a set that lacks one of the first `count` draws; a skipped draw is in the set as a real tag."""
    if not contains(tags, _stream(seed, label, count)).all():
        raise PaddingInvalid("the padding does not follow from the committed seed")


def _draw(
    seed: bytes, label: bytes, count: int, *, taken: Callable[[ShortTags], npt.NDArray[np.bool_]]
) -> ShortTags:
    """Draw the first `count` distinct tags of a stream that are not taken already, ascending."""
    length = count
    while True:
        drawn = np.unique(_stream(seed, label, length))
        drawn = drawn[~taken(drawn)]
        if len(drawn) == count:
            return drawn
        length += count - len(drawn)  # a draw met a real tag, or another draw: one in 10^5 catalogues


def _stream(seed: bytes, label: bytes, count: int) -> ShortTags:
    """Give the first `count` tags of a label: ChaCha20 keystream under a key expanded by HKDF-SHA256."""
    _check_seed(seed)
    key = HKDF(SHA256(), 32, _DOMAIN, label).derive(seed)
    # A 16-byte nonce of zeros starts the block counter at 0; each key is used for this one stream.
    return from_bytes(
        Cipher(ChaCha20(key, bytes(16)), None).encryptor().update(bytes(SHORT_TAG_SIZE * count))
    )


def _delta_label(version: int) -> bytes:
    """Name the stream of one delta."""
    return b"delta:" + version.to_bytes(8)


def _check_seed(seed: bytes) -> None:
    """Refuse a seed of another length; our own callers never have one."""
    if len(seed) != SEED_SIZE:
        raise ValueError(f"a padding seed has {SEED_SIZE} bytes")
