"""Four exports of four different systems: other columns, date forms, delimiters and encodings.

Promises: one shape an agency, as its mapping file in `mappings/` says.
"""

from __future__ import annotations

import csv
import datetime
import io
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from elsewhere.demo.records import Record, Span

_Row = dict[str, str]
# Letters that cp1252 lacks and that do not come apart into a plain letter and an accent.
_PLAIN = str.maketrans({"ł": "l", "Ł": "L", "ı": "i", "ə": "e", "Ə": "E", "đ": "d", "Đ": "D"})


@dataclass(frozen=True, slots=True)
class Shape:
    """How one system writes its export."""

    encoding: str
    delimiter: str
    line_end: str
    row: Callable[[Record], _Row]


class ExportWriter:
    """Writes one agency's file row by row: a header first, then a row a record."""

    first_row = 2  # as a spreadsheet counts: the header is row 1

    def __init__(self, file: BinaryIO, shape: Shape) -> None:
        self._file, self._shape = file, shape
        self._text = io.StringIO(newline="")
        self._write = csv.writer(
            self._text, delimiter=shape.delimiter, lineterminator=shape.line_end
        ).writerow
        self.rows = 0

    def add(self, records: Iterable[Record]) -> None:
        """Write some records, one after another."""
        for record in records:
            row = self._shape.row(record)
            if not self.rows:
                self._write(row)
            self._write(row.values())
            self.rows += 1
        whole = self._text.getvalue()
        if self._shape.encoding == "cp1252" and not whole.isascii():
            whole = _without_far_letters(whole)
        # The mark that opens a utf-8-sig file stands before the header only.
        encoding = self._shape.encoding
        if self._file.tell():
            encoding = encoding.removesuffix("-sig")
        self._file.write(whole.encode(encoding))
        self._text.seek(0)
        self._text.truncate()

    def close(self) -> None:
        """Nothing is left to write."""


def _without_far_letters(text: str) -> str:
    """Write letters that cp1252 lacks without their accents, as a system that cannot hold them does."""
    near = []
    for letter in text.translate(_PLAIN):
        try:
            letter.encode("cp1252")
            near.append(letter)
        except UnicodeEncodeError:
            near.append(unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode())
    return "".join(near)


def _dates(form: str) -> Callable[[datetime.date | None], str]:
    return lambda date: "" if date is None else date.strftime(form)


def _months(date: datetime.date | None) -> str:
    """Day, English month and year, whatever the locale: 05-Mar-2015."""
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return "" if date is None else f"{date.day:02d}-{names[date.month - 1]}-{date.year}"


def _span(span: Span | None) -> tuple[str, str]:
    return (_months(span[0]), _months(span[1])) if span else ("", "")


def _police_row(record: Record) -> _Row:
    """Capital surnames, one column of aliases, day first."""
    date = _dates("%d/%m/%Y")
    return {
        "NOMINAL_REF": f"NS/{record.person_id}",
        "SURNAME": record.family.upper(),
        "FORENAME1": record.given[0] if record.given else "",
        "FORENAME2": " ".join(record.given[1:]),
        "ALIAS": "; ".join(f"{family.upper()}, {given}" for given, family in record.aliases),
        "DOB": date(record.born),
        "ADDR_POSTCODE": "".join(record.postcodes[:1]),
        "PREV_POSTCODES": "; ".join(record.postcodes[1:]),
        "OCC_UNIT": record.service,
        "OCC_STATUS": "OPEN" if record.is_current else "FILED",
        "OCC_DATE": date(record.opened),
        "LAST_UPDATE": date(record.last_contact),
        "MARKER": {"LOCATION": "LOC", "IDENTITY": "PROTECT"}.get(record.shield, ""),
    }


def _nhs_row(record: Record) -> _Row:
    """Dates without separators, numbers in groups, one column of forenames; mothers of expected children."""
    date, number = _dates("%Y%m%d"), record.nhs_number
    mother = record.mother
    return {
        "local_patient_id": f"RX9{record.person_id}",
        "nhs_number": f"{number[:3]} {number[3:6]} {number[6:]}" if number else "",
        "forenames": " ".join(record.given),
        "surname": record.family,
        "known_as": "|".join(f"{given} {family}" for given, family in record.aliases),
        "date_of_birth": date(record.born),
        "dob_accuracy": record.accuracy if record.born else "",
        "postcode": "".join(record.postcodes[:1]).replace(" ", ""),
        "previous_postcode_1": "".join(record.postcodes[1:2]).replace(" ", ""),
        "previous_postcode_2": "".join(record.postcodes[2:3]).replace(" ", ""),
        "expected_delivery": date(mother.due) if mother else "",
        "mother_forename": mother.given if mother else "",
        "mother_surname": mother.family if mother else "",
        "mother_dob": date(mother.born) if mother else "",
        "mother_nhs_number": mother.nhs_number if mother else "",
        "clinic": record.service,
        "referral_state": "A" if record.is_current else "D",
        "referral_date": date(record.opened),
        "last_attended": date(record.last_contact),
        "sensitive": "S" if record.shield else "",
    }


def _care_row(record: Record) -> _Row:
    """Words as headings, months by name, plans and time in care as pairs of dates."""
    plan, in_care = _span(record.plan), _span(record.in_care)
    return {
        "Person ID": record.person_id,
        "First name": record.given[0] if record.given else "",
        "Middle names": " ".join(record.given[1:]),
        "Last name": record.family,
        "Also known as": " / ".join(f"{given} {family}" for given, family in record.aliases),
        "Date of birth": _months(record.born),
        "Home postcode": "".join(record.postcodes[:1]),
        "Previous postcodes": " / ".join(record.postcodes[1:]),
        "NHS no": record.nhs_number,
        "UPN": record.upn,
        "Team": record.service,
        "Case status": "Open" if record.is_current else "Closed",
        "Referred": _months(record.opened),
        "Last visit": _months(record.last_contact),
        "CP plan from": plan[0],
        "CP plan until": plan[1],
        "Looked after from": in_care[0],
        "Looked after until": in_care[1],
        "Restriction": {"LOCATION": "Address withheld", "IDENTITY": "Adopted"}.get(record.shield, "None"),
    }


def _school_row(record: Record) -> _Row:
    """Legal and preferred names, ISO dates, the pupil number first."""
    date = _dates("%Y-%m-%d")
    return {
        "UPN": record.upn,
        "Admission number": record.person_id,
        "Legal surname": record.family,
        "Legal forename": record.given[0] if record.given else "",
        "Middle names": " ".join(record.given[1:]),
        "Preferred name": ", ".join(f"{given} {family}" for given, family in record.aliases),
        "DOB": date(record.born),
        "Postcode": "".join(record.postcodes[:1]),
        "School": record.service,
        "Enrolment": "C" if record.is_current else "L",
        "Admitted": date(record.opened),
        "Last attendance": date(record.last_contact),
        "Do not disclose": "Y" if record.shield else "N",
    }


SHAPES = {
    "police": Shape("utf-8-sig", ",", "\r\n", _police_row),
    "nhs-trust": Shape("utf-8", "\t", "\n", _nhs_row),
    "social-care": Shape("cp1252", ",", "\r\n", _care_row),
    "schools": Shape("utf-8", ";", "\n", _school_row),
}
