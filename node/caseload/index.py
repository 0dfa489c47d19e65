"""Reads of the caseload: the records behind a tag, the rest of their group, the short tags of a catalogue.

Sees:     persons in the clear; a `CaseRecord` does not print them.
Promises: every function reads the newest complete load and nothing else; call several on one `Store.read()`
          connection for one consistent view.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, func, select

from elsewhere.database.ready import Ready
from elsewhere.lookup import Flag
from elsewhere.matchkeys import version
from elsewhere.person.identity import Person
from node.caseload.shields import NONE
from node.store.caseload import DONE, entry, load, member, record, source, tag, tag_set


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


@dataclass(frozen=True, slots=True)
class SourceState:
    """How fresh one source is; times in seconds since 1970 UTC."""

    name: str
    read_utc: int
    loaded_utc: int
    max_age_days: int
    rows: int
    refused: int


def current_load(conn: Connection) -> int:
    """Give the id of the newest complete load, 0 before the first: it rises with every change."""
    newest = select(func.max(load.c.id)).where(load.c.state == DONE)
    return conn.execute(newest).scalar_one() or 0


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


def source_states(conn: Connection) -> dict[str, SourceState]:
    """Give every loaded source by name."""
    return {row.name: SourceState(*row) for row in _SOURCES.rows(conn)}


def record_count(conn: Connection) -> int:
    """Count the records in force, shielded ones too."""
    newest = select(func.count()).select_from(member).where(member.c.load_id == current_load(conn))
    return conn.execute(newest).scalar_one()


def is_outdated(conn: Connection) -> bool:
    """Tell whether records in force were tagged by another version of the match keys.

    Their ordinals then point at other keys, and nothing of them can be redeemed: load their sources again.
    """
    # A load leaves no record in force that is tagged by other rules than its own.
    rules = conn.execute(select(load.c.rules).where(load.c.id == current_load(conn))).scalar_one_or_none()
    return rules is not None and rules != version()


def short_tags(conn: Connection, collection: str, epoch: int) -> NDArray[np.uint64]:
    """Give what the catalogue of a collection and epoch is to show, sorted, without repeats.

    Includes tags of records that have been removed since: they leave at the end of the epoch. Each is the
    first 8 bytes of a tag as a big-endian number, 8 bytes of memory apiece.
    """
    return _shorts(conn, collection, epoch, entry.c.load_id <= current_load(conn))


def short_tags_since(conn: Connection, collection: str, epoch: int, load_id: int) -> NDArray[np.uint64]:
    """Give the short tags that came after a load, sorted; with 0, all of them.

    Args:
        load_id: what `current_load` gave when the caller last looked.
    """
    newer = (entry.c.load_id > load_id) & (entry.c.load_id <= current_load(conn))
    return _shorts(conn, collection, epoch, newer)


def _shorts(conn: Connection, collection: str, epoch: int, which: ColumnElement[bool]) -> NDArray[np.uint64]:
    """Read entries in the order of their key into one array."""
    query = (
        select(entry.c.short)
        .join(tag_set, tag_set.c.id == entry.c.set_id)
        .where(tag_set.c.collection == collection, tag_set.c.epoch == epoch, which)
        .order_by(entry.c.short)
    )
    rows = conn.execution_options(yield_per=65_536).execute(query)
    parts = [np.frombuffer(b"".join(part), dtype=">u8") for part in _partitions(rows.scalars().partitions())]
    return np.concatenate(parts).astype(np.uint64) if parts else np.empty(0, dtype=np.uint64)


def _partitions(parts: Iterator[object]) -> Iterator[list[bytes]]:
    """Type what the driver gives back for a column of bytes."""
    for part in parts:
        assert isinstance(part, list)  # noqa: S101 - for the type checker
        yield part


@functools.cache
def _tag_query() -> Select[*tuple[Any, ...]]:
    """The statement of `find_tag`, built once: a question makes it several times."""
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


@functools.cache
def _group_query() -> Select[*tuple[Any, ...]]:
    """The statement of `records_of_group`."""
    return _records().where(member.c.group_id == bindparam("group_id")).order_by(record.c.id)


_SOURCES = Ready(
    select(
        *(source.c[name] for name in ("name", "read_utc", "loaded_utc", "max_age_days", "rows", "refused"))
    ).order_by(source.c.name)
)


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
