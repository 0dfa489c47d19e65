"""What the caseload holds under a key: whether all records are tagged under it, and removing all of it.

Sees:     tags and numbers of records; no person.
Promises: each step is a small transaction, and the row that names a set goes last: killed between two of
          them, the next call goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from sqlalchemy import Connection, delete, select

from elsewhere.matchkeys import version
from node import logbook
from node.caseload.index import current_load
from node.caseload.sweep import delete_set
from node.store.caseload import load, load_set, tag_set
from node.store.engine import Store

Name = tuple[str, int]  # collection, epoch


def is_tagged_in(conn: Connection, names: Collection[Name]) -> bool:
    """Tell whether all records in force are tagged in all of these sets, by this version's match keys."""
    current = current_load(conn)
    if not current:
        return True  # there are none
    rules = conn.execute(select(load.c.rules).where(load.c.id == current)).scalar_one()
    query = select(tag_set.c.collection, tag_set.c.epoch).join(load_set, load_set.c.set_id == tag_set.c.id)
    rows = conn.execute(query.where(load_set.c.load_id == current)).all()
    return bool(rules == version() and set(names) <= {(row.collection, row.epoch) for row in rows})


def has_other_sets(conn: Connection, kept: Collection[Name]) -> bool:
    """Tell whether there is anything for `drop_sets` to remove."""
    return any((row.collection, row.epoch) not in kept for row in conn.execute(select(tag_set)))


def drop_sets(store: Store, kept: Collection[Name], note: Callable[[Name], logbook.Entry]) -> int:
    """Remove every set but these, tags and entries and all; the caller holds the right to load.

    Args:
        store: of the node.
        kept: the sets whose keys there are.
        note: what to log of a set once nothing of it is left.

    Returns: how many there were.
    """
    with store.read() as conn:
        rows = conn.execute(select(tag_set)).all()
    gone = [row for row in rows if (row.collection, row.epoch) not in kept]
    for row in gone:
        delete_set(store, row.id)
        with store.write() as conn:
            conn.execute(delete(load_set).where(load_set.c.set_id == row.id))
            conn.execute(delete(tag_set).where(tag_set.c.id == row.id))
            logbook.append(conn, note((row.collection, row.epoch)))
    return len(gone)
