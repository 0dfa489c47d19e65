"""Writes what a load is to make visible, in small transactions that nobody reads until the switch.

Sees:     persons in the clear, on their way into the store.
Promises: every row written here carries the load's id; no transaction is longer than a batch, so that a
          running node's log is never kept waiting; the switch to the new load is one transaction.
"""

from __future__ import annotations

import datetime
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from elsewhere.canonical import Json
from node.caseload.carried import PersonRef
from node.caseload.index import current_load
from node.caseload.rows import CaseRow
from node.caseload.shields import NONE
from node.caseload.shields_held import Shields, read_shields, write_shields
from node.errors import LoadOvertaken
from node.keys.ring import KeyId, Name
from node.ledger import book
from node.store.caseload import (
    DONE,
    FORMER,
    STAGING,
    load,
    load_set,
    member,
    record,
    source,
    tag_set,
)
from node.store.engine import Store
from node.store.owner import owner_of

BATCH = 1000
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One record that is to be in force, as grouping and tagging need it."""

    id: int
    source: str
    person_ref: str = field(repr=False)
    person: bytes = field(repr=False)
    shield: str  # of its child, once grouped
    was: str | None  # its shield in force until now, under which it is tagged; None: it was not in force
    is_former: bool  # how a person was written before: see `former`


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is kept of a source beside its records; times in seconds since 1970 UTC."""

    format: str
    digest: bytes
    read_utc: int
    loaded_utc: int
    max_age_days: int
    rows: int
    refused: int


@dataclass(frozen=True, slots=True)
class Tagged:
    """How all records in force with a load are tagged."""

    rules: str  # version of the match keys
    set_ids: frozenset[int]


class Staging:
    """One load being prepared beside the one in force."""

    def __init__(self, store: Store, source_name: str | None, now: datetime.datetime) -> None:
        """Register the load, so that it has an id that no other load ever has.

        Args:
            source_name: whose records it replaces; None: nobody's.
        """
        self._store, self._source = store, source_name
        self._now, self._today, self._started = int(now.timestamp()), now.date(), now
        self._began_s = time.monotonic()
        with store.write() as conn:
            self.before, self._whose = current_load(conn), _whose(conn)
            self.tagged_before = _read_tagged(conn, self.before)
            row = insert(load).values(source=source_name, state=STAGING, started_utc=self._now)
            self.id = int(conn.execute(row.returning(load.c.id)).scalar_one())

    def tag_set_ids(self, wanted: Iterable[KeyId]) -> dict[Name, int]:
        """Give the number of each key's set by collection and epoch, new ones too.

        Raises:
            LoadOvertaken: there are tags of another key under one of these names.
        """
        numbers: dict[Name, int] = {}
        with self._store.write() as conn:
            held = {(row.collection, row.epoch): row for row in conn.execute(select(tag_set))}
            for collection, epoch, digest in sorted(wanted):
                found = held.get((collection, epoch))
                if found is not None and found.key_digest != digest:
                    raise LoadOvertaken("expected the keys that this load began with; one was replaced")
                row = insert(tag_set).values(collection=collection, epoch=epoch, key_digest=digest)
                number = found.id if found else conn.execute(row.returning(tag_set.c.id)).scalar_one()
                numbers[collection, epoch] = int(number)
        return numbers

    def held_rows(self) -> int:
        """Count the records of this source in force until now."""
        with self._store.read() as conn:
            return int(conn.execute(self._in_force(func.count())).scalar_one())

    def count(self) -> int:
        """Count the records that are to be in force."""
        query = select(func.count()).select_from(member).where(member.c.load_id == self.id)
        with self._store.read() as conn:
            return conn.execute(query).scalar_one()

    def add(self, rows: Sequence[CaseRow]) -> int:
        """Put rows in force with the coming load: as new records, or as they are held already.

        Returns: how many were held already, word for word.
        """
        by_digest = {row.digest: row for row in rows}
        query = self._in_force(record.c.id, record.c.digest).where(record.c.digest.in_(by_digest))
        with self._store.write() as conn:
            held = {row.digest: int(row.id) for row in conn.execute(query)}
            fresh = [row for row in rows if row.digest not in held]
            ids = {held[row.digest]: row.kept_until for row in by_digest.values() if row.digest in held}
            if fresh:
                made = insert(record).returning(record.c.id, sort_by_parameter_order=True)
                new = conn.execute(made, [self._values(row, row.digest) for row in fresh]).scalars()
                ids |= {n: row.kept_until for n, row in zip(new, fresh, strict=True)}
            conn.execute(insert(member), self._members(ids))
        return len(held)

    def removed_persons(self) -> int:
        """Count the persons of this source that were in force and will not be."""
        coming = (
            select(record.c.person_ref)
            .join(member, (member.c.record_id == record.c.id) & (member.c.load_id == self.id))
            .where(record.c.source == self._source)
        )
        gone = self._in_force(record.c.person_ref).except_(coming).subquery()
        with self._store.read() as conn:
            return conn.execute(select(func.count()).select_from(gone)).scalar_one()

    def carry_others(self) -> None:
        """Keep the records of all other sources in force."""
        of_before = (
            select(member.c.record_id, member.c.kept_until)
            .join(record, record.c.id == member.c.record_id)
            .where(member.c.load_id == self.before)
            .where(or_(member.c.kept_until.is_(None), member.c.kept_until > self._today))
        )
        if self._source is not None:
            of_before = of_before.where(record.c.source != self._source)
        following = of_before.order_by(member.c.record_id).limit(BATCH)
        last = 0
        while True:
            with self._store.write() as conn:
                kept = {
                    row.record_id: row.kept_until
                    for row in conn.execute(following.where(member.c.record_id > last))
                }
                if not kept:
                    return
                conn.execute(insert(member), self._members(kept))
            last = max(kept)

    def withhold(self, person_refs: Iterable[str]) -> int:
        """Take all rows of some persons of this source out again; returns how many rows that were."""
        wanted, gone = frozenset(person_refs), 0
        if not wanted:
            return 0
        for batch in self.candidates():
            ids = [item.id for item in batch if item.source == self._source and item.person_ref in wanted]
            if ids:
                with self._store.write() as conn:
                    theirs = (member.c.load_id == self.id) & member.c.record_id.in_(ids)
                    gone += conn.execute(delete(member).where(theirs)).rowcount
        return gone

    def candidates(self) -> Iterator[list[Candidate]]:
        """Yield the records to be in force by id, a batch at a time; changes in between are welcome.

        Copies made in between are not yielded: they stand for records that were.
        """
        columns = (record.c.source, record.c.person_ref, record.c.person, member.c.shield)
        held = member.alias("held")
        query = (
            select(record.c.id, *columns, held.c.shield.label("was"), record.c.status == FORMER)
            .join(member, (member.c.record_id == record.c.id) & (member.c.load_id == self.id))
            .outerjoin(held, (held.c.record_id == record.c.id) & (held.c.load_id == self.before))
            .order_by(
                member.c.record_id
            )  # its key's order: sorting would read all that follow for each batch
            .limit(BATCH)
        )
        last = 0
        with self._store.read() as conn:
            newest = conn.execute(
                select(func.max(member.c.record_id)).where(member.c.load_id == self.id)
            ).scalar_one()
        query = query.where(member.c.record_id <= (newest or 0))
        while True:
            with self._store.read() as conn:
                batch = [Candidate(*row) for row in conn.execute(query.where(member.c.record_id > last))]
            if not batch:
                return
            yield batch
            last = batch[-1].id

    def set_groups(self, groups: Iterable[tuple[Sequence[int], str]]) -> None:
        """Write groups that have several records or a shield; all others are right from the start."""
        rows = (
            {"of": record_id, "group_id": min(ids), "shield": shield}
            for ids, shield in groups
            for record_id in ids
        )
        mine = (member.c.load_id == self.id) & (member.c.record_id == bindparam("of"))
        for batch in batches(rows, BATCH):
            with self._store.write() as conn:
                conn.execute(update(member).where(mine), batch)

    def clone(self, record_ids: Sequence[int]) -> dict[int, int]:
        """Put copies in the place of records whose tags no longer fit; these hold until the switch.

        Returns: the id of each record's copy.
        """
        if not record_ids:
            return {}
        copied = [column for column in record.c if column.name not in ("id", "load_id")]
        query = select(record.c.id, *copied).where(record.c.id.in_(record_ids)).order_by(record.c.id)
        copy = insert(record).returning(record.c.id, sort_by_parameter_order=True)
        here = (member.c.load_id == self.id) & (member.c.record_id == bindparam("of"))
        with self._store.write() as conn:
            values = [{**row, "load_id": self.id} for row in conn.execute(query).mappings()]
            old = [int(row.pop("id")) for row in values]
            copies = dict(zip(old, conn.execute(copy, values).scalars(), strict=True))
            moved = [{"of": of, "copy": copy_id} for of, copy_id in copies.items()]
            conn.execute(update(member).where(here).values(record_id=bindparam("copy")), moved)
        return copies

    def shields_before(self) -> Shields:
        """Give the shields that stood until now, of every source."""
        with self._store.read() as conn:
            return read_shields(conn)

    def shielded_before(self) -> frozenset[str]:
        """Give the persons of this source whose shield stood until now."""
        return frozenset(ref for name, ref in self.shields_before().standing if name == self._source)

    def present(self, persons: Iterable[PersonRef]) -> frozenset[PersonRef]:
        """Give those of some persons that have a record to be in force."""
        wanted = frozenset(persons)
        held = select(record.c.source, record.c.person_ref).join(
            member, (member.c.record_id == record.c.id) & (member.c.load_id == self.id)
        )
        held = held.where(record.c.status != FORMER)
        found: set[PersonRef] = set()
        for batch in batches(sorted({ref for _, ref in wanted}), BATCH):
            with self._store.read() as conn:
                rows = conn.execute(held.where(record.c.person_ref.in_(batch)))
                found.update((row.source, row.person_ref) for row in rows)
        return wanted & found

    def children_under(self, shield: str) -> list[set[PersonRef]]:
        """Give the persons of each child under a shield, once grouped."""
        query = (
            select(member.c.group_id, record.c.source, record.c.person_ref)
            .join(record, record.c.id == member.c.record_id)
            .where(member.c.load_id == self.id, member.c.shield == shield)
        )
        children: dict[int, set[PersonRef]] = {}
        with self._store.read() as conn:
            for row in conn.execute(query):
                children.setdefault(row.group_id, set()).add((row.source, row.person_ref))
        return list(children.values())

    def switch(self, shields: Shields, tagged: Tagged, facts: SourceFacts | None) -> None:
        """Bring the load into force, all of it at once.

        Args:
            shields: those that hold from now on, of every source.
            tagged: how every record of the load is tagged.
            facts: of the export; None if there was none: a source named is then one no more.

        Raises:
            LoadOvertaken: another load or owner of the store has put this load aside; nothing has changed.
        """
        with self._store.write() as conn:
            done = update(load).where(load.c.id == self.id, load.c.state == STAGING)
            # From now on it is to be found, however long it took.
            finished = self._now + int(time.monotonic() - self._began_s)
            done = done.values(state=DONE, finished_utc=finished, rules=tagged.rules)
            if conn.execute(done).rowcount != 1 or _whose(conn) != self._whose:
                raise LoadOvertaken("expected the store to be left to this load; another has taken it over")
            if shields != read_shields(conn):
                write_shields(conn, shields)
            conn.execute(delete(source).where(source.c.name == self._source))
            if facts is not None:
                values = {name: getattr(facts, name) for name in facts.__slots__}
                conn.execute(insert(source).values(name=self._source, load_id=self.id, **values))
            if tagged.set_ids:
                conn.execute(insert(load_set), [{"load_id": self.id, "set_id": n} for n in tagged.set_ids])
            # So that a store from before this load is told from one after it.
            told: dict[str, Json] = {"source": self._source, "load": self.id}
            told |= {"rows": facts.rows, "refused": facts.refused} if facts is not None else {}
            kind = "source_dropped" if facts is None and self._source is not None else "loaded"
            book.append(conn, book.make_entry(kind, told, self._started))

    def _members(self, kept_until: Mapping[int, datetime.date | None]) -> list[dict[str, object]]:
        """Rows that put records in force with this load, each a child of its own until they are grouped."""
        return [
            {"load_id": self.id, "record_id": n, "group_id": n, "shield": NONE, "kept_until": day}
            for n, day in kept_until.items()
        ]

    def _in_force(self, *columns: ColumnElement[Any]) -> Select[Any]:
        """Select from the records of this source that are in force until now."""
        return (
            select(*columns)
            .select_from(record)
            .join(member, (member.c.record_id == record.c.id) & (member.c.load_id == self.before))
            .where(record.c.source == self._source, record.c.status != FORMER)
        )

    def _values(self, row: CaseRow, digest: bytes) -> dict[str, object]:
        """Lay a row out for the record table."""
        return {
            "load_id": self.id,
            "source": self._source,
            "person_ref": row.person_ref,
            "digest": digest,
            "person": row.person,
            "service": row.service,
            "status": row.status,
            "last_contact": row.last_contact,
            "flags": row.flags,
            "in_hours": row.in_hours,
            "out_of_hours": row.out_of_hours,
        }


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Cut a stream into lists of at most `size`."""
    rest = iter(items)
    while batch := list(itertools.islice(rest, size)):
        yield batch


def _whose(conn: Connection) -> tuple[str, str] | None:
    """Agency and key that a store belongs to; its federation may come to be known meanwhile."""
    found = owner_of(conn)
    return (found.agency, found.signing_key) if found is not None else None


def _read_tagged(conn: Connection, load_id: int) -> Tagged:
    """How the records in force with a load are tagged; nothing for no load."""
    rules = conn.execute(select(load.c.rules).where(load.c.id == load_id)).scalar_one_or_none()
    ids = conn.execute(select(load_set.c.set_id).where(load_set.c.load_id == load_id)).scalars()
    return Tagged(rules or "", frozenset(ids))
