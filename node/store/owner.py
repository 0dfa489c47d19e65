"""Whose store it is: one agency's, in one federation, under one signing key.

Refuses:  to let a node work with another's store: it would go on with its records, limits and log as its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sqlalchemy import Column, Connection, String, Table, delete, insert, select

from elsewhere.database.owning import StoreTaken
from node.store.engine import Store
from node.store.schema import metadata

# One row, from the first load, start or upgrade on. All processes of a node are one owner.
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
    coming_key: str = field(default="", compare=False)  # id of the one that is to take its place
    earlier_keys: frozenset[str] = field(
        default=frozenset(), compare=False
    )  # ids of those that it took it from

    def to_row(self) -> dict[str, str]:
        """What is kept of it."""
        return {"agency": self.agency, "federation": self.federation, "signing_key": self.signing_key}

    def __str__(self) -> str:
        return f"agency {self.agency!r} in {self.federation or 'no federation yet'!r}, key {self.signing_key}"


def owner_of(conn: Connection) -> Owner | None:
    """Say whose a store is; None before the first load, start or upgrade."""
    found = conn.execute(select(owner)).one_or_none()
    return Owner(found.agency, found.federation, found.signing_key) if found is not None else None


def is_owner(conn: Connection, who: Owner) -> bool:
    """Tell whether a store is theirs or nobody's; a federation counts where both are in one.

    While a signing key takes the place of another, theirs is a store under either; later so is a backup of it
    from before.
    """
    found = owner_of(conn)
    if found is not None and found.signing_key in {who.coming_key, *who.earlier_keys}:
        found = replace(found, signing_key=who.signing_key)
    if found is None or not (found.federation and who.federation):
        found = replace(found, federation=who.federation) if found is not None else who
    return found == who


def check_owner(conn: Connection, who: Owner) -> None:
    """Return if a store is theirs or nobody's, as `is_owner` has it.

    Raises:
        StoreTaken: it is another's.
    """
    if not is_owner(conn, who):
        raise StoreTaken(
            f"expected the store of {who}; it is that of {owner_of(conn)}: mend store.url. If that node is "
            "gone for good and its records are this agency's, run 'elsewhere node take-store' here"
        )


def claim(store: Store, who: Owner) -> None:
    """Make a store of nobody this one's, or return if it is already.

    Args:
        store: opened.
        who: once they are in a federation, it is noted with them.

    Raises:
        StoreTaken: it is another's.
    """
    with store.read() as conn:
        check_owner(conn, who)
        if _has_all_of(conn, who):
            return
    with store.write() as conn:
        check_owner(conn, who)
        if not _has_all_of(conn, who):
            put_owner(conn, who)


def put_owner(conn: Connection, who: Owner) -> None:
    """Write down whose a store is, whosever it was."""
    conn.execute(delete(owner))
    conn.execute(insert(owner).values(who.to_row()))


def _has_all_of(conn: Connection, who: Owner) -> bool:
    """Whether all that is to be noted of its owner is noted."""
    found = owner_of(conn)
    if found is None or found.signing_key in who.earlier_keys:
        return False
    return bool(found.federation or not who.federation)
