"""The edge of a log's tree: all that is needed to append, to know the root and to prove the newest leaf.

Holds:    one hash for each complete subtree at the edge, as many as the size has ones in binary.
Promises: appending costs a hash or two on average and reads nothing else of the log.
Source:   RFC 9162 §2.1.1 and §2.1.3.1; the edge is the path of a leaf that would come next.
"""

from __future__ import annotations

from dataclasses import dataclass

from elsewhere.transparency.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE, Proof, node_hash


@dataclass(frozen=True, slots=True)
class Frontier:
    """The complete subtrees that a log of some size consists of, the largest first."""

    size: int = 0  # leaves
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE or len(self.hashes) != self.size.bit_count():
            raise ValueError(f"expected a hash for each complete subtree of {self.size} leaves")
        if any(len(found) != HASH_BYTES for found in self.hashes):
            raise ValueError(f"expected hashes of {HASH_BYTES} bytes")

    @property
    def root(self) -> bytes:
        """The root over all leaves."""
        if not self.hashes:
            return EMPTY_ROOT
        *larger, found = self.hashes
        while larger:
            found = node_hash(larger.pop(), found)
        return found

    @property
    def path_of_next(self) -> Proof:
        """The proof that the next leaf, once appended, is in the tree that it completes."""
        return tuple(reversed(self.hashes))

    def append(self, leaf: bytes) -> Frontier:
        """Give the frontier with one leaf more.

        Args:
            leaf: its hash, 32 bytes.
        """
        hashes, rest, found = list(self.hashes), self.size, leaf
        while rest & 1:
            found, rest = node_hash(hashes.pop(), found), rest >> 1
        return Frontier(self.size + 1, (*hashes, found))

    def to_bytes(self) -> bytes:
        """Write the hashes one after another; the size is kept beside them."""
        return b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Frontier:
        """Read what `to_bytes` wrote; raises ValueError for anything else."""
        return cls(size, tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)))
