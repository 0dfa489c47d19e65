"""Reads of the caseload: how much it holds, how fresh it is, and the short tags of a catalogue.

Sees:     counts, ages and short tags; no person.
Promises: every function reads the newest complete load and nothing else; call several on one `Store.read()`
          connection for one consistent view.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, func, select

from elsewhere.database.ready import Ready
from node.store.caseload import DONE, FORMER, entry, load, member, record, source, tag_set


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


def source_states(conn: Connection) -> dict[str, SourceState]:
    """Give every loaded source by name."""
    return {row.name: SourceState(*row) for row in _SOURCES.rows(conn)}


def record_count(conn: Connection) -> int:
    """Count the records in force, shielded ones too; what a person was called before is none."""
    newest = select(func.count()).select_from(member).where(member.c.load_id == current_load(conn))
    in_force = newest.join(record, record.c.id == member.c.record_id).where(record.c.status != FORMER)
    return conn.execute(in_force).scalar_one()


def short_tags_since(conn: Connection, collection: str, epoch: int, load_id: int) -> NDArray[np.uint64]:
    """Give what the catalogue of a collection and epoch is to show beyond a load, sorted, without repeats.

    Includes tags of records that have been removed since: they leave at the end of the epoch. Each is the
    first 8 bytes of a tag as a big-endian number, 8 bytes of memory apiece.

    Args:
        load_id: what `current_load` gave when the caller last looked; with 0, all of them.
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


_SOURCES = Ready(
    select(
        *(source.c[name] for name in ("name", "read_utc", "loaded_utc", "max_age_days", "rows", "refused"))
    ).order_by(source.c.name)
)
