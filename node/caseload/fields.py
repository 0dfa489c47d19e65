"""How often the fields of an export are filled, and how often what stands there can be used.

Sees:     persons in the clear, to count them.
Refuses:  an export in which the dates of a field cannot be read, or which has lost a field: its children
          would be loaded, and found by nobody.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from elsewhere.person.identifiers import is_nhs_number, is_temporary_upn, is_upn
from elsewhere.person.identity import Person
from elsewhere.person.names import family_words, first_names
from elsewhere.person.places import read_postcode
from node.errors import LoadRefused
from node.store.caseload import FORMER, member, record

SAMPLE = 2000  # records held that are looked at: enough to tell most from few
TOLERATED = 1  # one odd value refuses no load
_DATES = ("person.birth_date", "unborn.mother_birth_date", "unborn.due_date", "record.last_contact")


def person_fields(person: Person) -> dict[str, bool]:
    """The fields of a person that are filled, by their names in a mapping, and whether each can be used."""
    found: dict[str, bool] = {}
    name = person.names[0] if person.names else None
    if name is not None and name.given:
        found["person.given"] = bool(first_names(name.given))
    if name is not None and name.family:
        found["person.family"] = bool(family_words(name.family))
    if person.nhs_number:
        found["person.nhs_number"] = is_nhs_number(person.nhs_number)
    if person.upn:
        found["person.upn"] = is_upn(person.upn) or is_temporary_upn(person.upn)
    if person.postcodes:
        read = [read_postcode(text) for text in person.postcodes]
        found["person.postcode"] = any(code is not None and code.is_usable for code in read)
    unborn = person.unborn
    for key, day in (
        ("person.birth_date", person.birth_date),
        ("unborn.mother_birth_date", unborn.birth_date if unborn else None),
        ("unborn.due_date", unborn.due_date if unborn else None),
    ):
        if day is not None:
            found[key] = day.date is not None
    return found


@dataclass(slots=True)
class FieldCounts:
    """Counts over the records of one load."""

    rows: int = 0
    of_all: int = 0  # where only a part was looked at: how many there are
    filled: Counter[str] = field(default_factory=Counter)
    usable: Counter[str] = field(default_factory=Counter)

    def add(self, fields: Iterable[tuple[str, bool]]) -> None:
        """Count one row by its filled fields."""
        self.rows += 1
        for name, is_usable in fields:
            self.filled[name] += 1
            self.usable[name] += is_usable


def check_dates(counts: FieldCounts) -> None:
    """Check that most dates of each field can be read.

    Raises:
        LoadRefused: more than half of the filled cells of a field cannot, and more than TOLERATED.
    """
    for name, filled in sorted(counts.filled.items()):
        odd = filled - counts.usable[name]
        if name in _DATES and odd > TOLERATED and odd * 2 > filled:
            raise LoadRefused(
                f"expected {name} in the mapping's date_formats; {odd} of {filled} filled cells cannot be "
                "read: add their format, or to empty what stands there in place of a date"
            )


def check_kept(counts: FieldCounts, held: FieldCounts) -> None:
    """Check that what most records held have has not gone from those that come.

    Raises:
        LoadRefused: a field that can be used in most of the records held can be in less than half as many,
            and in less than half as large a share, of those that come; and more than TOLERATED lost it.
    """
    for name, usable in sorted(held.usable.items()):
        has, was = counts.usable[name], usable / held.rows
        had, now = was * held.of_all, has / max(counts.rows, 1)
        # Rows that were not there before and lack it are no loss.
        if was > 0.5 and now * 2 < was and has * 2 < had and had - has > TOLERATED:
            raise LoadRefused(
                f"expected {name} in about as many records as before; {was:.0%} of those held have one that "
                f"can be used, {has} of the {counts.rows} that came: is the column empty or in another form? "
                "If it is right, allow fewer"
            )


def held_fields(conn: Connection, source: str, load_id: int) -> FieldCounts:
    """Count over at most SAMPLE records of a source in force with a load, in the order of their digests."""
    query = (
        select(record.c.person, record.c.last_contact)
        .join(member, (member.c.record_id == record.c.id) & (member.c.load_id == load_id))
        .where(record.c.source == source, record.c.status != FORMER)
        .order_by(record.c.digest)
        .limit(SAMPLE)
    )
    in_force = (member.c.record_id == record.c.id) & (member.c.load_id == load_id)
    everything = select(func.count()).select_from(record.join(member, in_force))
    of_source = everything.where(record.c.source == source, record.c.status != FORMER)
    counts = FieldCounts(of_all=conn.execute(of_source).scalar_one())
    for row in conn.execute(query):
        fields: Mapping[str, bool] = person_fields(Person.from_canonical(row.person))
        counts.add([*fields.items(), *contact_field(row.last_contact, ())])
    return counts


def contact_field(seen: datetime.date | None, notes: tuple[str, ...]) -> list[tuple[str, bool]]:
    """The field of the last contact, if it is filled."""
    return [("record.last_contact", "last_contact.unreadable" not in notes)] if seen or notes else []
