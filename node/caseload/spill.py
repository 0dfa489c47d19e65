"""Tags on their way into the store: spilled to files by their first bits, then inserted in order.

Sees:     tags and record numbers, no person.
Promises: memory holds one bucket at a time, whatever the caseload's size; inserts follow the order of the
          tables' keys, as SQLite takes sorted rows many times faster than scattered ones.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, Table, insert, select

from node.caseload.staging import batches
from node.caseload.workers import ROW_BYTES
from node.store.caseload import entry, tag
from node.store.engine import Store

BUCKETS = 64  # each takes tags of equal first 6 bits
INSERT_ROWS = 20_000
_SHORT = 8


class Spill:
    """Files of tag rows in a folder of their own, for as long as one load runs."""

    def __init__(self, folder: Path) -> None:
        self._files = [(folder / f"{number:02}").open("w+b") for number in range(BUCKETS)]
        self.rows = 0

    def add(self, rows: bytes) -> None:
        """Sort rows of ROW_BYTES into their buckets."""
        table = np.frombuffer(rows, dtype=np.uint8).reshape(-1, ROW_BYTES)
        self.rows += len(table)
        which = table[:, 2] >> 2
        order = np.argsort(which, kind="stable")
        ends = np.searchsorted(which[order], np.arange(BUCKETS), side="right")
        for file, part in zip(self._files, np.split(table[order], ends[:-1]), strict=True):
            if len(part):
                file.write(part.tobytes())

    def insert(self, store: Store, load_id: int, told: Callable[[int], None]) -> int:
        """Insert all rows and the catalogue entries that are new with them.

        Args:
            load_id: the load that the new entries belong to.
            told: is told how many buckets are done.

        Returns: the number of new entries.
        """
        added, first, rows = 0, 0, list[bytes]()
        for number, file in enumerate(self._files):
            file.seek(0)
            data = file.read()
            rows += (data[at : at + ROW_BYTES] for at in range(0, len(data), ROW_BYTES))
            # A transaction costs a write to the disk, so small buckets share one.
            if len(rows) >= INSERT_ROWS or number == BUCKETS - 1:
                added += _insert_range(store, load_id, (first, number), rows)
                first, rows = number + 1, []
            told(number + 1)
        return added

    def close(self) -> None:
        """Close all files; the folder's owner removes them."""
        for file in self._files:
            file.close()


def _insert_range(store: Store, load_id: int, buckets: tuple[int, int], rows: list[bytes]) -> int:
    """Insert the rows of some neighbouring buckets, in the order of set and tag."""
    rows.sort()
    known = {set_bytes: _known_shorts(store, buckets, set_bytes) for set_bytes in {row[:2] for row in rows}}
    added = 0
    for batch in batches(rows, INSERT_ROWS):
        tags: list[tuple[object, ...]] = []
        entries: list[tuple[object, ...]] = []
        for row in batch:
            set_id, value, short = int.from_bytes(row[:2]), row[2:34], row[2 : 2 + _SHORT]
            if record_id := int.from_bytes(row[34:42]):  # a decoy is an entry only: nobody can ask for it
                tags.append((set_id, value, record_id, int.from_bytes(row[42:])))
            if short not in known[row[:2]]:
                known[row[:2]].add(short)
                entries.append((set_id, short, load_id))
        with store.write() as conn:
            _insert_rows(conn, tag, tags)
            _insert_rows(conn, entry, entries)
        added += len(entries)
    return added


def _insert_rows(conn: Connection, table: Table, rows: list[tuple[object, ...]]) -> None:
    """Insert rows laid out in the order of a table's columns, past the per-row work of SQLAlchemy."""
    if not rows:
        return
    compiled = insert(table).compile(dialect=conn.dialect)
    if compiled.positional:
        conn.exec_driver_sql(str(compiled), rows)
    else:
        names = table.columns.keys()
        conn.exec_driver_sql(str(compiled), [dict(zip(names, row, strict=True)) for row in rows])


def _known_shorts(store: Store, buckets: tuple[int, int], set_bytes: bytes) -> set[bytes]:
    """The entries of one set that these buckets' tags could meet."""
    low = bytes([buckets[0] << 2])
    high = bytes([(buckets[1] << 2) + 3]) + b"\xff" * (_SHORT - 1)
    within = (entry.c.set_id == int.from_bytes(set_bytes)) & entry.c.short.between(low, high)
    with store.read() as conn:
        return set(conn.execute(select(entry.c.short).where(within)).scalars())
