"""Made-up children in households: who they truly are, before any agency has written them down.

Promises: the same random source and date give the same children. Postcodes lie in an area that does
          not exist, NHS numbers in the range kept for tests, pupil numbers under an authority that is none.
Source:   NHS Data Dictionary, NHS NUMBER; DfE "Unique pupil numbers: guidance" (check letter).
"""

from __future__ import annotations

import datetime
import functools
import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

_UPN_LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"
_INWARD = "ABDEFGHJLNPQRSTUWXYZ"  # letters that end a postcode
_SHORT = {
    **{
        "Charlotte": "Lottie",
        "Harriet": "Hattie",
        "Matilda": "Tilly",
        "Jessica": "Jess",
        "Katherine": "Katie",
    },
    **{
        "Abigail": "Abi",
        "Bethany": "Beth",
        "Thomas": "Tom",
        "William": "Billy",
        "Samuel": "Sam",
        "Joshua": "Josh",
    },
    **{"Benjamin": "Ben", "Edward": "Teddy", "Daniel": "Danny", "Oliver": "Ollie", "Aleksandra": "Ola"},
    **{"Katarzyna": "Kasia", "Małgorzata": "Gosia", "Jakub": "Kuba", "Muhammad": "Mo", "Oluwaseun": "Seun"},
    **{"Temitope": "Temi", "Georgia": "Georgie", "Isaiah": "Zay", "Zakariya": "Zak", "Gurpreet": "Guri"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One made-up child. `postcodes`: current first; `place` tells children apart, as names may repeat."""

    place: int
    given: tuple[str, ...]
    family: str
    born: datetime.date
    postcodes: tuple[str, ...]
    nhs_number: str
    upn: str
    known_as: str = ""  # a short or nickname, used instead of the first name
    other_family: str = ""  # an earlier or other family name
    trouble: float = 0.0  # how likely agencies beyond school and hospital know the household, 0 to 1

    def age(self, today: datetime.date) -> int:
        """Return whole years; -1 before birth."""
        return today.year - self.born.year - ((today.month, today.day) < (self.born.month, self.born.day))


@dataclass(frozen=True, slots=True)
class Mother:
    """A made-up woman who expects a child."""

    given: str
    family: str
    born: datetime.date
    nhs_number: str
    due: datetime.date


@dataclass(frozen=True, slots=True)
class _Culture:
    """Names of one kind; `double`: family names in a hundred that are two joined by a hyphen."""

    weight: int
    double: int
    girls: tuple[str, ...]
    boys: tuple[str, ...]
    families: tuple[str, ...]


@functools.cache
def _cultures() -> tuple[_Culture, ...]:
    """Read the names, once."""
    text = resources.files("elsewhere.demo").joinpath("names.toml").read_text("utf-8")
    return tuple(
        _Culture(c["weight"], c["double"], tuple(c["girls"]), tuple(c["boys"]), tuple(c["families"]))
        for c in tomllib.loads(text)["cultures"]
    )


def nhs_number(serial: int) -> str:
    """Return a number of the range for tests, 999 000 000x and up, for a serial of six digits or fewer.

    A serial whose check digit would be 10 has no number; the next one that has is taken, ten serials apart.
    """
    for body in range(999_000_000 + serial, 999_999_999):
        digits = str(body)
        total = sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=True))
        if (check := (11 - total % 11) % 11) != 10:
            return f"{digits}{check}"
    raise ValueError("expected a serial of six digits or fewer")


def upn(school: int, year: int, serial: int) -> str:
    """Return a pupil number: check letter, authority 999, school (4 digits), year (2), serial (3)."""
    digits = f"999{school:04d}{year % 100:02d}{serial:03d}"
    total = sum(int(digit) * weight for weight, digit in enumerate(digits, start=2))
    return _UPN_LETTERS[total % 23] + digits


def postcode(draw: random.Random) -> str:
    """Return a postcode of the area NX, which does not exist."""
    return f"NX{draw.randint(1, 19)} {draw.randint(1, 9)}{draw.choice(_INWARD)}{draw.choice(_INWARD)}"


def make_children(draw: random.Random, *, count: int, today: datetime.date) -> tuple[Child, ...]:
    """Make households until they hold `count` children.

    Args:
        draw: where every chance comes from.
        count: 1 to 90,000.
        today: nobody is born after it.
    """
    children: list[Child] = []
    while len(children) < count:
        children.extend(_household(draw, first=len(children), today=today))
    return tuple(children[:count])


def make_mother(draw: random.Random, *, serial: int, today: datetime.date) -> Mother:
    """Make a woman of 17 to 40 whose child is due within eight months."""
    culture = _culture(draw)
    born = today - datetime.timedelta(days=draw.randint(17 * 366, 40 * 365))
    due = today + datetime.timedelta(days=draw.randint(14, 240))
    return Mother(draw.choice(culture.girls), _family_name(draw, culture), born, nhs_number(serial), due)


def _culture(draw: random.Random) -> _Culture:
    cultures = _cultures()
    return draw.choices(cultures, weights=[culture.weight for culture in cultures])[0]


def _family_name(draw: random.Random, culture: _Culture) -> str:
    """One family name, or two joined."""
    name = draw.choice(culture.families)
    if draw.randrange(100) < culture.double:
        other = draw.choice(culture.families)
        return name if other == name else f"{name}-{other}"
    return name


@dataclass(frozen=True, slots=True)
class _Home:
    """What the children of one household share."""

    culture: _Culture
    family: str
    postcodes: tuple[str, ...]
    trouble: float


def _household(draw: random.Random, *, first: int, today: datetime.date) -> Iterator[Child]:
    """Siblings: one family name, one address; a child in thirty with an elder sibling is that one's twin."""
    culture = _culture(draw)
    homes = dict.fromkeys(postcode(draw) for _ in range(draw.choices((1, 2, 3), weights=(70, 23, 7))[0]))
    home = _Home(culture, _family_name(draw, culture), tuple(homes), draw.random() ** 2)
    born = today - datetime.timedelta(days=draw.randint(120, 17 * 365))
    names: list[str] = []
    for number in range(draw.choices((1, 2, 3, 4), weights=(35, 38, 18, 9))[0]):
        if number > 0 and draw.randrange(30) > 0:
            born += datetime.timedelta(days=draw.randint(330, 1500))
        if born > today:
            return
        names.append(_first_name(draw, culture, taken=names))
        yield _child(draw, home, place=first + number, name=names[-1], born=born)


def _first_name(draw: random.Random, culture: _Culture, *, taken: list[str]) -> str:
    """A first name that no sibling has, nor begins like."""
    names = culture.girls + culture.boys
    return draw.choice([name for name in names if name[:2] not in {other[:2] for other in taken}])


def _child(draw: random.Random, home: _Home, *, place: int, name: str, born: datetime.date) -> Child:
    """A child with what is its own: middle name, numbers, other names."""
    names = home.culture.girls if name in home.culture.girls else home.culture.boys
    middle = draw.choice(names)
    other = _family_name(draw, home.culture) if draw.random() < 0.06 else ""
    return Child(
        place=place,
        given=(name, middle) if middle != name and draw.random() < 0.4 else (name,),
        family=home.family,
        born=born,
        postcodes=home.postcodes,
        nhs_number=nhs_number(place * 10),
        upn=upn(2000 + place % 37, born.year + 4, place // 37 % 1000),
        known_as=_SHORT.get(name, "") if draw.random() < 0.5 else "",
        other_family="" if other == home.family else other,
        trouble=home.trouble,
    )
