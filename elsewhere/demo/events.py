"""What happens to made-up children in a year, as each agency's own tables for studies would say it.

Promises: the same seed gives the same rows, in the same order, and nobody is real. The words in them are the
          agencies' own; `research/AGENCY.toml` maps them onto the research dictionary. Of one child at one
          agency there is one id, so that the truth can be counted from the files alone.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from elsewhere.demo.children import Child
from elsewhere.demo.draw import Draw
from elsewhere.demo.population import View

Row = dict[str, str]
TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "social-care": ("contact", "referral", "missing", "engagement"),
    "police": ("missing",),
    "nhs-trust": ("ed_attendance",),
    "schools": ("engagement",),
}
_SOURCES: Final = ("1A", "1C", "2A", "2B", "3A", "3D", "4", "5A", "6", "7", "8", "9")
_NEEDS: Final = ("N1", "N1", "N1", "N1", "N2", "N3", "N4", "N5", "N5", "N6", "N8")
_CONTACTS: Final = ("No action", "Advice", "Early help", "Referral", "Referral", "Other")
_ETHNICITIES: Final = ("WHITE", "WHITE", "WHITE", "WHITE", "MIXED", "ASIAN", "ASIAN", "BLACK", "OTHER", "")
_BANDS: Final = ((1, "0"), (5, "1-4"), (10, "5-9"), (16, "10-15"), (18, "16-17"), (26, "18-25"))


@dataclass(frozen=True, slots=True)
class _Told:
    """One child as an agency knows it, in one year."""

    child: Child
    id: str
    year: int
    draw: Draw


def columns(table: str) -> tuple[str, ...]:
    """The columns of a table's file."""
    return (
        "row",
        "person",
        "day",
        *_OWN[table],
        "age",
        "sex",
        "ethnicity",
        "deprivation",
        "disabled",
        "send",
    )


def rows_of(agency: str, table: str, view: View, *, seed: int, year: int) -> Iterator[Row]:
    """An agency's rows of one household's children in one year."""
    known: dict[str, str] = {}
    for record in view.records[agency]:
        known.setdefault(record.about, record.person_id)  # of two ids of one child, the first
    for child in view.household.children:
        if (id := known.get(f"C{child.place}")) is not None:
            draw = Draw(seed, agency, table, child.place, year)
            for number, row in enumerate(_events(table, _Told(child, id, year, draw))):
                yield {"row": f"{id}-{number}", "person": id, **row, **_person(seed, child, row["day"])}


def _events(table: str, told: _Told) -> Iterator[Row]:
    """So many events of one kind as the child's troubles make likely, earliest first."""
    low, high = _OFTEN[table]
    chance = low + high * told.child.trouble
    first = datetime.date(told.year, 1, 1)
    days = sorted(told.draw.below(365) for _ in range(12) if told.draw.chance(chance))
    for place, day in enumerate(days):
        when = first + datetime.timedelta(days=day)
        if when >= told.child.born:
            yield {"day": when.isoformat(), **_MAKERS[table](told.draw, place)}


def _person(seed: int, child: Child, day: str) -> Row:
    """The child as at the event."""
    age, draw = child.age(datetime.date.fromisoformat(day)), Draw(seed, "person", child.place)
    return {
        "age": next((band for below, band in _BANDS if age < below), ""),
        "sex": child.sex,
        "ethnicity": draw.pick(_ETHNICITIES),
        "deprivation": str(draw.between(1, 5)),
        "disabled": "yes" if draw.chance(0.08) else "no",
        "send": draw.pick(("N", "N", "N", "N", "K", "E", "")),
    }


def _contact(draw: Draw, place: int) -> Row:
    return {"source": draw.pick(_SOURCES), "outcome": draw.pick(_CONTACTS)}


def _referral(draw: Draw, place: int) -> Row:
    outcome = "No further action" if draw.chance(0.3) else "Assessment"
    need, source = draw.pick(_NEEDS), draw.pick(_SOURCES)
    before = "yes" if place or draw.chance(0.1) else "no"
    return {"source": source, "outcome": outcome, "need": need, "closed": "open", "before": before}


def _missing(draw: Draw, place: int) -> Row:
    kind = "M" if draw.chance(0.85) else "A"
    offered = draw.chance(0.8)
    accepted = "Y" if draw.chance(0.6) else "N"
    hours = str(int(72 * draw.next() ** 3))
    return {
        "kind": kind,
        "hours": hours,
        "offered": "Y" if offered else "N",
        "accepted": accepted if offered else "NA",
    }


def _attendance(draw: Draw, place: int) -> Row:
    concern = draw.chance(0.12)
    band = draw.pick(("00-05", "06-11", "12-17", "12-17", "18-23", "18-23"))
    return {
        "department": "1",
        "hours": band,
        "injury": "Y" if draw.chance(0.4) else "N",
        "concern": "yes" if concern else "no",
    }


def _engagement(draw: Draw, place: int) -> Row:
    return {"step": draw.pick(("Offered", "Engaged", "Engaged", "Declined", "Did not attend", "Closed"))}


_MAKERS: Final[Mapping[str, Callable[[Draw, int], Row]]] = {
    "contact": _contact,
    "referral": _referral,
    "missing": _missing,
    "ed_attendance": _attendance,
    "engagement": _engagement,
}
_OWN: Final[Mapping[str, Sequence[str]]] = {
    "contact": ("source", "outcome"),
    "referral": ("source", "outcome", "need", "closed", "before"),
    "missing": ("kind", "hours", "offered", "accepted"),
    "ed_attendance": ("department", "hours", "injury", "concern"),
    "engagement": ("step",),
}
# The chance in each twelfth of a year: in the most peaceful home, and what is added in proportion to trouble.
_OFTEN: Final[Mapping[str, tuple[float, float]]] = {
    "contact": (0.05, 0.3),
    "referral": (0.04, 0.25),
    "missing": (0.01, 0.2),
    "ed_attendance": (0.06, 0.05),
    "engagement": (0.05, 0.2),
}
