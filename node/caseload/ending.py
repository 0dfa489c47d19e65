"""What the caseload holds under a key: whether all records are tagged under it, and removing all of it.

Sees:     tags and numbers of records; no person.
Promises: each step is a small transaction. The first takes sets out of what counts as tagged, so that nobody
          is answered from the part of their tags that is left; the row that names one goes last: killed
          between two of them, the next call goes on. Tags that another key made count as none, whatever
          epoch they are of.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, select, update

from elsewhere.canonical import Json
from elsewhere.matchkeys import version
from node.caseload.index import current_load
from node.caseload.sweep import delete_set
from node.keys.ring import KeyId, Name
from node.ledger import book
from node.store.caseload import load, load_set, tag_set
from node.store.engine import Store
from node.store.exchange import published, published_piece

# What is left of a catalogue whose key was replaced; `seed` tells it from any other.
_VOID: Final = {
    "seed": b"",
    "snapshot_key": b"",
    "granted": "{}",
    "stated_version": None,
    "stated_root": None,
    "stated_load": 0,
}


def is_tagged_in(conn: Connection, keys: Collection[KeyId]) -> bool:
    """Tell whether all records in force are tagged under all of these keys, by this version's match keys."""
    current = current_load(conn)
    if not current:
        return True  # there are none
    rules = conn.execute(select(load.c.rules).where(load.c.id == current)).scalar_one()
    query = select(tag_set).join(load_set, load_set.c.set_id == tag_set.c.id)
    rows = conn.execute(query.where(load_set.c.load_id == current)).all()
    return bool(rules == version() and set(keys) <= set(map(_key_of, rows)))


def has_other_sets(conn: Connection, kept: Collection[KeyId]) -> bool:
    """Tell whether there is anything for `drop_sets` to remove."""
    return any(_key_of(row) not in kept for row in conn.execute(select(tag_set)))


def drop_sets(store: Store, kept: Collection[KeyId], now: datetime) -> int:
    """Remove every set but these keys', tags and entries and all; the caller holds the right to load.

    Returns: how many there were.
    """
    return _drop(store, [row for row in _sets(store) if _key_of(row) not in kept], now)


def drop_replaced(store: Store, keys: Collection[KeyId], now: datetime) -> int:
    """Remove the sets whose collection and epoch have another key by now; otherwise as `drop_sets`."""
    names = {(collection, epoch) for collection, epoch, _ in keys}
    replaced = [
        row for row in _sets(store) if (row.collection, row.epoch) in names and _key_of(row) not in keys
    ]
    return _drop(store, replaced, now)


def void_catalogues(conn: Connection) -> frozenset[Name]:
    """The collections and epochs whose catalogue another key made than there is now: others may hold it."""
    query = select(published.c.collection, published.c.epoch).where(published.c.seed == b"")
    return frozenset((row.collection, row.epoch) for row in conn.execute(query))


def _sets(store: Store) -> list[Any]:
    """All sets that there are."""
    with store.read() as conn:
        return list(conn.execute(select(tag_set)))


def _key_of(row: Any) -> KeyId:
    """Under which key a set was made; no key has the digest of one that is not known."""
    return row.collection, row.epoch, row.key_digest or b""


def _drop(store: Store, gone: Sequence[Any], now: datetime) -> int:
    """Remove some sets, and log each once nothing of it is left."""
    if not gone:
        return 0
    ids = [row.id for row in gone]
    # Before any tag: while a set counts as whole, a tag that is not there says that a child is not known.
    # Without their digests they stay to be dropped if we are killed, also when their keys are put back.
    with store.write() as conn:
        conn.execute(delete(load_set).where(load_set.c.set_id.in_(ids)))
        conn.execute(update(tag_set).where(tag_set.c.id.in_(ids)).values(key_digest=None))
        for row in gone:
            # Their catalogues, but for the number of the version that others have seen.
            name = {"collection": row.collection, "epoch": row.epoch}
            conn.execute(update(published).filter_by(**name).values(_VOID))
            conn.execute(delete(published_piece).filter_by(**name))
    for row in gone:
        delete_set(store, row.id)
        facts: dict[str, Json] = {"collection": row.collection, "epoch": row.epoch, "event": "destroyed"}
        with store.write() as conn:
            conn.execute(delete(tag_set).where(tag_set.c.id == row.id))
            book.append(conn, book.make_entry("keys", facts, now))
    return len(gone)
