"""Whose store it is: one agency's, in one federation, under one signing key.

Refuses:  to let a node work with another's store: it would go on with its records, limits and log as its own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from sqlalchemy import Column, Connection, String, Table, delete, insert, select

from elsewhere.database.owning import StoreTaken
from node.store.engine import Store
from node.store.schema import metadata

# One row, from the node's first start on. All processes of a node are one owner.
owner = Table(
    "owner",
    metadata,
    Column("agency", String(32), primary_key=True),
    Column("federation", String(32), nullable=False),
    Column("signing_key", String(16), nullable=False),  # the key's id
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who a store may belong to."""

    agency: str
    federation: str  # its id; empty: not admitted yet
    signing_key: str  # its id

    def __str__(self) -> str:
        return f"agency {self.agency!r} in {self.federation or 'no federation yet'!r}, key {self.signing_key}"


def owner_of(conn: Connection) -> Owner | None:
    """Say whose a store is; None before its node's first start."""
    found = conn.execute(select(owner)).one_or_none()
    return Owner(found.agency, found.federation, found.signing_key) if found is not None else None


def check_owner(conn: Connection, who: Owner) -> None:
    """Return if a store is theirs or nobody's; the federation counts once they are in one.

    Raises:
        StoreTaken: it is another's.
    """
    found = owner_of(conn)
    if found is None or who == (found if who.federation else replace(found, federation="")):
        return
    raise StoreTaken(
        f"expected the store of {who}; it is that of {found}: mend store.url. If that node is gone for good "
        "and its records are this agency's, run 'elsewhere node take-store' here"
    )


def claim(store: Store, who: Owner, *, take_over: bool = False) -> None:
    """Make this the store of one agency's node, or return if it is already.

    Args:
        store: opened.
        who: of a federation.
        take_over: also from another, of which no process must run any more.

    Raises:
        StoreTaken: it is another's.
    """
    with store.write() as conn:
        if not take_over:
            check_owner(conn, who)
        if owner_of(conn) != who:
            conn.execute(delete(owner))
            conn.execute(insert(owner).values(asdict(who)))
