"""One child of the caseload, read in bounded steps however many rows an export has of it.

Sees:     one person for each tag, unread; of the rest of the child's rows only coded columns.
Promises: the same queries whether or not there is such a child; what grows with a child's rows grows inside
          the database engine, by microseconds a row. An agency that exports a row for each visit must not
          take longer over a child it knows: the gateway would see it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, literal, select, union_all

from elsewhere.database.ready import Ready
from elsewhere.lookup import MAX_REVEALS, Flag
from elsewhere.matching import GROUP_LIMIT
from node.caseload.index import SourceState
from node.caseload.shields import NONE
from node.store.caseload import DONE, load, member, record, tag, tag_set

# One more than may be told apart: then the answer is "several" whoever else there is.
MAX_GROUPS = GROUP_LIMIT + 1
MAX_FLAG_SETS = 64
_NOBODY = -1


@dataclass(frozen=True, slots=True)
class Holders:
    """Who holds a tag: at most MAX_GROUPS children, and one row from which its match key follows."""

    groups: tuple[int, ...]
    records: tuple[tuple[str, str], ...] = field(repr=False)  # source and person id there, one a child
    person: bytes = field(repr=False)  # canonical; empty: nobody holds the tag
    with_postcode: bool
    ordinal: int


@dataclass(frozen=True, slots=True)
class Child:
    """What this agency knows of one child, over all its rows in force."""

    is_current: bool
    is_shielded: bool  # its location; children whose identity is shielded are held by no tag
    service: str
    in_hours: str
    out_of_hours: str
    last_contact: date | None
    flags: tuple[Flag, ...]
    sources: Mapping[str, SourceState]


def holders_of_each(
    conn: Connection, collection: str, epoch: int, tags: Sequence[bytes]
) -> tuple[Holders, ...]:
    """Find who holds each tag, in one query for all of them.

    Args:
        collection, epoch: of the key that the tags were made with.
        tags: MAX_REVEALS of them, 32 bytes each.
    """
    wanted = {f"tag_{place}": tag_bytes for place, tag_bytes in enumerate(tags)}
    found: list[list[Any]] = [[] for _ in tags]
    for row in _HOLDERS.rows(conn, {"collection": collection, "epoch": epoch, **wanted}):
        found[row.place].append(row)
    return tuple(map(_holders, found))


def _holders(rows: Sequence[Any]) -> Holders:
    """Sum up the rows of one tag, one a child."""
    if not rows:
        return Holders((), (), b"", True, 0)
    first = min(rows, key=lambda row: row.id)
    return Holders(
        groups=tuple(row.group_id for row in rows),
        records=tuple((row.source, row.person_ref) for row in rows),
        person=first.person,
        with_postcode=first.shield == NONE,
        ordinal=first.ordinal,
    )


def child_of(conn: Connection, group_id: int | None, states: Mapping[str, SourceState]) -> Child | None:
    """Sum a child up in four queries; None, after as many, for no group.

    Args:
        group_id: of the child, or None.
        states: every source's, as `source_states` gave them on this connection.
    """
    wanted = {"group_id": _NOBODY if group_id is None else group_id}
    row = _SPEAKER.row(conn, wanted)
    totals = _TOTALS.row(conn, wanted)
    flags = [found.flags for found in _FLAGS.rows(conn, wanted)]
    names = [found.source for found in _SOURCES.rows(conn, wanted)]
    if row is None:
        return None
    return Child(
        is_current=row.status == "CURRENT",
        is_shielded=totals.shield != NONE,
        service=row.service,
        in_hours=row.in_hours,
        out_of_hours=row.out_of_hours,
        last_contact=totals.seen,
        flags=tuple({Flag(*parts): None for text in flags for parts in json.loads(text)}),
        sources={name: states[name] for name in names if name in states},
    )


def _of_child(*columns: Any) -> Select[Any]:
    """Select columns over the rows in force of one child."""
    return (
        select(*columns)
        .select_from(member.join(record, record.c.id == member.c.record_id))
        .where(member.c.load_id == _NEWEST, member.c.group_id == bindparam("group_id"))
    )


_NEWEST = select(func.max(load.c.id)).where(load.c.state == DONE).scalar_subquery()


# Not joined, but looked up for each row that holds a tag: where an engine may choose where to begin, it goes
# through all the children that there are.
_GROUP_OF = (
    select(member.c.group_id)
    .join(record, record.c.id == member.c.record_id)
    .where(member.c.load_id == _NEWEST, member.c.record_id == tag.c.record_id)
    .correlate(tag)
    .scalar_subquery()
)
_SET = (
    select(tag_set.c.id)
    .where(tag_set.c.collection == bindparam("collection"), tag_set.c.epoch == bindparam("epoch"))
    .scalar_subquery()
)


def _groups(place: int) -> Select[Any]:
    """Select the first children that hold a tag, each with its first record and the key's place there.

    In another record of the same child that key may stand at another place.
    """
    is_asked = (tag.c.set_id == _SET) & (tag.c.tag == bindparam(f"tag_{place}"))
    held = select(_GROUP_OF.label("group_id"), tag.c.record_id).where(is_asked).subquery()
    groups = (
        select(held.c.group_id, func.min(held.c.record_id).label("first"))
        .where(held.c.group_id.is_not(None))
        .group_by(held.c.group_id)
        .order_by(held.c.group_id)
        .limit(MAX_GROUPS)
        .subquery()
    )
    ordinal = select(tag.c.ordinal).where(is_asked, tag.c.record_id == groups.c.first).scalar_subquery()
    return select(literal(place).label("place"), groups.c.group_id, groups.c.first, ordinal.label("ordinal"))


_EACH = union_all(*map(_groups, range(MAX_REVEALS))).subquery()
_HOLDERS = Ready(
    select(_EACH, record.c.id, record.c.source, record.c.person_ref, record.c.person, member.c.shield)
    .select_from(_EACH)
    .join(record, record.c.id == _EACH.c.first)
    .join(member, (member.c.record_id == record.c.id) & (member.c.load_id == _NEWEST))
    .order_by(_EACH.c.place, _EACH.c.group_id)
)
_SPEAKER = Ready(
    _of_child(*(record.c[name] for name in ("status", "service", "in_hours", "out_of_hours")))
    # "CURRENT" sorts before "PAST", and FORMER behind both.
    .order_by(record.c.status, record.c.last_contact.desc(), record.c.id.desc())
    .limit(1)
)
# Looked up for each row as well: the index that leads to a child does not hold shields, and an engine that
# would rather not look beside it goes through all the rows there are.
_again = member.alias("again")
_SHIELD_OF = (
    select(_again.c.shield)
    .where(_again.c.load_id == member.c.load_id, _again.c.record_id == member.c.record_id)
    .scalar_subquery()
)
_TOTALS = Ready(
    _of_child(func.max(record.c.last_contact).label("seen"), func.max(_SHIELD_OF).label("shield"))
)
_FLAGS = Ready(_of_child(record.c.flags).distinct().limit(MAX_FLAG_SETS))
_SOURCES = Ready(_of_child(record.c.source).distinct())
