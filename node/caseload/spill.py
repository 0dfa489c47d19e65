"""Tags on their way from the journal into the store, in the order of the tables' keys.

Sees:     tags and record numbers, no person.
Promises: memory holds a part at a time, whatever the caseload's size; inserts follow the order of the
          tables' keys, as SQLite takes sorted rows many times faster than scattered ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from node.caseload.journal import BUCKETS, Journal
from node.caseload.tagrows import DECOY, ROW
from node.store.bulk import insert_rows
from node.store.caseload import entry, tag
from node.store.engine import Store

INSERT_ROWS = 20_000
_PART_ROWS = 200_000
_SHORT = 8
_TAG = slice(2, 34)


def store_tags(journal: Journal, store: Store, load_id: int, told: Callable[[int], None]) -> tuple[int, int]:
    """Insert all tags of a load and the catalogue entries that are new with them.

    Args:
        load_id: the load that the new entries belong to.
        told: is told how many of BUCKETS are done.

    Returns: the number of tags, and of new entries.
    """
    count = added = 0
    for first, last, rows, records in journal.parts(_PART_ROWS):
        count += len(rows)
        for set_id in np.unique(rows["set"]).tolist():
            which = rows["set"] == set_id
            added += _store_set(store, load_id, (first, last), (rows[which], records[which]))
        told(last + 1)
    return count, added


def _store_set(
    store: Store, load_id: int, buckets: tuple[int, int], part: tuple[NDArray[np.void], NDArray[np.int64]]
) -> int:
    """Insert the rows of one set in some neighbouring buckets."""
    rows, records = part
    set_id = int(rows["set"][0])
    known = _known_among(store, buckets, set_id, np.unique(rows["lead"].astype(np.uint64)))
    added = 0
    for start in range(0, len(rows), INSERT_ROWS):
        piece, whose = rows[start : start + INSERT_ROWS], records[start : start + INSERT_ROWS]
        real = piece["ordinal"] != DECOY
        tags: list[tuple[object, ...]] = list(
            zip(
                itertools.repeat(set_id),
                _tags_of(piece[real]),
                whose[real].tolist(),
                piece["ordinal"][real].tolist(),
                strict=False,
            )
        )
        shorts = np.unique(piece["lead"].astype(np.uint64))
        shorts = shorts[~np.isin(shorts, known)]
        known = np.concatenate((known, shorts[-1:]))  # the next piece may begin with the same one
        entries: list[tuple[object, ...]] = [(set_id, short, load_id) for short in _to_bytes(shorts)]
        with store.write() as conn:
            insert_rows(conn, tag, tags)
            insert_rows(conn, entry, entries)
        added += len(entries)
    return added


def _tags_of(rows: NDArray[np.void]) -> list[bytes]:
    """The whole tag of each row."""
    data = rows.tobytes()
    return [data[at + _TAG.start : at + _TAG.stop] for at in range(0, len(data), ROW.itemsize)]


def _to_bytes(shorts: NDArray[np.uint64]) -> list[bytes]:
    """Short tags as the store keeps them: big-endian, so that bytes sort as numbers do."""
    data = shorts.astype(">u8").tobytes()
    return [data[at : at + _SHORT] for at in range(0, len(data), _SHORT)]


def _known_among(
    store: Store, buckets: tuple[int, int], set_id: int, shorts: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Those of some buckets' short tags that are entries of a set already."""
    width = 2**64 // BUCKETS
    low, high = buckets[0] * width, (buckets[1] + 1) * width - 1
    within = (entry.c.set_id == set_id) & entry.c.short.between(low.to_bytes(_SHORT), high.to_bytes(_SHORT))
    query = select(entry.c.short).where(within).execution_options(yield_per=INSERT_ROWS)
    known = [np.empty(0, dtype=np.uint64)]
    with store.read() as conn:
        # A reload of a few rows spans many buckets, and so nearly all entries there are.
        for batch in conn.execute(query).scalars().partitions():
            held = np.frombuffer(b"".join(batch), dtype=">u8").astype(np.uint64)
            places = np.searchsorted(shorts, held)
            places[places == len(shorts)] = 0
            known.append(held[shorts[places] == held])
    return np.concatenate(known)
