"""This log's own checkpoints: signed again and again, as long as it grows, and kept for good.

Sees:     sizes and roots; no entry.
Promises: what was signed once is never signed otherwise: a checkpoint and the subtrees kept for its proofs
          become durable together, before anybody is shown it.
Source:   RFC 9162 §2.1; C2SP tlog-checkpoint; docs/ledger.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from elsewhere.clock import to_ms
from elsewhere.signing import SigningKey
from elsewhere.transparency.checkpoint import Checkpoint, sign_checkpoint
from node.ledger.tree import keep_tiles, read_edge
from node.store.ledger import checkpoint


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs for a log."""

    origin: str
    key: SigningKey


def note_over(size: int, root: bytes, signer: Signer) -> str:
    """Sign how long a log is and what is in it; for one size it is the same whenever it is signed."""
    return sign_checkpoint(Checkpoint(signer.origin, size, root), signer.key).decode()


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
    is_known = select(checkpoint.c.size).where(checkpoint.c.size == edge.size)
    if not edge.size or connection.execute(is_known).first() is not None:
        return None
    keep_tiles(connection)
    row = {"size": edge.size, "time_ms": to_ms(now), "note": note_over(edge.size, edge.root, signer)}
    connection.execute(insert(checkpoint).values(row))
    return edge.size
