"""The shields in force, as the store keeps them beside the records.

Sees:     sources and person ids there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select

from node.caseload.carried import Origins, PersonRef
from node.store.caseload import carried_shield, standing_shield


@dataclass(frozen=True, slots=True)
class Shields:
    """The shields in force, by source and person id there. Prints nothing of them."""

    standing: Mapping[PersonRef, str] = field(repr=False)  # as stated; NONE is left out
    carried: Origins = field(repr=False)


def read_shields(conn: Connection) -> Shields:
    """All shields, of every source."""
    standing = {(row.source, row.person_ref): row.shield for row in conn.execute(select(standing_shield))}
    carried: dict[PersonRef, frozenset[PersonRef]] = {}
    for row in conn.execute(select(carried_shield)):
        person, origin = (row.source, row.person_ref), (row.from_source, row.from_ref)
        carried[person] = carried.get(person, frozenset()) | {origin}
    return Shields(standing, carried)


def write_shields(conn: Connection, shields: Shields) -> None:
    """Put shields in the place of those written before."""
    standing = [
        {"source": name, "person_ref": ref, "shield": shield}
        for (name, ref), shield in shields.standing.items()
    ]
    carried = [
        {"source": name, "person_ref": ref, "from_source": origin[0], "from_ref": origin[1]}
        for (name, ref), origins in shields.carried.items()
        for origin in origins
    ]
    for table, rows in ((standing_shield, standing), (carried_shield, carried)):
        conn.execute(delete(table))
        if rows:
            conn.execute(insert(table), rows)
