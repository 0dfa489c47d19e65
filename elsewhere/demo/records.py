"""What four made-up agencies know of the children, each in its own way: slips, gaps, old addresses.

Promises: the same random source gives the same records. Nothing here knows how records are matched.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from elsewhere.demo.children import Child, Mother

Span = tuple[datetime.date, datetime.date | None]  # from, and until; None: it runs on
_VOWELS = "aeiou"


@dataclass(frozen=True, slots=True)
class Habits:
    """How one agency comes to know children and how it writes them down; chances are from 0 to 1."""

    agency: str
    services: tuple[str, ...]
    ages: tuple[int, int]  # youngest and oldest it deals with, in whole years
    knows: float  # the chance to know a child of the most peaceful home
    knows_by_trouble: float  # added in proportion to trouble
    current: float  # the chance that it still deals with the child
    slips: float  # the chance of a typing slip in a name
    nhs_number: float  # the chance that it holds the NHS number
    upn: float  # the chance that it holds the pupil number
    twice: float  # the chance that it holds a second record of the child
    days: int  # its contacts go back so many days


POLICE = Habits(
    agency="police",
    services=("Child Abuse Investigation", "Missing From Home", "Response Team", "Domestic Abuse Unit"),
    ages=(0, 17), knows=0.10, knows_by_trouble=0.62, current=0.25, slips=0.07,
    nhs_number=0.0, upn=0.0, twice=0.12, days=1500,
)  # fmt: skip
NHS_TRUST = Habits(
    agency="nhs-trust",
    services=("Health Visiting", "Emergency Department", "Community Paediatrics", "CAMHS", "Speech Therapy"),
    ages=(0, 17), knows=0.5, knows_by_trouble=0.35, current=0.55, slips=0.02,
    nhs_number=0.97, upn=0.0, twice=0.02, days=1100,
)  # fmt: skip
SOCIAL_CARE = Habits(
    agency="social-care",
    services=("Assessment Team East", "Assessment Team West", "Children in Care", "Disabled Children's Team"),
    ages=(0, 17), knows=0.06, knows_by_trouble=0.78, current=0.4, slips=0.03,
    nhs_number=0.7, upn=0.5, twice=0.04, days=1800,
)  # fmt: skip
SCHOOLS = Habits(
    agency="schools",
    services=("Alder Grove Primary", "St Bede's Primary", "Millbrook Academy", "Northgate High"),
    ages=(4, 16), knows=0.82, knows_by_trouble=0.05, current=0.9, slips=0.015,
    nhs_number=0.0, upn=0.98, twice=0.01, days=900,
)  # fmt: skip
AGENCIES = (POLICE, NHS_TRUST, SOCIAL_CARE, SCHOOLS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row to be: a child, or an expected one with its mother, as one agency wrote it down."""

    person_id: str
    given: tuple[str, ...] = ()
    family: str = ""
    aliases: tuple[tuple[str, str], ...] = ()  # given and family
    born: datetime.date | None = None
    accuracy: str = "AAA"  # of day, month and year; E: estimated
    postcodes: tuple[str, ...] = ()
    nhs_number: str = ""
    upn: str = ""
    is_current: bool = True
    service: str
    opened: datetime.date
    last_contact: datetime.date
    plan: Span | None = None  # child protection plan
    in_care: Span | None = None
    shield: str = ""  # LOCATION or IDENTITY
    mother: Mother | None = None


def write_down(
    draw: random.Random, child: Child, habits: Habits, *, person_id: str, today: datetime.date
) -> Record:
    """Write a child down as the agency would, with its slips and gaps; no flags and no shield."""
    given, family = child.given if draw.random() < 0.6 else child.given[:1], child.family
    aliases: list[tuple[str, str]] = []
    if child.known_as:
        if draw.random() < 0.3:
            given = (child.known_as,)  # the agency never heard the full name
        else:
            aliases.append((child.known_as, family))
    if child.other_family:
        aliases.append((given[0], child.other_family))
    if draw.random() < habits.slips:
        given = (slip(draw, given[0]), *given[1:])
    if draw.random() < habits.slips:
        family = slip(draw, family)
    born, accuracy = _birth_date(draw, child.born, habits)
    is_current = draw.random() < habits.current
    days = min(habits.days, 100) if is_current else habits.days
    last = today - datetime.timedelta(days=int(days * draw.random() ** 2))
    known_homes = child.postcodes if draw.random() < 0.8 else child.postcodes[-1:]  # a move not heard of
    return Record(
        person_id=person_id,
        given=given,
        family=family,
        aliases=tuple(aliases),
        born=born,
        accuracy=accuracy,
        postcodes=known_homes if draw.random() < 0.98 else ("ZZ99 3WZ",),
        nhs_number=child.nhs_number if draw.random() < habits.nhs_number else "",
        upn=child.upn if draw.random() < habits.upn and child.age(today) >= 4 else "",
        is_current=is_current,
        service=draw.choice(habits.services),
        opened=max(child.born, last - datetime.timedelta(days=draw.randint(5, 400))),
        last_contact=max(child.born, last),
    )


def know_some(
    draw: random.Random, children: Sequence[Child], habits: Habits, *, today: datetime.date
) -> list[Record]:
    """Pick the children an agency knows and write each down, some of them twice, in no order."""
    youngest, oldest = habits.ages
    records = []
    for child in children:
        chance = habits.knows + habits.knows_by_trouble * child.trouble
        if not youngest <= child.age(today) <= oldest or draw.random() >= chance:
            continue
        # A second record stands under the same number or another: then only its content joins the two.
        numbers = [str(draw.randrange(10**6, 10**7)) for _ in range(2)]
        for number in (numbers[0], draw.choice(numbers))[: 2 if draw.random() < habits.twice else 1]:
            record = write_down(draw, child, habits, person_id=number, today=today)
            records.append(_with_plans(draw, record, today=today) if habits is SOCIAL_CARE else record)
    draw.shuffle(records)
    return records


def with_shields(records: Sequence[Record], *, location: int, identity: int) -> list[Record]:
    """Shield the first so many records: findable through the duty desk only, then not findable at all."""
    marks = ["LOCATION"] * location + ["IDENTITY"] * identity
    return [replace(r, shield=mark) for r, mark in zip(records, marks, strict=False)] + list(
        records[len(marks) :]
    )


def slip(draw: random.Random, name: str) -> str:
    """Mistype one letter of a name of four letters or more: left out, swapped, another vowel, or doubled."""
    if len(name) < 4:
        return name
    at = draw.randrange(1, len(name) - 1)
    kind = draw.randrange(4)
    if kind == 0:
        return name[:at] + name[at + 1 :]
    if kind == 1:
        return name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    if kind == 2 and name[at] in _VOWELS:
        return name[:at] + draw.choice([v for v in _VOWELS if v != name[at]]) + name[at + 1 :]
    return name[:at] + name[at] + name[at:]


def _birth_date(draw: random.Random, born: datetime.date, habits: Habits) -> tuple[datetime.date, str]:
    """The birth date as written: rarely with day and month swapped, or with a day that was not known."""
    chance = draw.random()
    if chance < habits.slips / 4 and born.day < born.month:  # so the swapped one lies earlier, not ahead
        return born.replace(day=born.month, month=born.day), "AAA"
    if chance < habits.slips / 2:
        return born.replace(day=1), "EAA"
    return born, "AAA"


def _with_plans(draw: random.Random, record: Record, *, today: datetime.date) -> Record:
    """Give some children a protection plan, or a time in care, running or over."""
    chance = draw.random()
    if chance >= 0.2:
        return record
    ended = (
        None
        if record.is_current
        else min(today, record.opened + datetime.timedelta(days=draw.randint(60, 300)))
    )
    span = (record.opened, ended)
    return replace(record, plan=span) if chance < 0.12 else replace(record, in_care=span)
