"""Removes what no longer counts: rows of killed loads, and records that a reload replaced.

Promises: nothing in force is touched; each step is a small transaction, and being killed between two of them
          leaves rows that nobody reads and the next sweep removes.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, exists, func, select, update

from node.caseload.index import current_load
from node.store.caseload import ABANDONED, STAGING, entry, load, load_set, member, record, tag, tag_set
from node.store.engine import Store

RANGES = 256  # tags are deleted by their first byte, several at once where there are few
RECORDS_A_RANGE = 1000
BATCH = 5000


def sweep(store: Store, stated: Collection[tuple[str, int]] | None = None) -> None:
    """Remove everything that the newest complete load does not hold; the caller holds the right to load.

    Entries of removed records stay until their epoch ends: a short tag that vanished would tell that
    somebody was erased or shielded. Tags in a set that the newest load does not keep go: a killed load left
    them, or their epoch's key is gone.

    Args:
        store: of the node.
        stated: epochs that others may ask under, whose sets keep their tags whatever the load keeps; None:
            it is not known, and all sets keep them.
    """
    with store.write() as conn:
        ranges = conn.execute(select(func.count()).select_from(record)).scalar_one() // RECORDS_A_RANGE
        ranges = min(RANGES, 1 << ranges.bit_length())
        current = current_load(conn)
        died = conn.execute(update(load).where(load.c.state == STAGING).values(state=ABANDONED)).rowcount
        dead = _has_dead_records(conn, current)
        sets = conn.execute(select(tag_set.c.id)).scalars().all()
        strays = conn.execute(_stray_sets(current)).all() if stated is not None else []
        stray = [row.id for row in strays if (row.collection, row.epoch) not in (stated or ())]
    if died:
        for set_id in sets:
            _by_first_byte(store, entry, (entry.c.set_id == set_id) & (entry.c.load_id > current), ranges)
    for set_id in stray:
        _by_first_byte(store, tag, tag.c.set_id == set_id, ranges)
    if dead:
        held = exists().where(member.c.load_id == current, member.c.record_id == tag.c.record_id)
        for set_id in sets:
            _by_first_byte(store, tag, (tag.c.set_id == set_id) & ~held, ranges)
        _delete_records(store, current)
    _delete_members(store, current)


def delete_set(store: Store, set_id: int) -> None:
    """Remove all tags and entries of a set that no load keeps; the caller holds the right to load."""
    _by_first_byte(store, tag, tag.c.set_id == set_id, RANGES)
    _by_first_byte(store, entry, entry.c.set_id == set_id, RANGES)


def _has_dead_records(conn: Connection, current: int) -> bool:
    """Whether any record is not in force."""
    return conn.execute(_dead_records(current).limit(1)).first() is not None


def _dead_records(current: int) -> Select[tuple[int]]:
    """Select the records not in force."""
    held = exists().where(member.c.load_id == current, member.c.record_id == record.c.id)
    return select(record.c.id).where(~held)


def _stray_sets(current: int) -> Select[tuple[int, str, int]]:
    """Select the sets with tags in which a load does not keep its records tagged."""
    kept = exists().where(load_set.c.load_id == current, load_set.c.set_id == tag_set.c.id)
    has_tags = exists().where(tag.c.set_id == tag_set.c.id)
    return select(tag_set).where(~kept, has_tags)


def _by_first_byte(store: Store, table: Table, which: ColumnElement[bool], ranges: int) -> None:
    """Delete from a table of tags, a range at a time, so that no transaction is long."""
    key = table.c.tag if table is tag else table.c.short
    width = RANGES // ranges
    for first in range(0, RANGES, width):
        low, high = bytes([first]), bytes([first + width]) if first + width < RANGES else b"\xff" * 33
        with store.write() as conn:
            conn.execute(delete(table).where(which, key >= low, key < high))


def _delete_records(store: Store, current: int) -> None:
    """Delete the records not in force, persons and all."""
    while True:
        with store.write() as conn:
            ids = conn.execute(_dead_records(current).limit(BATCH)).scalars().all()
            if not ids:
                return
            conn.execute(delete(record).where(record.c.id.in_(ids)))


def _delete_members(store: Store, current: int) -> None:
    """Delete the member rows of every other load."""
    while True:
        with store.write() as conn:
            old = select(member.c.load_id, member.c.record_id).where(member.c.load_id != current).limit(BATCH)
            rows = conn.execute(old).all()
            if not rows:
                return
            for load_id in {row.load_id for row in rows}:
                ids = [row.record_id for row in rows if row.load_id == load_id]
                of_load = (member.c.load_id == load_id) & member.c.record_id.in_(ids)
                conn.execute(delete(member).where(of_load))
