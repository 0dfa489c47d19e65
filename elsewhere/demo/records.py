"""What one agency knows of made-up people, in its own way: slips, gaps, other names, old addresses.

Promises: one seed, agency and person give the same records, whoever else is written down. Nothing here knows
          how records are matched. Every slip is named in `Record.errors`, so that its cost can be measured.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, replace

from elsewhere.demo.agencies import Agency
from elsewhere.demo.children import Child, Household, Parent
from elsewhere.demo.draw import Draw
from elsewhere.demo.naming import write_names
from elsewhere.demo.numbers import opening_letter
from elsewhere.demo.slips import postcode_slip, swapped_date, wrong_date, wrong_digit

Span = tuple[datetime.date, datetime.date | None]  # from, and until; None: it runs on
_DAY = datetime.timedelta(days=1)
PSEUDO_POSTCODES = ("ZZ99 3VZ", "ZZ99 3WZ")
SHIELDED = 0.9  # of an agency's records of a child whose home must not come out, that say so
_KNEW_BEFORE = 0.6  # the chance that an agency which knows an adopted child also knew who it was before
_IDS = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row to be: a child, a parent, or an expected child with its mother, as one agency wrote it down.

    `person_id`: the agency's own. `about`: who it truly is; `C7` the child at place 7, `B7` that child before
    its adoption, `U7` the child that household 7 expects, `P7F` and `P7M` its mother and father.
    """

    person_id: str
    about: str
    given: tuple[str, ...] = ()
    family: str = ""
    aliases: tuple[tuple[str, str], ...] = ()  # given and family
    born: datetime.date | None = None
    accuracy: str = "AAA"  # of day, month and year; U: unknown
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
    mother: Parent | None = None
    errors: tuple[str, ...] = ()


def records_of(agency: Agency, household: Household, *, seed: int, today: datetime.date) -> Iterator[Record]:
    """Return every record the agency holds of a household, children first; none if it knows nobody there."""
    for child in household.children:
        draw = Draw(seed, agency.id, child.place)
        chance = agency.knows + agency.knows_by_trouble * child.trouble
        youngest, oldest = agency.ages
        if youngest <= child.age(today) <= oldest and draw.chance(chance):
            yield from _held(draw, agency, child, household, today)
    draw = Draw(seed, agency.id, "parents", household.number)
    mother = household.expecting
    if mother and agency.id == "nhs-trust":
        yield _expected(draw, agency, mother, today)
    for parent in household.namesakes:
        if agency.id == "police" and draw.chance(0.05 + 0.4 * household.trouble):
            yield _parent(draw, agency, parent, household.postcodes, today)


def _held(
    draw: Draw, agency: Agency, child: Child, household: Household, today: datetime.date
) -> Iterator[Record]:
    """The agency's record of a child it knows, a second one at times, and the one from before an adoption."""
    first = write_down(draw, agency, child, household=household, today=today)
    yield first
    if draw.chance(agency.twice):
        second = write_down(draw, agency, child, household=household, today=today)
        # Under a number of its own, only its content joins the two.
        number = _number(agency, child.place * 4 + 1) if draw.chance(0.5) else first.person_id
        yield replace(second, person_id=number)
    before = child.before
    if before and agency.id in ("police", "social-care") and draw.chance(_KNEW_BEFORE):
        then = replace(
            child,
            given=before.given,
            family=before.family,
            postcodes=before.postcodes,
            nhs_number="",  # it was replaced
            upn="",
            known_as="",
            other_families=(),
        )
        record = write_down(draw, agency, then, household=household, today=today)
        number = _number(agency, child.place * 4 + 2)
        yield replace(record, person_id=number, about=f"B{child.place}", shield="IDENTITY", is_current=False)


def write_down(
    draw: Draw, agency: Agency, child: Child, *, household: Household, today: datetime.date
) -> Record:
    """Write a child down as the agency would, whether or not it knows the child."""
    errors: list[str] = []
    names = write_names(draw, agency, child, today=today, errors=errors)
    born, accuracy = _birth_date(draw, agency, child.born, errors)
    is_current = draw.chance(agency.current)
    days = min(agency.days, 100) if is_current else agency.days
    last = today - _DAY * int(days * draw.next() ** 2)
    opened = last - _DAY * draw.between(5, 400)
    record = Record(
        person_id=_number(agency, child.place * 4),
        about=f"C{child.place}",
        given=names.given,
        family=names.family,
        aliases=names.aliases,
        born=born,
        accuracy=accuracy,
        postcodes=_postcodes(draw, agency, child, errors),
        nhs_number=_nhs_number(draw, agency, child, household, errors),
        upn=_upn(draw, agency, child, today, errors),
        is_current=is_current,
        service=draw.pick(agency.services),
        opened=max(child.born, opened),
        last_contact=max(child.born, last),
        shield="LOCATION" if child.is_hidden and draw.chance(SHIELDED) else "",
        errors=tuple(errors),
    )
    return _with_plans(draw, record, today=today) if agency.id == "social-care" else record


def _number(agency: Agency, serial: int) -> str:
    """A number of the agency's own, eight digits; no two serials of an agency have one number."""
    return f"{(serial * 38_742_097 + len(agency.id) * 7_919_993) % _IDS:08d}"


def _birth_date(
    draw: Draw, agency: Agency, born: datetime.date, errors: list[str]
) -> tuple[datetime.date | None, str]:
    """The birth date as written, with how much of it is known; one slip at most."""
    chance = draw.next()
    for error in ("date_missing", "day_month_swapped", "date_digit", "year_off", "first_of_month"):
        chance -= agency.errors.get(error, 0)
        if chance < 0:
            found, accuracy = _slipped(draw, born, error)
            if found != born:
                errors.append(error)
            return found, accuracy
    chance -= agency.errors.get("first_of_january", 0)
    if chance < 0:
        errors.append("first_of_january")
        return born.replace(day=1, month=1), "UUA"
    return born, "AAA"


def _slipped(draw: Draw, born: datetime.date, error: str) -> tuple[datetime.date | None, str]:
    if error == "date_missing":
        return None, "AAA"
    if error == "day_month_swapped":
        return swapped_date(born), "AAA"
    if error == "date_digit":
        return wrong_date(draw, born), "AAA"
    if error == "year_off":
        return born.replace(year=born.year - 1, day=min(born.day, 28)), "AAA"
    return born.replace(day=1), "UAA"


def _postcodes(draw: Draw, agency: Agency, child: Child, errors: list[str]) -> tuple[str, ...]:
    """Homes as the agency knows them, the one it takes for current first; it may not have heard of a move."""

    def happens(error: str) -> bool:
        if draw.chance(agency.errors[error]):
            errors.append(error)
            return True
        return False

    if happens("postcode_missing"):
        return ()
    homes = child.postcodes
    if len(homes) > 1 and happens("postcode_outdated"):
        homes = homes[1:]
    if happens("postcode_pseudo"):
        return (draw.pick(PSEUDO_POSTCODES), *homes[1:])
    if happens("postcode_slip"):
        homes = (postcode_slip(draw, homes[0]), *homes[1:])
    return homes if draw.chance(agency.past_postcodes) else homes[:1]


def _nhs_number(draw: Draw, agency: Agency, child: Child, household: Household, errors: list[str]) -> str:
    """The NHS number where it is held: at times misread, or a brother's or sister's."""
    number = child.nhs_number
    if not number or not draw.chance(agency.holds_nhs_number):
        return ""
    if draw.chance(agency.errors.get("nhs_misread", 0)):
        errors.append("nhs_misread")
        return f"999{wrong_digit(draw, number[3:])}"
    others = [c.nhs_number for c in household.children if c.place != child.place and c.nhs_number]
    if others and draw.chance(agency.errors.get("nhs_of_sibling", 0)):
        errors.append("nhs_of_sibling")
        return draw.pick(others)
    return number


def _upn(draw: Draw, agency: Agency, child: Child, today: datetime.date, errors: list[str]) -> str:
    """The pupil number of a child of school age where it is held: at times misread, or a temporary one."""
    number = child.upn
    if not number or child.age(today) < 4 or not draw.chance(agency.holds_upn):
        return ""
    if draw.chance(agency.errors.get("upn_misread", 0)):
        errors.append("upn_misread")
        return number[:4] + wrong_digit(draw, number[4:])
    if draw.chance(agency.errors.get("upn_temporary", 0)):
        errors.append("upn_temporary")
        return opening_letter(number[1:]) + number[1:12] + draw.pick("ABCDEFGH")
    return number


def _with_plans(draw: Draw, record: Record, *, today: datetime.date) -> Record:
    """Give some children a protection plan, or a time in care, running or over."""
    chance = draw.next()
    if chance >= 0.2:
        return record
    over = min(today, record.opened + _DAY * draw.between(60, 300))
    span = (record.opened, None if record.is_current else over)
    return replace(record, plan=span) if chance < 0.12 else replace(record, in_care=span)


def _expected(draw: Draw, agency: Agency, mother: Parent, today: datetime.date) -> Record:
    """A child not born yet, under its mother."""
    last = today - _DAY * draw.between(1, 60)
    return Record(
        person_id=f"U{_number(agency, mother.place)}",
        about=f"U{mother.place}",
        service="Maternity",
        opened=last - 30 * _DAY,
        last_contact=last,
        mother=mother,
    )


def _parent(
    draw: Draw, agency: Agency, parent: Parent, postcodes: tuple[str, ...], today: datetime.date
) -> Record:
    """A grown-up who bears a child's name, in the same file as the child."""
    last = today - _DAY * draw.between(1, agency.days)
    return Record(
        person_id=f"P{_number(agency, parent.place * 2 + (parent.sex == 'F'))}",
        about=f"P{parent.place}{parent.sex}",
        given=(parent.given,),
        family=parent.family,
        born=parent.born,
        postcodes=postcodes[:1],
        is_current=False,
        service=draw.pick(agency.services),
        opened=last - 30 * _DAY,
        last_contact=last,
    )
