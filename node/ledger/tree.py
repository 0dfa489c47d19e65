"""The tree over this agency's log, kept beside it: nobody alters, removes or slips in an entry unnoticed.

Sees:     hashes of entries.
Promises: the edge grows in the transaction of the entry itself, so the two never differ, however a process
          ends and however many append. The levels kept above follow later, and can be made again at any time.
Source:   RFC 9162 §2.1; docs/ledger.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, insert, select, update

from elsewhere.clock import to_ms
from elsewhere.database.ready import Ready
from elsewhere.transparency.frontier import Frontier
from elsewhere.transparency.merkle import KEPT_EVERY, Proof, completed
from node.errors import LedgerDamaged
from node.store.exchange import log
from node.store.ledger import edge, tile

_ONE = 1
_EDGE = Ready(select(edge.c.size, edge.c.hashes, edge.c.number))
_BEGIN = Ready(insert(edge), "id", "size", "hashes")
_MOVE = Ready(
    update(edge)
    .where(edge.c.size == bindparam("before"))
    .values(size=bindparam("after"), hashes=bindparam("grown"))
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands: the proof of it holds for the tree that it completes."""

    index: int  # from 0
    tree: Frontier  # with it as its newest leaf
    path: Proof
    number: int  # which log of this agency it is


def read_edge(connection: Connection) -> Frontier:
    """Give the tree of all entries there are."""
    row = _EDGE.row(connection)
    return Frontier.from_bytes(row.size, row.hashes) if row is not None else Frontier()


def grow(connection: Connection, leaf: bytes) -> Place:
    """Put one leaf more under the tree; the caller appends its entry in the same transaction.

    Args:
        connection: of the one writer.
        leaf: hash of the entry, 32 bytes.
    """
    row = _EDGE.row(connection)
    before = Frontier.from_bytes(row.size, row.hashes) if row is not None else Frontier()
    after = before.append(leaf)
    if row is None:
        _BEGIN.change(connection, {"id": _ONE, "size": after.size, "hashes": after.to_bytes()})
    else:
        _MOVE.change(connection, {"before": before.size, "after": after.size, "grown": after.to_bytes()})
    return Place(before.size, after, before.path_of_next, row.number if row is not None else 0)


def read_number(connection: Connection) -> int:
    """Tell which log of this agency it is: 0 for the first."""
    row = _EDGE.row(connection)
    return int(row.number) if row is not None else 0


def begin_anew(connection: Connection, now: datetime) -> None:
    """Begin another log with the entries there are: others have seen the one before go on otherwise.

    It is for people to order: whoever watches the log says so, and keeps what was seen of the one before.

    Args:
        connection: of a writer.
        now: aware UTC time, by which the new log is named.
    """
    number = max(to_ms(now) // 1000, read_number(connection) + 1)
    if _EDGE.row(connection) is None:
        _BEGIN.change(connection, {"id": _ONE, "size": 0, "hashes": b""})
    connection.execute(update(edge).values(number=number))


@dataclass(frozen=True, slots=True)
class StoredTree:
    """The hashes that a store holds of its log's tree, for `elsewhere.transparency.merkle`."""

    connection: Connection

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """Give the hashes of complete subtrees.

        Raises:
            LedgerDamaged: some are missing.
        """
        if level:
            found = select(tile.c.hash).where(tile.c.level == level, tile.c.place.between(start, stop - 1))
            rows = self.connection.execute(found.order_by(tile.c.place)).scalars().all()
        else:
            leaves = select(log.c.digest).where(log.c.seq.between(start + 1, stop)).order_by(log.c.seq)
            rows = self.connection.execute(leaves).scalars().all()
        if len(rows) != stop - start:
            raise LedgerDamaged(
                f"expected {stop - start} hashes of level {level} from {start}; got {len(rows)}"
            )
        return rows


def keep_tiles(connection: Connection) -> int:
    """Write down the subtrees that have become whole since the last time; gives how many.

    Args:
        connection: of a writer.
    """
    lowest = select(func.coalesce(func.max(tile.c.place), -1)).where(tile.c.level == KEPT_EVERY)
    kept = (int(connection.execute(lowest).scalar_one()) + 1) << KEPT_EVERY
    count = 0
    for level, place, found in completed(StoredTree(connection), kept, read_edge(connection).size):
        connection.execute(insert(tile).values(level=level, place=place, hash=found))
        count += 1
    return count
