"""Checks a whole log against itself: every entry, the tree over them, and every checkpoint ever signed.

Sees:     bodies of entries, for their hashes and for what stands beside them in the store.
Refuses:  at the first thing that does not fit, naming it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from elsewhere.transparency.checkpoint import Checkpoint, open_log
from elsewhere.transparency.errors import NoteInvalid
from elsewhere.transparency.frontier import Frontier
from elsewhere.transparency.merkle import leaf_hash
from node.errors import LedgerDamaged
from node.ledger.tree import read_edge
from node.store.exchange import log
from node.store.ledger import checkpoint

_BATCH = 1000
_COLUMNS = (log.c.seq, log.c.digest, log.c.body, log.c.kind, log.c.time_ms, log.c.call_reference)


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found sound."""

    entries: int
    checkpoints: int
    root: bytes


def read_whole(connection: Connection, origin: str, public: bytes, earlier: Sequence[bytes] = ()) -> Verified:
    """Read a log from end to end.

    Args:
        connection: one that sees one state of the store.
        origin: the name of the agency's first log.
        public: the 32-byte key that its checkpoints are signed with.
        earlier: the keys that those before were signed with.

    Raises:
        LedgerDamaged: an entry is missing, altered or one too many, or a checkpoint says otherwise.
    """
    stated = _stated(connection, origin, (public, *earlier))
    found, count, misfiled = Frontier(), len(stated), 0
    batches = connection.execution_options(yield_per=_BATCH).execute(select(*_COLUMNS).order_by(log.c.seq))
    for seq, digest, body, *beside in batches:
        if seq != found.size + 1:
            raise LedgerDamaged(f"expected entry {found.size + 1} of the log; {seq} follows")
        if leaf_hash(body) != digest:
            raise LedgerDamaged(f"expected entry {seq} as it was logged; it was altered")
        misfiled = misfiled or (0 if _is_filed(body, beside) else seq)
        found = found.append(digest)
        due = stated.pop(found.size, None)
        if due is not None and due.root != found.root:
            raise LedgerDamaged(f"expected the log that was signed at {found.size} entries; it is another")
    if stated:
        raise LedgerDamaged(f"expected {max(stated)} entries, as was signed; there are {found.size}")
    if read_edge(connection) != found:
        raise LedgerDamaged("expected the tree over these entries; the one kept is another")
    if misfiled:
        raise LedgerDamaged(f"expected entry {misfiled} under the kind, time and reference that it states")
    return Verified(found.size, count, found.root)


def _is_filed(body: bytes, beside: list[Any]) -> bool:
    """Whether kind, time and call reference beside an entry, which no hash covers, are those within it."""
    said = json.loads(body)
    return beside == [said.get(name) for name in ("kind", "time_ms", "call_reference")]


def _stated(connection: Connection, origin: str, keys: Sequence[bytes]) -> dict[int, Checkpoint]:
    """Every checkpoint there is, its signature checked, by size."""
    stated = {}
    for size, note in connection.execute(select(checkpoint.c.size, checkpoint.c.note)):
        try:
            stated[size] = open_log(note.encode(), origin, keys[0], earlier=keys[1:]).checkpoint
        except NoteInvalid as err:
            raise LedgerDamaged(
                f"expected the checkpoint at {size} entries as it was signed: {err}"
            ) from None
        if stated[size].size != size:
            raise LedgerDamaged(f"expected a checkpoint at {size} entries; it is one at {stated[size].size}")
    return stated
