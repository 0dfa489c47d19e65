"""Forgetting this agency's own catalogues whose keys are destroyed.

Promises: rows, snapshot keys and files all go, also those that a crash left without the others.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, select

from node.catalogues.own import OwnParts
from node.store.exchange import published, published_piece


def drop_others(parts: OwnParts, kept: Collection[tuple[str, int]]) -> None:
    """Forget the catalogues of keys that are destroyed: rows, snapshot keys and files."""

    term = parts.lead.number

    def change(conn: Connection) -> None:
        parts.lead.check(conn, term)
        rows = conn.execute(select(published.c.collection, published.c.epoch)).all()
        gone = [(row.collection, row.epoch) for row in rows if (row.collection, row.epoch) not in kept]
        for collection, epoch in gone:
            for table in (published, published_piece):
                conn.execute(delete(table).where(table.c.collection == collection, table.c.epoch == epoch))

    parts.writer.submit(change).result()
    for path in parts.folder.glob("own.*"):
        # By its name, as a crash may have removed the row alone.
        _, collection, epoch, *_ = path.name.split(".")
        if (collection, int(epoch)) not in kept:
            path.unlink(missing_ok=True)
