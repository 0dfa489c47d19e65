"""How persons in force were written before, kept under their present records while old entries can be met.

Sees:     persons in the clear.
Refuses:  to keep what a person was called who has left, or whose tags a stricter shield takes away; and what
          is so unlike the person now that the source may have given its id to another child.
Promises: a question in the old writing finds the child as before. A row's short tags stay in the catalogue
          until their epoch ends; with nothing behind them, they would hide the child from who meets them.
          A former writing joins no records, says nothing in an answer, and is tagged in no further epoch.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, delete, exists, insert, or_, select, update

from elsewhere.person.identity import Person
from elsewhere.person.names import family_words, first_names
from node.caseload.shields import SHIELD_IDENTITY, strictest
from node.store.caseload import FORMER, load_set, member, record
from node.store.engine import Store

_BATCH = 1000
_AT_ONCE = 20_000  # in memory; the coming records are gone through once for so many
_held = member.alias("held")


@dataclass(frozen=True, slots=True)
class Loads:
    """The load in force, and the one that is being staged."""

    store: Store
    before: int
    coming: int


def keep_former(loads: Loads, source: str, today: datetime.date) -> None:
    """Put what a source's persons were called until now beside their coming records, where that differs."""
    coming = exists().where(member.c.load_id == loads.coming, member.c.record_id == record.c.id)
    query = (
        select(*record.c, _held.c.shield, _held.c.kept_until)
        .join(_held, (_held.c.record_id == record.c.id) & (_held.c.load_id == loads.before))
        .where(record.c.source == source, ~coming)
        .where(or_(_held.c.kept_until.is_(None), _held.c.kept_until > today))
        .order_by(_held.c.record_id)
    )
    for gone in _in_parts(loads, query, _held.c.record_id):
        now: dict[tuple[str, str], list[Person]] = {}
        for row in _present(loads, gone, record.c.person):
            now.setdefault((row.source, row.person_ref), []).append(Person.from_canonical(row.person))
        kept = [row for row in gone if _is_former(row.person, now.get((row.source, row.person_ref), ()))]
        for start in range(0, len(kept), _BATCH):
            _put(loads, kept[start : start + _BATCH])


def settle_former(loads: Loads) -> None:
    """Give former writings the child and shield of their persons' records, and drop those that are over."""
    has_sets = exists().where(load_set.c.load_id == record.c.load_id)
    query = (
        select(member.c.record_id.label("id"), record.c.source, record.c.person_ref, member.c.kept_until)
        .add_columns(member.c.shield, _held.c.shield.label("was"))
        .add_columns(or_(record.c.load_id == loads.coming, has_sets).label("is_tagged"))
        .join(record, record.c.id == member.c.record_id)
        .outerjoin(_held, (_held.c.record_id == record.c.id) & (_held.c.load_id == loads.before))
        .where(member.c.load_id == loads.coming, record.c.status == FORMER)
        .order_by(member.c.record_id)
    )
    columns = (member.c.group_id, member.c.shield, member.c.kept_until)
    for part in _in_parts(loads, query, member.c.record_id):
        now: dict[tuple[str, str], list[Any]] = {}
        for row in _present(loads, part, *columns):
            now.setdefault((row.source, row.person_ref), []).append(row)
        settled = [_settle(row, now.get((row.source, row.person_ref), ())) for row in part]
        over = [row.id for row, found in zip(part, settled, strict=True) if found is None]
        _write(loads, over, [found for found in settled if found is not None])


def _settle(row: Any, records: Sequence[Any]) -> dict[str, object] | None:
    """What a former writing's member row is to say; None: it is not kept."""
    if not records or not row.is_tagged:
        return None
    shield = strictest(one.shield for one in records)
    was = row.was or row.shield
    if shield == SHIELD_IDENTITY or strictest((shield, was)) != was:
        return None  # what the tags of a laxer time tell is to be told no longer
    days = [one.kept_until for one in (row, *records) if one.kept_until is not None]
    return {
        "of": row.id,
        "group_id": min(one.group_id for one in records),
        "shield": shield,
        # Never longer than any record of the person.
        "kept_until": min(days, default=None),
    }


def _write(loads: Loads, over: Sequence[int], settled: Sequence[dict[str, object]]) -> None:
    """Take out the member rows of some, and write those of others."""
    mine = member.c.load_id == loads.coming
    for start in range(0, len(over), _BATCH):
        with loads.store.write() as conn:
            conn.execute(delete(member).where(mine, member.c.record_id.in_(over[start : start + _BATCH])))
    for start in range(0, len(settled), _BATCH):
        with loads.store.write() as conn:
            conn.execute(
                update(member).where(mine, member.c.record_id == bindparam("of")),
                list(settled[start : start + _BATCH]),
            )


def _put(loads: Loads, rows: Sequence[Any]) -> None:
    """Stage former writings: those that are such already as they are, others as copies that say nothing."""
    fresh = [row for row in rows if row.status != FORMER]
    ids = [row.id for row in rows if row.status == FORMER]
    with loads.store.write() as conn:
        if fresh:
            made = insert(record).returning(record.c.id, sort_by_parameter_order=True)
            ids += conn.execute(made, [_as_former(row, loads.coming) for row in fresh]).scalars()
        rows = [row for row in rows if row.status == FORMER] + fresh
        values = [
            {
                "load_id": loads.coming,
                "record_id": n,
                "group_id": n,
                "shield": row.shield,
                "kept_until": row.kept_until,
            }
            for n, row in zip(ids, rows, strict=True)
        ]
        conn.execute(insert(member), values)


def _as_former(row: Any, load_id: int) -> dict[str, object]:
    """A record that holds what the person was called, and nothing else that is answered."""
    kept = {name: getattr(row, name) for name in ("source", "person_ref", "person", "service")}
    return {
        **kept,
        "load_id": load_id,
        "digest": hashlib.sha256(b"former\0" + row.digest).digest(),  # no row of an export is this record
        "status": FORMER,
        "flags": "[]",
        "in_hours": "",
        "out_of_hours": "",
    }


def _in_parts(loads: Loads, query: Select[Any], key: Any) -> Iterator[list[Any]]:
    """Yield what a query gives, ordered by its key, in parts; changes in between are welcome."""
    last = 0
    while True:
        with loads.store.read() as conn:
            part = list(conn.execute(query.where(key > last).limit(_AT_ONCE)))
        if not part:
            return
        yield part
        last = part[-1].id


def _present(loads: Loads, of: Collection[Any], *columns: Any) -> Iterator[Any]:
    """Yield columns of the coming records of the persons of some rows."""
    wanted = {(row.source, row.person_ref) for row in of}
    query = (
        select(record.c.source, record.c.person_ref, *columns)
        .join(member, (member.c.record_id == record.c.id) & (member.c.load_id == loads.coming))
        .where(record.c.source.in_({name for name, _ in wanted}), record.c.status != FORMER)
    )
    with loads.store.read() as conn:
        for row in conn.execution_options(yield_per=_BATCH).execute(query):
            if (row.source, row.person_ref) in wanted:
                yield row


def _is_former(was: bytes, now: Sequence[Person]) -> bool:
    """Whether a writing is of the same child as others are, and has something that none of them has."""
    old = Person.from_canonical(was)
    return any(_are_alike(old, one) for one in now) and not any(_says_all(one, old) for one in now)


def _says_all(one: Person, other: Person) -> bool:
    """Whether a person's keys are also found by all that another is written as."""
    same = (one.birth_date, one.nhs_number, one.upn, one.unborn)
    return (
        same == (other.birth_date, other.nhs_number, other.upn, other.unborn)
        and set(other.names) <= set(one.names)
        and set(other.postcodes) <= set(one.postcodes)
    )


def _are_alike(one: Person, other: Person) -> bool:
    """Whether two writings under one id may be of one child: they share more than a family name."""
    for mine, theirs in ((one.nhs_number, other.nhs_number), (one.upn, other.upn)):
        if mine and mine == theirs:
            return True
    if one.unborn is not None and other.unborn is not None and one.unborn.due_date == other.unborn.due_date:
        return True
    shared = _words(one) & _words(other)
    has_same_day = one.birth_date is not None and one.birth_date == other.birth_date
    return len(shared) >= (1 if has_same_day else 2)


def _words(person: Person) -> set[str]:
    """The words of all its names, whichever part they stand in."""
    return {word for name in person.names for word in (*first_names(name.given), *family_words(name.family))}
