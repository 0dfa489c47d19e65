"""Makes households: brothers and sisters, twins, cousins, parents, homes, and what children are called.

Promises: one seed, size and day give the same people. A household is drawn from its own number, so that a
          million are made one after another without being kept.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, replace

from elsewhere.demo.children import Before, Child, Household, Parent
from elsewhere.demo.cultures import Culture, Part, culture_of, draw_culture, short_form
from elsewhere.demo.draw import Draw
from elsewhere.demo.numbers import CHILDREN_SERIALS, nhs_number, postcode, postcodes_for, scattered, upn

_DAY = datetime.timedelta(days=1)
_ELSEWHERE = 1_000_000_000  # households from here on are in no region
_MOTHERS = 9_000  # serials from CHILDREN_SERIALS on that are mothers'

# How households are made: chances from 0 to 1. docs/population.md says where each comes from.
COUSINS = 0.06  # of every second household: children of a brother or sister of the one before
SAME_NAME_AS_COUSIN = 0.25
TWINS = 0.016  # of births; one in sixty of them triplets
TRIPLETS = 1 / 60
SIBLINGS = (0.38, 0.76, 0.91, 0.97, 1.0)  # running shares of one, two, ... births
HOMES = (0.70, 0.93, 1.0)  # running shares of one, two, three homes in living memory
MOTHERS_NAME = 0.14
BOTH_NAMES = 0.04
OTHER_NAME = 0.07  # another family name than the one in use: before a marriage, a stepfather's
HALF_SIBLING = 0.06  # bears another family name than its brothers and sisters
NAMESAKE = 0.03  # bears its father's or mother's first name
KNOWN_AS = 0.35  # of first names that shorten
HIDDEN = 0.006
ADOPTED = 0.003
EXPECTING = 0.015
ALIKE_TWINS = 0.3  # twins whose first names begin alike


@dataclass(frozen=True, slots=True)
class Region:
    """What households are drawn from. `size`: children in all, which sets how many postcodes there are.

    `is_even`: every culture is as common as another, so that small ones can be measured.
    """

    seed: int
    size: int
    today: datetime.date
    is_even: bool = False


@dataclass(frozen=True, slots=True)
class _Home:
    """What the children of one household share."""

    number: int
    culture: Culture
    part: Part
    father: Parent
    mother: Parent
    family: str
    postcodes: tuple[str, ...]
    trouble: float
    is_hidden: bool


def households(region: Region) -> Iterator[Household]:
    """Make households until they hold as many children as the region has, the last one cut short."""
    place = number = expecting = 0
    while place < region.size:
        made = _household(region, number)
        made = replace(
            made, children=tuple(_numbered(child, place + at) for at, child in enumerate(made.children))
        )
        if made.expecting:
            serial = CHILDREN_SERIALS + expecting
            number_of_hers = nhs_number(serial) if expecting < _MOTHERS else ""
            made = replace(made, expecting=replace(made.expecting, nhs_number=number_of_hers))
            expecting += 1
        yield replace(made, children=made.children[: region.size - place])
        place += len(made.children)
        number += 1


def households_elsewhere(region: Region) -> Iterator[Household]:
    """Make households of another place, without end: nobody in them is in the region, or has a number."""
    number = _ELSEWHERE
    while True:
        made = _household(region, number)
        children = (replace(child, place=number * 8 + at) for at, child in enumerate(made.children))
        yield replace(made, children=tuple(children))
        number += 1


def _numbered(child: Child, place: int) -> Child:
    """The child with its place and its numbers; beyond the range for tests a child has no NHS number."""
    first = nhs_number(scattered(place)) if place < CHILDREN_SERIALS else ""
    number = upn(place // 1000 % 10_000, child.born.year + 4, place % 1000)
    return replace(child, place=place, nhs_number=first, upn=number)


def _household(region: Region, number: int, *, alone: bool = False) -> Household:
    """One household. `alone`: as if it had no cousins, which is how its cousins see it."""
    draw = Draw(region.seed, "household", number)
    home = _home(draw, region, number)
    relation = draw.chance(COUSINS) and number % 2 == 1 and not alone
    cousins: tuple[Child, ...] = ()
    if relation:
        related = _household(region, number - 1, alone=True)
        cousins = related.children
        if cousins:
            culture = culture_of(related.culture)
            home = replace(home, culture=culture, part=culture.part(draw), family=cousins[0].family)
    children = tuple(_children(draw, home, region.today, cousins))
    namesakes = tuple(
        parent
        for parent in (home.father, home.mother)
        if any((parent.given, parent.family) == (child.given[0], child.family) for child in children)
    )
    due = region.today + _DAY * draw.between(14, 240)
    expecting = replace(home.mother, due=due) if draw.chance(EXPECTING) else None
    return Household(number, home.culture.id, home.postcodes, children, namesakes, expecting, home.trouble)


def _home(draw: Draw, region: Region, number: int) -> _Home:
    """Parents, address and family name."""
    culture = draw_culture(draw, is_even=region.is_even)
    part = culture.part(draw)
    homes = 1 + sum(draw.next() >= share for share in HOMES[:-1])
    fathers, mothers = culture.family(draw, part), culture.family(draw, part)
    father, mother = (
        Parent(
            place=number,
            given=names.draw(draw),
            family=culture.borne(family, sex),
            born=region.today - _DAY * draw.between(22 * 365, 48 * 365),
            sex=sex,
        )
        for names, family, sex in ((part.boys, fathers, "M"), (part.girls, mothers, "F"))
    )
    whose = draw.next()
    family = mothers if whose < MOTHERS_NAME else fathers
    if MOTHERS_NAME <= whose < MOTHERS_NAME + BOTH_NAMES and fathers != mothers:
        family = f"{mothers.split('-')[0]}-{fathers.split('-')[-1]}"
    if draw.chance(culture.patronymic):
        family = father.given
    elif draw.chance(culture.second) and fathers != mothers:
        family = f"{fathers} {mothers}"
    postcodes = postcodes_for(region.size)
    return _Home(
        number,
        culture,
        part,
        father,
        mother,
        family,
        tuple(dict.fromkeys(postcode(draw, postcodes) for _ in range(homes))),
        draw.next() ** 2,
        draw.chance(HIDDEN),
    )


def _children(draw: Draw, home: _Home, today: datetime.date, cousins: tuple[Child, ...]) -> Iterator[Child]:
    """Births one after another, and twins at some of them; nobody is born after today."""
    births = 1 + sum(draw.next() >= share for share in SIBLINGS[:-1])
    born = today - _DAY * draw.between(0, 18 * 365 - 1)
    taken: list[str] = []
    for _ in range(births):
        if born > today:
            return
        at_once = (3 if draw.chance(TRIPLETS) else 2) if draw.chance(TWINS) else 1
        elder = ""
        for _ in range(at_once):
            child = _child(draw, home, born, _Sibling(tuple(taken), elder, cousins))
            child = replace(child, birth=at_once)
            elder = child.given[0] if at_once > 1 else ""
            taken.append(child.given[0])
            yield child
        born += _DAY * draw.between(330, 1500)


@dataclass(frozen=True, slots=True)
class _Sibling:
    """Names to heed: brothers' and sisters', the elder twin's, cousins'."""

    taken: tuple[str, ...]
    twin: str
    cousins: tuple[Child, ...]


def _child(draw: Draw, home: _Home, born: datetime.date, names: _Sibling) -> Child:
    """A child with what is its own: first and further names, other names."""
    sex = "F" if draw.chance(0.487) else "M"
    first = _first_name(draw, home, sex, names)
    culture, part = home.culture, home.part
    given = [first]
    while len(given) < 4 and draw.chance(culture.middle if len(given) == 1 else 0.12):
        further = (part.girls if sex == "F" else part.boys).draw(draw)
        if further in given:
            break
        given.append(further)
    family, others = home.family, []
    if draw.chance(HALF_SIBLING):
        family = culture.family(draw, part)
    if draw.chance(OTHER_NAME):
        others.append(home.mother.family if draw.chance(0.5) else culture.family(draw, part))
    known_as = short_form(draw, first, culture) if draw.chance(KNOWN_AS) else ""
    if draw.chance(culture.english):
        english = culture_of("british").parts[0]
        known_as = (english.girls if sex == "F" else english.boys).draw(draw)
    family = culture.borne(family, sex)
    child = Child(
        place=0,
        given=tuple(given),
        family=family,
        born=born,
        postcodes=home.postcodes,
        nhs_number="",
        upn="",
        sex=sex,
        culture=culture.id,
        household=home.number,
        known_as=known_as if known_as.lower() != first.lower() else "",
        other_families=tuple(name for name in others if name != family),
        trouble=home.trouble,
        is_hidden=home.is_hidden,
    )
    return replace(child, before=_before(draw, child, home)) if draw.chance(ADOPTED) else child


def _before(draw: Draw, child: Child, home: _Home) -> Before:
    """Another family, often another first name, another address."""
    names = home.part.girls if child.sex == "F" else home.part.boys
    given = child.given[:1] if draw.chance(0.6) else (names.draw(draw),)
    family = home.culture.borne(home.culture.family(draw, home.part), child.sex)
    return Before(given=given, family=family, postcodes=(postcode(draw, 400),))


def _first_name(draw: Draw, home: _Home, sex: str, names: _Sibling) -> str:
    """A first name that no brother or sister has: a parent's, a cousin's, one like the twin's, or any."""
    part = home.part.girls if sex == "F" else home.part.boys
    parent = home.mother if sex == "F" else home.father
    if draw.chance(NAMESAKE) and parent.given not in names.taken:
        return parent.given
    if draw.chance(SAME_NAME_AS_COUSIN):
        for cousin in names.cousins:
            if cousin.sex == sex and cousin.given[0] not in names.taken:
                return cousin.given[0]
    wants_alike = names.twin and draw.chance(ALIKE_TWINS)
    found = part.draw(draw)
    for _ in range(40):
        if found not in names.taken and (not wants_alike or found[0] == names.twin[0]):
            return found
        found = part.draw(draw)
    return next((name for name in part.names if name not in names.taken), found)
