"""What a store holds, read by queries of the tests' own: an answer may be checked against them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, Select, bindparam, func, select

from elsewhere.lookup import Flag
from elsewhere.person.identity import Person
from node.caseload.index import short_tags_since
from node.caseload.shields import NONE
from node.store.caseload import DONE, load, member, record, tag, tag_set


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """One record in force, and the child (`group_id`) it belongs to. Prints neither person nor source id."""

    id: int
    group_id: int
    source: str
    person_ref: str = field(repr=False)
    person: Person
    service: str
    is_current: bool
    last_contact: date | None
    flags: tuple[Flag, ...]
    shield: str  # the strictest of the group: NONE or SHIELD_LOCATION; nothing else is ever found by a tag
    in_hours: str
    out_of_hours: str

    @property
    def with_postcode(self) -> bool:
        """What `record_keys(person, with_postcode=...)` takes to give the list that ordinals point into."""
        return self.shield == NONE


def find_tag(conn: Connection, collection: str, epoch: int, tag_bytes: bytes) -> list[tuple[CaseRecord, int]]:
    """Find the records in force that hold a tag, each with the ordinal of its match key.

    Args:
        collection: "involvement" or "protected"; another is known nowhere and finds nothing.
        epoch: of the key the tag was made with.
        tag_bytes: the whole tag, 32 bytes.

    Returns:
        Records by id; `record_keys(r.person, with_postcode=r.with_postcode)[ordinal].data` was tagged.
    """
    asked = {"collection": collection, "epoch": epoch, "tag": tag_bytes}
    return [(_to_record(row), row.ordinal) for row in conn.execute(_tag_query(), asked)]


def records_of_group(conn: Connection, group_id: int) -> list[CaseRecord]:
    """Give all records in force of one child, by id, so that an answer speaks for the agency as a whole."""
    return [_to_record(row) for row in conn.execute(_group_query(), {"group_id": group_id})]


def short_tags(conn: Connection, collection: str, epoch: int) -> NDArray[np.uint64]:
    """Give all that the catalogue of a collection and epoch is to show, sorted."""
    return short_tags_since(conn, collection, epoch, 0)


def _tag_query() -> Select[*tuple[Any, ...]]:
    """The statement of `find_tag`."""
    return (
        _records()
        .add_columns(tag.c.ordinal)
        .join_from(record, tag, tag.c.record_id == record.c.id)
        .join_from(tag, tag_set, tag_set.c.id == tag.c.set_id)
        .where(
            tag_set.c.collection == bindparam("collection"),
            tag_set.c.epoch == bindparam("epoch"),
            tag.c.tag == bindparam("tag"),
        )
        .order_by(record.c.id)
    )


def _group_query() -> Select[*tuple[Any, ...]]:
    """The statement of `records_of_group`."""
    return _records().where(member.c.group_id == bindparam("group_id")).order_by(record.c.id)


def _records() -> Select[*tuple[Any, ...]]:
    """Select the columns of a CaseRecord for the records in force."""
    newest = select(func.max(load.c.id)).where(load.c.state == DONE).scalar_subquery()
    return select(
        record.c.id,
        member.c.group_id,
        record.c.source,
        record.c.person_ref,
        record.c.person,
        record.c.service,
        record.c.status,
        record.c.last_contact,
        record.c.flags,
        member.c.shield,
        record.c.in_hours,
        record.c.out_of_hours,
    ).select_from(record.join(member, (member.c.record_id == record.c.id) & (member.c.load_id == newest)))


def _to_record(row: Row[*tuple[Any, ...]]) -> CaseRecord:
    """Turn a row of `_records` into a checked value."""
    return CaseRecord(
        id=row.id,
        group_id=row.group_id,
        source=row.source,
        person_ref=row.person_ref,
        person=Person.from_canonical(row.person),
        service=row.service,
        is_current=row.status == "CURRENT",
        last_contact=row.last_contact,
        flags=tuple(Flag(*parts) for parts in json.loads(row.flags)),
        shield=row.shield,
        in_hours=row.in_hours,
        out_of_hours=row.out_of_hours,
    )
