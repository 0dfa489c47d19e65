"""What of a person will not be used, and why: said to the asker, never in the way of asking.

Promises: messages name fields and reasons, never a value; the order is that of the fields.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

from elsewhere.person.dates import PartialDate
from elsewhere.person.identifiers import is_nhs_number, is_temporary_upn, is_upn
from elsewhere.person.identity import Name, Person, Unborn
from elsewhere.person.names import family_words, first_names
from elsewhere.person.places import PostcodeKind, read_postcode

# Care leavers are owed help to 25; older people are asked about by mistake more often than not.
_OLDEST_YEARS = 26
_LONGEST_PREGNANCY_DAYS = 300


@dataclass(frozen=True, slots=True)
class Note:
    """One remark: `code` is stable, `field` is the field's name, `message` carries no value."""

    code: str
    field: str
    message: str


def check(person: Person, *, today: datetime.date) -> tuple[Note, ...]:
    """Say what of a person will not be used, or looks wrong although it is used.

    Args:
        today: the date at the asker's, to tell future dates.
    """
    notes = [*_on_names(person.names, "names")] if person.names or person.unborn is None else []
    if person.birth_date is not None or person.unborn is None:
        notes += _on_birth_date(person.birth_date, today, "birth_date")
    notes += _on_postcodes(person.postcodes)
    if person.nhs_number and not is_nhs_number(person.nhs_number):
        notes.append(_bad_nhs_number("nhs_number"))
    if person.upn and is_temporary_upn(person.upn):
        notes.append(
            Note("upn.temporary", "upn", "this is a temporary UPN, which will be replaced; it is not used")
        )
    elif person.upn and not is_upn(person.upn):
        notes.append(Note("upn.invalid", "upn", "the check letter does not agree; the UPN is not used"))
    if person.unborn is not None:
        notes += _on_unborn(person.unborn, person.birth_date, today)
    return tuple(notes)


def _on_names(names: tuple[Name, ...], field: str) -> Iterator[Note]:
    usable = [name for name in names if name.use != "anonymous"]
    if len(usable) < len(names):
        yield Note("name.anonymous", field, "a name marked anonymous is not used")
    firsts = [first_names(name.given) for name in usable]
    if any(name.given and not first for name, first in zip(usable, firsts, strict=True)):
        yield Note("name.placeholder", field, "a first name that only fills the field is not used")
    if not any(firsts):
        yield Note("name.no_first", field, "there is no first name to go by: at most a possible match")
    elif all(len(first[0]) == 1 for first in firsts if first):
        yield Note("name.initial", field, "the first name is an initial only; fewer records can be found")
    if not any(family_words(name.family) for name in usable):
        yield Note("name.no_family", field, "there is no family name to go by; fewer records can be found")


def _on_birth_date(date: PartialDate | None, today: datetime.date, field: str) -> Iterator[Note]:
    if date is None:
        yield Note("birth_date.missing", field, "there is no birth date; fewer records can be found")
    elif date.date is None:
        yield Note("birth_date.unreadable", field, "what was written is no date; it is not used")
    elif not date.has_year:
        yield Note("birth_date.unknown", field, "not even the year is known; the date is not used")
    elif not date.has_month:
        yield Note("birth_date.year_only", field, "only the year is known; the date is not used")
    elif not date.is_exact:
        yield Note(
            "birth_date.no_day",
            field,
            "the day is not known; month and year are used, and the usual stand-ins",
        )
    elif date.date > today:
        yield Note("birth_date.future", field, "the birth date lies in the future; it is used as written")
    elif date.date.year < today.year - _OLDEST_YEARS:
        yield Note("birth_date.adult", field, "this is an adult's birth date; it is used as written")
    elif (date.date.month, date.date.day) == (1, 1):
        yield Note("birth_date.first_january", field, "1 January is often a stand-in; it is used as written")


def _on_postcodes(postcodes: tuple[str, ...]) -> Iterator[Note]:
    reasons = {
        PostcodeKind.PSEUDO: Note(
            "postcode.pseudo", "postcodes", "a stand-in for having no address is not used"
        ),
        PostcodeKind.MALFORMED: Note(
            "postcode.malformed", "postcodes", "this is no postcode; it is not used"
        ),
        PostcodeKind.FOREIGN: Note(
            "postcode.foreign",
            "postcodes",
            "not a British postcode; it is compared as it stands, letter by letter",
        ),
    }
    seen = dict.fromkeys(code.kind for code in map(read_postcode, postcodes) if code)
    yield from (reasons[kind] for kind in seen if kind in reasons)


def _on_unborn(unborn: Unborn, birth_date: PartialDate | None, today: datetime.date) -> Iterator[Note]:
    if unborn.nhs_number and not is_nhs_number(unborn.nhs_number):
        yield _bad_nhs_number("unborn.nhs_number")
    due = unborn.due_date or birth_date
    if due is None or not due.has_month:
        yield Note(
            "unborn.no_due_date", "unborn.due_date", "without a due date nothing of the mother is used"
        )
    elif unborn.due_date and due.date and (due.date - today).days > _LONGEST_PREGNANCY_DAYS:
        yield Note(
            "unborn.due_late", "unborn.due_date", "the due date is too far ahead; it is used as written"
        )
    has_name = any(first_names(name.given) for name in unborn.names)
    has_date = unborn.birth_date is not None and unborn.birth_date.has_month
    if not unborn.nhs_number and not (has_name and has_date):
        yield Note(
            "unborn.no_mother", "unborn", "the mother needs an NHS number, or a first name and a birth date"
        )


def _bad_nhs_number(field: str) -> Note:
    return Note("nhs_number.invalid", field, "the check digit does not agree; the number is not used")
