"""This log's own checkpoints: signed again and again, as long as it grows, and kept for good.

Sees:     sizes and roots; no entry.
Promises: what was signed once is never signed otherwise: a checkpoint and the subtrees kept for its proofs
          become durable together, before anybody is shown it.
Source:   RFC 9162 §2.1; C2SP tlog-checkpoint; docs/ledger.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select

from elsewhere.clock import to_ms
from elsewhere.signing import SigningKey
from elsewhere.transparency.checkpoint import Checkpoint, log_origin, sign_checkpoint
from node.ledger.tree import keep_tiles, read_edge, read_number
from node.store.ledger import checkpoint


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs for an agency's logs."""

    federation: str
    agency: str
    key: SigningKey
    earlier: tuple[bytes, ...] = ()  # public halves of the keys before, which others may still show notes by


def note_over(size: int, root: bytes, signer: Signer, number: int = 0) -> str:
    """Sign how long a log is and what is in it; for one size it is the same whenever it is signed."""
    origin = log_origin(signer.federation, signer.agency, number)
    return sign_checkpoint(Checkpoint(origin, size, root), signer.key).decode()


def newest_size(connection: Connection) -> int:
    """Give the size of the newest checkpoint; 0 before the first."""
    return int(connection.execute(select(func.coalesce(func.max(checkpoint.c.size), 0))).scalar_one())


def sign_newest(connection: Connection, signer: Signer, now: datetime) -> int | None:
    """Sign how long the log is by now.

    Args:
        connection: of a writer.
        signer: this agency.
        now: aware UTC time.

    Returns: the size signed; None where that has been signed already, or there is no entry yet.
    """
    edge = read_edge(connection)
    is_it = checkpoint.c.size == edge.size
    held = connection.execute(select(checkpoint.c.note).where(is_it)).scalar_one_or_none()
    note = note_over(edge.size, edge.root, signer, read_number(connection))
    if not edge.size or (held is not None and held.startswith(note.partition("\n")[0] + "\n")):
        return None
    connection.execute(delete(checkpoint).where(is_it))  # of the log before this one
    keep_tiles(connection)
    row = {"size": edge.size, "time_ms": to_ms(now), "note": note}
    connection.execute(insert(checkpoint).values(row))
    return edge.size
