"""One row of an export -> one checked record, or the code that says why not.

Sees:     a child's details in the clear. Codes and counts leave this module for reports; values never do.
Refuses:  a row without person id, or without anything to find the child by; an unknown status; an unknown
          shield, as it must not be loaded unshielded; texts that no record can hold.
Promises: odd values never refuse a row: they are kept as written, noted by code, and used for no match key.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from elsewhere.errors import PersonMalformed
from elsewhere.lookup import SENTENCE_CHARACTERS
from elsewhere.person.dates import PartialDate, parse_date
from elsewhere.person.identifiers import is_nhs_number, is_temporary_upn, is_upn
from elsewhere.person.identity import Name, Person, Unborn
from elsewhere.person.names import family_words, first_names
from elsewhere.person.places import read_postcode
from node.caseload.fields import contact_field, person_fields
from node.caseload.mapping import Cells, SourceMapping
from node.caseload.periods import kept_until
from node.caseload.shields import NONE, strictest

MAX_REF = 200
# What a CSV export writes behind a date: "T00:00:00Z", " 00:00", " 12:00:00 AM", " 00:00:00.000 +01:00".
_TIME = re.compile(
    r"[T ]\d{1,2}[:.]\d{2}([:.]\d{2}([.,]\d+)?)?( ?[AaPp]\.?[Mm]\.?)?( ?(Z|[+-]\d{2}:?\d{2}))?$"
)


class RowError(Exception):
    """Why one row is not loaded. Never leaves the load: its report counts codes.

    `person_ref` and `is_shielded` are set where a sibling row must not stand in for this one: see `load`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        self.person_ref = ""
        self.is_shielded = False


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One good row. Prints nothing of the child."""

    person_ref: str = field(repr=False)
    person: bytes = field(repr=False)  # canonical
    service: str
    status: str
    last_contact: datetime.date | None
    flags: str  # JSON list of [code, start, end]
    shield: str | None  # what the row states; None: nothing
    in_hours: str
    out_of_hours: str
    notes: tuple[str, ...]
    kept_until: datetime.date | None  # the first day on which it may not be kept
    fields: tuple[tuple[str, bool], ...] = field(repr=False)  # those filled, and whether each can be used

    @property
    def digest(self) -> bytes:
        """SHA-256 of all that is stored of the row, so that an unchanged one is recognised."""
        contact = self.last_contact.isoformat() if self.last_contact else None
        said = [self.person_ref, self.service, self.status, contact, self.flags]
        said += [self.in_hours, self.out_of_hours]
        return hashlib.sha256(json.dumps(said).encode() + b"\0" + self.person).digest()


class RowReader:
    """Reads rows of one header by one mapping. Holds no row."""

    def __init__(self, mapping: SourceMapping, header: Sequence[str], today: datetime.date) -> None:
        """Resolve columns once.

        Args:
            header: holds every column of the mapping once (`sources.check_columns`).
            today: dates after it are noted.
        """
        self._map, self._today = mapping, today
        self._at = {name: header.index(name) for name in mapping.columns()}
        self._width = len(header)
        self._empty = frozenset(text.strip() for text in mapping.source.empty)
        self._formats = tuple(mapping.source.date_formats)

    def read(self, fields: Sequence[str]) -> CaseRow:
        """Read one row.

        Raises:
            RowError: `.code` says why.
        """
        if len(fields) != self._width:
            raise RowError("row.ragged")
        person_ref = self._one(fields, self._map.person.id)
        try:
            return self._read(fields, person_ref)
        except PersonMalformed:
            raise self._refusal(fields, person_ref, "person.malformed") from None
        except RowError as refusal:
            raise self._refusal(fields, person_ref, refusal.code) from None

    def _read(self, fields: Sequence[str], person_ref: str) -> CaseRow:
        if not person_ref:
            raise RowError("person.id_missing")
        if len(person_ref) > MAX_REF or not person_ref.isprintable():
            raise RowError("person.malformed")
        shield = self._shield(fields)
        person = self._person(fields)
        filled = person_fields(person)
        notes = _person_notes(person, filled, self._today)
        if person.unborn is None and not _can_be_found(person):
            raise RowError("person.empty")
        record = self._map.record
        last_contact, contact_note = self._last_contact(fields)
        flags, flag_notes = self._flags(fields)
        status = self._status(fields)
        return CaseRow(
            person_ref=person_ref,
            person=person.canonical(),
            service=self._text(fields, record.service),
            status=status,
            last_contact=last_contact,
            flags=json.dumps(flags),
            shield=shield,
            in_hours=self._text(fields, record.in_hours),
            out_of_hours=self._text(fields, record.out_of_hours),
            notes=(*notes, *contact_note, *flag_notes),
            kept_until=kept_until(
                self._map.keep, person.birth_date, last_contact, is_current=status == "CURRENT"
            ),
            fields=(*filled.items(), *contact_field(last_contact, contact_note)),
        )

    def _refusal(self, fields: Sequence[str], person_ref: str, code: str) -> RowError:
        """Complete a refusal: does the row state, or try to state, a shield?"""
        refusal = RowError(code)
        refusal.person_ref = person_ref
        try:
            refusal.is_shielded = self._shield(fields) not in (None, NONE)
        except RowError:
            refusal.is_shielded = True
        return refusal

    def _cell(self, fields: Sequence[str], column: str) -> str:
        """One cell without surrounding space, "" for what the mapping calls empty."""
        text = fields[self._at[column]].strip()
        return "" if text in self._empty else text

    def _many(self, fields: Sequence[str], cells: Cells | None) -> list[str]:
        """Every filled value of a field, in the order of its columns."""
        if cells is None:
            return []
        if cells.text:
            return [cells.text]
        found = [self._cell(fields, column) for column in cells.columns]
        if cells.separator:
            found = [part.strip() for text in found for part in text.split(cells.separator)]
        return [text for text in found if text]

    def _one(self, fields: Sequence[str], cells: Cells | None) -> str:
        """The values of a field as one text, apart by spaces."""
        return " ".join(self._many(fields, cells))

    def _text(self, fields: Sequence[str], cells: Cells | None) -> str:
        """A text that may be answered: one line, as long as an answer can carry."""
        text = self._one(fields, cells)
        if len(text) > SENTENCE_CHARACTERS or not text.isprintable():
            raise RowError("record.text")
        return text

    def _person(self, fields: Sequence[str]) -> Person:
        columns = self._map.person
        birth_date = self._date(fields, columns.birth_date)
        accuracy = self._one(fields, columns.birth_date_accuracy).upper()
        if birth_date is not None and birth_date.date is not None and accuracy:
            birth_date = replace(birth_date, accuracy=accuracy)
        given = [word for text in self._many(fields, columns.given) for word in text.split()]
        whole = Person.of(aliases=[self._one(fields, columns.name)]).names
        names = tuple(replace(name, use="usual") for name in whole)
        names += self._names(given, self._one(fields, columns.family))
        aliases = Person.of(aliases=self._many(fields, columns.aliases)).names
        family = names[0].family if names else ""
        names += tuple(replace(name, family=name.family or family) for name in aliases)
        postcodes = self._many(fields, columns.postcode) + self._many(fields, columns.past_postcodes)
        return Person(
            names=names,
            birth_date=birth_date,
            postcodes=tuple(dict.fromkeys(postcodes)),
            nhs_number=self._one(fields, columns.nhs_number) or None,
            upn=self._one(fields, columns.upn) or None,
            unborn=self._unborn(fields),
        )

    def _unborn(self, fields: Sequence[str]) -> Unborn | None:
        columns = self._map.unborn
        given = self._one(fields, columns.mother_given).split()
        unborn = Unborn(
            names=self._names(given, self._one(fields, columns.mother_family)),
            birth_date=self._date(fields, columns.mother_birth_date),
            nhs_number=self._one(fields, columns.mother_nhs_number) or None,
            due_date=self._date(fields, columns.due_date),
        )
        # A mother without a due date is the parent of a born child, and says nothing about this one.
        return unborn if unborn.due_date is not None and unborn != Unborn(due_date=unborn.due_date) else None

    @staticmethod
    def _names(given: list[str], family: str) -> tuple[Name, ...]:
        return (Name(tuple(given), family),) if given or family else ()

    def _date(self, fields: Sequence[str], cells: Cells | None) -> PartialDate | None:
        return self._read_date(self._one(fields, cells))

    def _read_date(self, text: str) -> PartialDate | None:
        """A date in the mapping's formats; a time after it ("2019-03-07 00:00:00") is cut off."""
        text = " ".join(text.split())
        found = parse_date(text, self._formats)
        if found is not None and found.date is None and (time := _TIME.search(text)):
            again = parse_date(text[: time.start()], self._formats)
            return again if again is not None and again.date is not None else found
        return found

    def _last_contact(self, fields: Sequence[str]) -> tuple[datetime.date | None, tuple[str, ...]]:
        """The day of the last contact; none where it is unreadable or still to come."""
        found = self._date(fields, self._map.record.last_contact)
        if found is None:
            return None, ()
        if found.date is None or not found.is_exact:
            return None, ("last_contact.unreadable",)
        return (None, ("last_contact.future",)) if found.date > self._today else (found.date, ())

    def _status(self, fields: Sequence[str]) -> str:
        status = self._map.record.status
        if status.always:
            return status.always
        text = self._cell(fields, status.column)
        found = status.values.get(text, "") if text else status.blank or status.values.get("", "")
        if not found:
            raise RowError("status.unknown")
        return found

    def _shield(self, fields: Sequence[str]) -> str | None:
        """What the row states; None for nothing, as for an empty cell that the mapping does not list."""
        stated = []
        for shield in self._map.shield:
            text = self._cell(fields, shield.column)
            if text and text not in shield.values:
                raise RowError("shield.unknown")
            stated.append(shield.values.get(text, ""))
        found = strictest(filter(None, stated))
        # Of several columns a silent one may be the one that a shield came from: then nothing is lifted.
        return found if found != NONE or (stated and all(stated)) else None

    def _flags(self, fields: Sequence[str]) -> tuple[list[list[str]], list[str]]:
        """The flags set, as [code, start, end], and notes about those that cannot be told."""
        found: list[list[str]] = []
        notes: list[str] = []
        for flag in self._map.flags:
            text = self._cell(fields, flag.column) if flag.column else ""
            start, end = (self._cell(fields, name) if name else "" for name in (flag.start, flag.end))
            dates = [self._flag_date(written, notes) for written in (start, end)]
            if text and text not in flag.values:
                notes.append("flag.unknown")
            if flag.values.get(text, False) or (not flag.column and start):
                found.append([flag.code, *dates])
        return found, notes

    def _flag_date(self, text: str, notes: list[str]) -> str:
        """ISO 8601, "" for none."""
        found = self._read_date(text)
        if found is not None and not found.is_exact:
            notes.append("flag.date_unreadable")
        return found.date.isoformat() if found is not None and found.date and found.is_exact else ""


def _can_be_found(person: Person) -> bool:
    """Whether a record says anything that a question could meet."""
    has_number = is_nhs_number(person.nhs_number or "") or is_upn(person.upn or "")
    return has_number or any(first_names(name.given) or family_words(name.family) for name in person.names)


def _person_notes(person: Person, filled: Mapping[str, bool], today: datetime.date) -> list[str]:
    """Codes of what will be used for no match key, or looks wrong."""
    notes = []
    date = person.birth_date
    if date is None:
        notes.append("birth_date.missing")
    elif date.date is None:
        notes.append("birth_date.unreadable")
    elif date.date > today:
        notes.append("birth_date.future")
    if not filled.get("person.nhs_number", True):
        notes.append("nhs_number.invalid")
    if person.upn and not is_upn(person.upn):
        notes.append("upn.temporary" if is_temporary_upn(person.upn) else "upn.invalid")
    if not filled.get("person.given"):
        notes.append("given.placeholder" if "person.given" in filled else "given.missing")
    if not filled.get("person.family"):
        notes.append("family.missing")
    read = [read_postcode(text) for text in person.postcodes]
    if any(code is None or not code.is_usable for code in read):
        notes.append("postcode.unusable")
    return notes
