"""Proof that an entry is in a log, as one text that anybody can keep and check without a network.

Sees:     the hash of an entry, and of others beside it.
Refuses:  a proof that leads to another root than the log itself has signed.
Source:   C2SP tlog-proof 1; without its optional line of extra data.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from elsewhere.transparency.checkpoint import Seen, open_log
from elsewhere.transparency.errors import NoteInvalid
from elsewhere.transparency.merkle import HASH_BYTES, MAX_PROOF, MAX_SIZE, Proof, check_inclusion
from elsewhere.transparency.note import Verifier

_KIND: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile(r"index (0|[1-9]\d{0,18})")


@dataclass(frozen=True, slots=True)
class LogProof:
    """Where an entry stands in a log, and what leads from it to the root that the log signed."""

    index: int  # from 0
    path: Proof
    note: str  # a checkpoint with its signatures

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_SIZE or len(self.path) > MAX_PROOF:
            raise NoteInvalid(f"expected an index below {MAX_SIZE} and a path of at most {MAX_PROOF} hashes")
        if any(len(beside) != HASH_BYTES for beside in self.path):
            raise NoteInvalid(f"expected hashes of {HASH_BYTES} bytes in a proof")

    def to_text(self) -> str:
        """Write it: kind, index, path, an empty line, the checkpoint."""
        path = [base64.b64encode(beside).decode("ascii") for beside in self.path]
        return "\n".join((_KIND, f"index {self.index}", *path, "", self.note))

    @classmethod
    def from_text(cls, text: str) -> LogProof:
        """Read one of which nothing is trusted yet.

        Raises:
            NoteInvalid: of another form.
        """
        head, parting, note = text.partition("\n\n")
        kind, *lines = head.split("\n", MAX_PROOF + 2)
        index = _INDEX.fullmatch(lines[0]) if lines else None
        if kind != _KIND or index is None or not parting:
            raise NoteInvalid(f"expected {_KIND}, an index, a path, an empty line and a checkpoint")
        try:
            path = tuple(base64.b64decode(line, validate=True) for line in lines[1:])
        except (binascii.Error, ValueError):
            raise NoteInvalid("expected a path of hashes in base64") from None
        found = cls(int(index[1]), path, note)
        if found.to_text() != text:
            raise NoteInvalid("expected a proof in its one form")
        return found


def open_proof(
    proof: LogProof, leaf: bytes, origin: str, keys: Sequence[bytes], witnesses: Sequence[Verifier] = ()
) -> Seen:
    """Return only if a log has signed a tree that an entry is in.

    Args:
        proof: as received, or from a case file.
        leaf: the hash of the entry, 32 bytes.
        origin: the first log of the agency that it is to be in; one begun anew later will do.
        keys: that log's, from the roster: the one in force, then those before it that will do as well.
        witnesses: whose cosignatures count.

    Returns: what was signed, and who has seen it so.

    Raises:
        NoteInvalid: the checkpoint is not signed by that log.
        ProofBroken: the entry is not in the tree that was signed.
    """
    seen = open_log(proof.note.encode(), origin, keys[0], witnesses, earlier=keys[1:])
    check_inclusion(leaf, proof.index, seen.checkpoint.size, proof.path, seen.checkpoint.root)
    return seen
