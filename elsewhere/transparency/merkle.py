"""The tree over a log: its root at any size, and short proofs that a leaf is in it and that it only grew.

Sees:     hashes of leaves; never a leaf.
Refuses:  a proof that does not lead to the root it is for.
Promises: root and proofs read a few hundred hashes, whatever the size; nothing is kept here.
Source:   RFC 9162 §2.1.

Of the complete subtrees that a tree consists of, a log keeps the leaves and every eighth level above them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from elsewhere.transparency.errors import ProofBroken

HASH_BYTES: Final = 32
KEPT_EVERY: Final = 8  # levels: what is kept above the leaves is less than 1/255 of them
MAX_SIZE: Final = 2**63 - 1
MAX_PROOF: Final = 64  # hashes; one a level
EMPTY_ROOT: Final = hashlib.sha256().digest()

Proof = tuple[bytes, ...]


class Kept(Protocol):
    """Whoever keeps the hashes of complete subtrees."""

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """Give the hashes of subtrees of 2**level leaves, the start-th to before the stop-th.

        Args:
            level: a multiple of `KEPT_EVERY`; 0 for leaves.
            start, stop: counted in such subtrees, all of them complete.
        """
        ...


def leaf_hash(body: bytes) -> bytes:
    """Hash what a leaf stands for, 32 bytes.

    Source: RFC 9162 §2.1.1, MTH({d}) = HASH(0x00 || d).
    """
    return hashlib.sha256(b"\0" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees side by side into the one above them.

    Source: RFC 9162 §2.1.1, MTH(D_n) = HASH(0x01 || MTH(D[0:k]) || MTH(D[k:n])).
    """
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(kept: Kept, size: int) -> bytes:
    """Give the root over the first `size` leaves."""
    return _range_hash(kept, 0, size) if size else EMPTY_ROOT


def completed(kept: Kept, old: int, new: int) -> Iterator[tuple[int, int, bytes]]:
    """Give the subtrees to be kept that a log completes as it grows, lowest first.

    What is given is to be kept before the next one is asked for: higher ones are made of lower ones.

    Args:
        kept: the log, with its leaves up to `new`.
        old, new: sizes, in leaves.

    Yields: level, index at that level, hash.
    """
    level = KEPT_EVERY
    while new >> level:
        for index in range(old >> level, new >> level):
            below = level - KEPT_EVERY
            children = kept.hashes(below, index << KEPT_EVERY, (index + 1) << KEPT_EVERY)
            yield level, index, _fold(children)
        level += KEPT_EVERY


def prove_inclusion(kept: Kept, index: int, size: int) -> Proof:
    """Prove that a leaf is in the tree of the first `size` leaves: the subtrees beside it, lowest first.

    Raises:
        ValueError: there is no such leaf in a tree of that size.

    Source: RFC 9162 §2.1.3.1.
    """
    if not 0 <= index < size:
        raise ValueError(f"expected a leaf from 0 to {size - 1}, got {index}")
    beside: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            beside.append(_range_hash(kept, middle, stop))
            stop = middle
        else:
            beside.append(_range_hash(kept, start, middle))
            start = middle
    return tuple(reversed(beside))


def prove_consistency(kept: Kept, old: int, new: int) -> Proof:
    """Prove that the tree of `new` leaves begins with that of `old` leaves; empty where that needs no proof.

    Raises:
        ValueError: the new size is below the old one.

    Source: RFC 9162 §2.1.4.1.
    """
    if not 0 <= old <= new:
        raise ValueError(f"expected a size from {old} on, got {new}")
    if old in (0, new):
        return ()
    proof: list[bytes] = []
    start, stop = 0, new
    while old != stop:
        middle = start + _split(stop - start)
        if old <= middle:
            proof.append(_range_hash(kept, middle, stop))
            stop = middle
        else:
            proof.append(_range_hash(kept, start, middle))
            start = middle
    if start:  # else it is the old root, which whoever checks has
        proof.append(_range_hash(kept, start, stop))
    return tuple(reversed(proof))


def check_inclusion(leaf: bytes, index: int, size: int, proof: Proof, root: bytes) -> None:
    """Return only if a leaf is in a tree.

    Args:
        leaf: its hash, 32 bytes.
        index: from 0.
        size: of the tree, in leaves.
        proof: as received.
        root: of that tree, from a checkpoint whose signature has been checked.

    Raises:
        ProofBroken: it is not, or the proof is of something else.

    Source: RFC 9162 §2.1.3.2.
    """
    _check_form(proof)
    if not 0 <= index < size:
        raise ProofBroken(f"expected a leaf below {size}, got {index}")
    inside, last, found = index, size - 1, leaf
    for beside in proof:
        if last == 0:
            raise ProofBroken("expected a shorter proof of inclusion")
        if inside & 1 or inside == last:
            found = node_hash(beside, found)
            while inside and not inside & 1:
                inside, last = inside >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        inside, last = inside >> 1, last >> 1
    if last or found != root:
        raise ProofBroken("expected a proof of inclusion that leads to the root; it leads elsewhere")


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Proof) -> None:
    """Return only if a tree begins with an older one: nothing that was in it has been altered or removed.

    Args:
        old, new: sizes, in leaves.
        old_root: as it was seen.
        new_root: from a checkpoint whose signature has been checked.
        proof: as received.

    Raises:
        ProofBroken: it does not, or the proof is of something else.

    Source: RFC 9162 §2.1.4.2.
    """
    _check_form(proof)
    if not 0 <= old <= new:
        raise ProofBroken(f"expected a tree of {old} leaves or more, got {new}")
    if old in (0, new):
        if proof or old_root != (new_root if old == new else EMPTY_ROOT):
            raise ProofBroken("expected the same tree; it is another")
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)  # a whole subtree: its hash is its proof
    if not path:
        raise ProofBroken("expected a proof of consistency; it is empty")
    inside, last = old - 1, new - 1
    while inside & 1:
        inside, last = inside >> 1, last >> 1
    first = second = path[0]
    for beside in path[1:]:
        if last == 0:
            raise ProofBroken("expected a shorter proof of consistency")
        if inside & 1 or inside == last:
            first, second = node_hash(beside, first), node_hash(beside, second)
            while inside and not inside & 1:
                inside, last = inside >> 1, last >> 1
        else:
            second = node_hash(second, beside)
        inside, last = inside >> 1, last >> 1
    if last or first != old_root or second != new_root:
        raise ProofBroken("expected a proof that the log only grew; it leads elsewhere")


def _range_hash(kept: Kept, start: int, stop: int) -> bytes:
    """Hash the leaves from `start` to before `stop`, where a tree of RFC 9162 has a node for just these."""
    parts: list[bytes] = []
    while start < stop:
        level = (stop - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        parts.append(_subtree(kept, level, start >> level))
        start += 1 << level
    found = parts.pop()
    while parts:
        found = node_hash(parts.pop(), found)
    return found


def _subtree(kept: Kept, level: int, index: int) -> bytes:
    """Hash a complete subtree, from the nearest kept level at or below it."""
    below = level % KEPT_EVERY
    return _fold(kept.hashes(level - below, index << below, (index + 1) << below))


def _fold(hashes: Sequence[bytes]) -> bytes:
    """Hash the root over a number of subtrees that is a power of two."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def _split(size: int) -> int:
    """The largest power of two below a size of 2 or more."""
    return 1 << (size - 1).bit_length() - 1


def _check_form(proof: Proof) -> None:
    """Refuse what is no list of hashes before anything is made of it."""
    if len(proof) > MAX_PROOF or any(len(part) != HASH_BYTES for part in proof):
        raise ProofBroken(f"expected at most {MAX_PROOF} hashes of {HASH_BYTES} bytes")
