"""One child of the caseload, read in bounded steps however many rows an export has of it.

Sees:     one person in the clear for each tag; of the rest of the child's rows only coded columns.
Promises: the same queries whether or not there is such a child; what grows with a child's rows grows inside
          the database engine, by microseconds a row. An agency that exports a row for each visit must not
          take longer over a child it knows: the gateway would see it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Connection, ScalarSelect, Select, func, select

from elsewhere.lookup import Flag
from elsewhere.matching import GROUP_LIMIT
from elsewhere.person.identity import Person
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
    person: Person | None = field(repr=False)  # None: nobody holds the tag
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


def holders_of(conn: Connection, collection: str, epoch: int, tag_bytes: bytes) -> Holders:
    """Find who holds a tag, in two queries.

    Args:
        collection, epoch: of the key that the tag was made with.
        tag_bytes: 32 bytes.
    """
    first = func.min(record.c.id).label("first")
    query = (
        select(member.c.group_id, first, func.min(tag.c.ordinal).label("ordinal"))
        .select_from(member)
        .join(record, record.c.id == member.c.record_id)
        .join(tag, tag.c.record_id == record.c.id)
        .join(tag_set, tag_set.c.id == tag.c.set_id)
        .where(tag_set.c.collection == collection, tag_set.c.epoch == epoch, tag.c.tag == tag_bytes)
        .where(member.c.load_id == _newest())
        .group_by(member.c.group_id)
        .order_by(member.c.group_id)
        .limit(MAX_GROUPS)
    )
    groups = conn.execute(query).all()
    rows = conn.execute(
        select(record.c.id, record.c.source, record.c.person_ref, record.c.person, member.c.shield)
        .select_from(record)
        .join(member, (member.c.record_id == record.c.id) & (member.c.load_id == _newest()))
        .where(record.c.id.in_([row.first for row in groups] or [_NOBODY]))
        .order_by(record.c.id)
    ).all()
    if not rows:
        return Holders((), (), None, True, 0)
    ordinals = {row.first: row.ordinal for row in groups}
    return Holders(
        groups=tuple(row.group_id for row in groups),
        records=tuple((row.source, row.person_ref) for row in rows),
        person=Person.from_canonical(rows[0].person),
        with_postcode=rows[0].shield == NONE,
        ordinal=ordinals[rows[0].id],
    )


def child_of(conn: Connection, group_id: int | None, states: Mapping[str, SourceState]) -> Child | None:
    """Sum a child up in four queries; None, after as many, for no group.

    Args:
        group_id: of the child, or None.
        states: every source's, as `source_states` gave them on this connection.
    """
    wanted = _NOBODY if group_id is None else group_id
    # "CURRENT" sorts before "PAST".
    order = (record.c.status, record.c.last_contact.desc(), record.c.id.desc())
    row = conn.execute(_rows_of(wanted).order_by(*order).limit(1)).one_or_none()
    totals = conn.execute(
        _of(wanted, func.max(record.c.last_contact).label("seen"), func.max(member.c.shield).label("shield"))
    ).one()
    flags = conn.execute(_of(wanted, record.c.flags).distinct().limit(MAX_FLAG_SETS)).scalars().all()
    names = conn.execute(_of(wanted, record.c.source).distinct()).scalars().all()
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


def _newest() -> ScalarSelect[int]:
    return select(func.max(load.c.id)).where(load.c.state == DONE).scalar_subquery()


def _rows_of(group_id: int) -> Select[Any]:
    columns = ("status", "service", "in_hours", "out_of_hours")
    return _of(group_id, *(record.c[name] for name in columns))


def _of(group_id: int, *columns: Any) -> Select[Any]:
    """Select columns over the rows in force of one child."""
    return (
        select(*columns)
        .select_from(member.join(record, record.c.id == member.c.record_id))
        .where(member.c.load_id == _newest(), member.c.group_id == group_id)
    )
