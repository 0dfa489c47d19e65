"""The three children that the demonstration asks about, and what should come back.

Promises: the children are placed into every population, whatever its seed; the one nobody knows is in none.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from elsewhere.demo.agencies import Agency
from elsewhere.demo.children import Child
from elsewhere.demo.draw import Draw
from elsewhere.demo.numbers import nhs_number, upn
from elsewhere.demo.records import Record

_CLEAR_OF_ALL = 990_000  # serials from here on are nobody else's


@dataclass(frozen=True, slots=True)
class Question:
    """One question as a practitioner types it. `expected`: the state that each custodian should answer."""

    title: str
    options: tuple[str, ...]  # of `elsewhere ask`
    expected: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """One agency's record of a placed child."""

    agency: str
    service: str
    is_current: bool
    days_ago: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A child with its records."""

    child: Child
    placements: tuple[Placement, ...]


AYAAN = Placed(
    Child(
        place=-1,
        given=("Ayaan", "Yusuf"),
        family="Rahman",
        born=datetime.date(2016, 9, 14),
        postcodes=("NX4 7QD", "NX11 2HB"),
        nhs_number=nhs_number(_CLEAR_OF_ALL),
        upn=upn(9001, 2021, 1),
    ),
    (
        Placement("police", "Domestic Abuse Unit", is_current=False, days_ago=210),
        Placement("nhs-trust", "Emergency Department", is_current=True, days_ago=5),
        Placement("schools", "Alder Grove Primary", is_current=True, days_ago=2),
    ),
)
KATARZYNA = Placed(
    Child(
        place=-2,
        given=("Katarzyna",),
        family="Zielińska",
        born=datetime.date(2013, 5, 3),
        postcodes=("NX7 1LW",),
        nhs_number=nhs_number(_CLEAR_OF_ALL + 10),
        upn=upn(9001, 2018, 2),
    ),
    (
        Placement("nhs-trust", "CAMHS", is_current=False, days_ago=95),
        Placement("schools", "Northgate High", is_current=True, days_ago=3),
    ),
)
PLACED = (AYAAN, KATARZYNA)

QUESTIONS = (
    Question(
        "A child known at several agencies",
        (
            *("--given", "Ayaan", "--family", "Rahman", "--dob", "2016-09-14", "--postcode", "NX4 7QD"),
            *("--purpose", "S47_ENQUIRY", "--urgency", "RED", "--case", "C-1001"),
        ),
        (("police", "KNOWN_PAST"), ("nhs-trust", "KNOWN_CURRENT"), ("schools", "KNOWN_CURRENT")),
    ),
    Question(
        "A child known nowhere",
        (
            *("--given", "Tobias", "--family", "Fennimore", "--dob", "2018-01-23", "--postcode", "NX9 1BB"),
            *("--purpose", "S47_ENQUIRY", "--urgency", "AMBER", "--case", "C-1002"),
        ),
        tuple((agency, "NOTHING_RETURNED") for agency in ("police", "nhs-trust", "schools")),
    ),
    Question(
        "A child whose names are misspelt",
        (
            *("--given", "Katarzna", "--family", "Zielinksa", "--dob", "2013-05-03", "--postcode", "NX7 1LW"),
            *("--purpose", "S47_ENQUIRY", "--urgency", "AMBER", "--case", "C-1003"),
        ),
        (("police", "NOTHING_RETURNED"), ("nhs-trust", "KNOWN_PAST"), ("schools", "KNOWN_CURRENT")),
    ),
)


def placed_records(agency: Agency, *, seed: int, today: datetime.date) -> list[Record]:
    """Return an agency's records of the placed children, without slips of the pen."""
    draw = Draw(seed, agency.id, "placed")
    return [
        _record(draw, placed.child, placement, today=today)
        for placed in PLACED
        for placement in placed.placements
        if placement.agency == agency.id
    ]


def _record(draw: Draw, child: Child, placement: Placement, *, today: datetime.date) -> Record:
    last = today - datetime.timedelta(days=placement.days_ago)
    return Record(
        person_id=f"D{draw.between(10**6, 10**7 - 1)}",
        about=f"D{-child.place}",
        given=child.given,
        family=child.family,
        born=child.born,
        postcodes=child.postcodes,
        nhs_number=child.nhs_number if placement.agency == "nhs-trust" else "",
        upn=child.upn if placement.agency == "schools" else "",
        is_current=placement.is_current,
        service=placement.service,
        opened=last - datetime.timedelta(days=150),
        last_contact=last,
    )
