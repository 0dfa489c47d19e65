"""A quick made-up population in households, as an agency holds it and as others ask about it.

Promises: the same seed gives the same data; names, errors and rates owe nothing to the match keys nor to
          the demo's population. Twins, brothers and sisters of the held are among the absent asked about.
"""

from __future__ import annotations

import datetime
import random
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from bench.linkage import slips
from bench.linkage.cases import Asked, DataSet, Held
from bench.linkage.names import Culture
from elsewhere.person.identity import Name, Person

_TODAY = datetime.date(2026, 9, 1)
_CHILDREN_A_POSTCODE = 7
_LETTERS = "ABDEFGHJLNPQRSTUWXYZ"


@dataclass(frozen=True, slots=True)
class Child:
    """One child as it truly is."""

    number: int
    culture: str
    given: tuple[str, ...]
    family: str
    other_family: str
    born: datetime.date
    homes: tuple[str, ...]  # newest first
    nhs_number: str


@dataclass(slots=True)
class View:
    """A child as somebody writes it down: changed step by step, then made a Person."""

    given: list[str]
    family: str
    born: datetime.date | None
    homes: list[str]
    nhs_number: str
    aliases: list[Name] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def person(self) -> Person:
        """The person as written."""
        return Person.of(
            given=[part for part in self.given if part.strip()],
            family=self.family,
            dob=self.born,
            postcode=self.homes[0] if self.homes else None,
            past_postcodes=self.homes[1:],
            nhs_number=self.nhs_number or None,
            aliases=self.aliases,
        )


Distort = Callable[[random.Random, View, Child], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make: `held` records asked by `questions` questions, half of them about absent children."""

    name: str
    held: int
    questions: int
    seed: int
    distort: Distort
    seen: bool = False


def make(plan: Plan, cultures: Sequence[Culture]) -> DataSet:
    """Make the population, what the agency holds of it and the questions.

    A child asked about is held with even chance; one record in thirty of the held is a second one.
    """
    draw = random.Random(f"{plan.name}/{plan.seed}")
    children = list(_children(draw, round(plan.held * 1.5), cultures))
    is_held = [draw.random() < 2 / 3 for _ in children]
    known = [child for child, held in zip(children, is_held, strict=True) if held]
    absent = [child for child, held in zip(children, is_held, strict=True) if not held]
    held = []
    notes: dict[int, list[str]] = {}
    for child in known:
        for copy in range(1 + (draw.random() < 1 / 30)):
            view = _view(draw, child, past_homes=0.4)
            plan.distort(draw, view, child)
            held.append(Held(child.number, view.person(), source_id=f"{child.number}/{copy}"))
            notes.setdefault(child.number, []).extend(view.errors)
    asked = []
    half = plan.questions // 2
    for child in [*draw.sample(known, half), *draw.sample(absent, half)]:
        view = _view(draw, child, past_homes=0.1)
        plan.distort(draw, view, child)
        errors = tuple(sorted({*view.errors, *notes.get(child.number, ())}))
        asked.append(Asked(child.number, view.person(), child.culture, errors))
    return DataSet(plan.name, held, asked, plan.seen)


def _children(draw: random.Random, count: int, cultures: Sequence[Culture]) -> Iterator[Child]:
    codes = _postcodes(draw, max(20, count // _CHILDREN_A_POSTCODE))
    number = 0
    while number < count:
        culture = draw.choice(cultures)
        family, other = culture.family(draw), culture.family(draw)
        if draw.random() < 0.04:
            family = f"{family}-{culture.family(draw)}"
        homes = tuple(draw.choice(codes) for _ in range(draw.choices((1, 2, 3), (60, 28, 12))[0]))
        born = _TODAY - datetime.timedelta(days=draw.randrange(30, 18 * 365))
        taken: set[str] = set()
        for place in range(draw.choices((1, 2, 3, 4), (38, 38, 16, 8))[0]):
            if place and draw.random() > 0.03:
                born += datetime.timedelta(days=draw.randrange(300, 1500))
            if born > _TODAY:
                break
            given = _given(draw, culture, taken)
            taken.add(_alike(given[0]))
            number += 1
            yield Child(number, culture.name, given, family, other, born, homes, _nhs_number(number))


def _given(draw: random.Random, culture: Culture, taken: set[str]) -> tuple[str, ...]:
    """A first name that no brother or sister has, and a middle name for two in three."""
    is_girl = draw.random() < 0.5
    names = [culture.given(draw, is_girl=is_girl) for _ in range(8)]
    first = next((name for name in names if _alike(name) not in taken), names[0])
    return (first, names[-1]) if draw.random() < 0.67 and names[-1] != first else (first,)


def _alike(name: str) -> str:
    """What parents would not name two children: the first two letters, without accents."""
    return unicodedata.normalize("NFD", name)[:2].casefold()


def _postcodes(draw: random.Random, count: int) -> list[str]:
    """Postcodes of an area that does not exist, about twenty to a sector and five sectors to a district."""
    codes = []
    for place in range(count):
        district, sector = divmod(place // 20, 9)
        codes.append(f"NX{district % 99 + 1} {sector + 1}{draw.choice(_LETTERS)}{draw.choice(_LETTERS)}")
    return codes


def _nhs_number(serial: int) -> str:
    """A number of the range kept for tests, or none where the check digit would be 10."""
    body = f"{999_000_000 + serial % 1_000_000}"
    check = (11 - sum(int(d) * w for d, w in zip(body, range(10, 1, -1), strict=True)) % 11) % 11
    return "" if check == 10 else f"{body}{check}"


def _view(draw: random.Random, child: Child, *, past_homes: float) -> View:
    """The child without error: current home, past ones where the writer keeps them, a number for 3 in 4."""
    homes = child.homes if draw.random() < past_homes else child.homes[:1]
    number = child.nhs_number if draw.random() < 0.75 else ""
    return View(list(child.given), child.family, child.born, list(homes), number)


def everyday(draw: random.Random, view: View, child: Child) -> None:
    """Errors at the rates that case systems report: most records have none or one."""
    for error, rate, change in _EVERYDAY:
        if draw.random() < rate:
            before = (list(view.given), view.family, view.born, list(view.homes))
            change(draw, view, child)
            if before != (view.given, view.family, view.born, view.homes):
                view.errors.append(error)


def harsh(draw: random.Random, view: View, child: Child) -> None:
    """Up to three changes of any kind anywhere, as makers of test data do: no habit of people in them."""
    for _ in range(draw.choices((0, 1, 2, 3), (58, 27, 11, 4))[0]):
        error, change = draw.choice(_HARSH)
        change(draw, view, child)
        view.errors.append(error)


def _first(change: Callable[[random.Random, str], str]) -> Distort:
    def apply(draw: random.Random, view: View, child: Child) -> None:
        if view.given:
            view.given[0] = change(draw, view.given[0])

    return apply


def _family(change: Callable[[random.Random, str], str]) -> Distort:
    def apply(draw: random.Random, view: View, child: Child) -> None:
        view.family = change(draw, view.family)

    return apply


def _dated(kind: str) -> Distort:
    def apply(draw: random.Random, view: View, child: Child) -> None:
        if view.born:
            view.born = slips.misdated(draw, view.born, kind)

    return apply


def _one_name(draw: random.Random, view: View, child: Child) -> None:
    del view.given[1:]


def _middle_initial(draw: random.Random, view: View, child: Child) -> None:
    view.given[1:] = [part[0] for part in view.given[1:]]


def _middle_first(draw: random.Random, view: View, child: Child) -> None:
    view.given.reverse()


def _swapped(draw: random.Random, view: View, child: Child) -> None:
    view.given, view.family = [view.family], " ".join(view.given[:1])


def _other_family(draw: random.Random, view: View, child: Child) -> None:
    view.family = child.other_family


def _renamed(draw: random.Random, view: View, child: Child) -> None:
    """The new name, with the old one kept beside it."""
    view.aliases.append(Name(tuple(view.given), view.family, "old"))
    view.family = child.other_family


def _half_family(draw: random.Random, view: View, child: Child) -> None:
    view.family = draw.choice(view.family.split("-"))


def _undated(draw: random.Random, view: View, child: Child) -> None:
    view.born = None


def _old_home(draw: random.Random, view: View, child: Child) -> None:
    view.homes = list(child.homes[1:2]) or view.homes


def _no_home(draw: random.Random, view: View, child: Child) -> None:
    view.homes = []


def _near_home(draw: random.Random, view: View, child: Child) -> None:
    """One sign of the postcode wrong."""
    if view.homes:
        code = view.homes[0]
        at = draw.choice((-1, -1, -2, -3))
        new = draw.choice(_LETTERS) if at > -3 else draw.choice("123456789")
        view.homes[0] = code[:at] + new + (code[at + 1 :] if at < -1 else "")


def _spaced(draw: random.Random, name: str) -> str:
    """A long name written in two."""
    return f"{name[:4]} {name[4:]}" if len(name) > 7 else name


_EVERYDAY: tuple[tuple[str, float, Distort], ...] = (
    ("middle name left out", 0.45, _one_name),
    ("middle initial", 0.1, _middle_initial),
    ("known by middle name", 0.008, _middle_first),
    ("first name mistyped", 0.02, _first(slips.mistyped)),
    ("first name misheard", 0.02, _first(slips.misheard)),
    ("first name misread", 0.004, _first(slips.misread)),
    ("first name cut", 0.015, _first(slips.cut)),
    ("first name in two", 0.004, _first(_spaced)),
    ("family name mistyped", 0.02, _family(slips.mistyped)),
    ("family name misheard", 0.02, _family(slips.misheard)),
    ("family name misread", 0.004, _family(slips.misread)),
    ("half of a double name", 0.3, _half_family),
    ("other family name", 0.01, _other_family),
    ("renamed, old name kept", 0.02, _renamed),
    ("names swapped", 0.006, _swapped),
    ("day and month swapped", 0.005, _dated("swapped")),
    ("date digit wrong", 0.006, _dated("digit")),
    ("year off by one", 0.003, _dated("year")),
    ("1 January", 0.002, _dated("january")),
    ("no birth date", 0.003, _undated),
    ("old postcode", 0.08, _old_home),
    ("no postcode", 0.03, _no_home),
    ("postcode mistyped", 0.015, _near_home),
)

_HARSH: tuple[tuple[str, Distort], ...] = (
    ("first name edited", _first(slips.any_edit)),
    ("first name edited", _first(slips.any_edit)),
    ("family name edited", _family(slips.any_edit)),
    ("family name edited", _family(slips.any_edit)),
    ("first name misheard", _first(slips.misheard)),
    ("family name misheard", _family(slips.misheard)),
    ("first name misread", _first(slips.misread)),
    ("names swapped", _swapped),
    ("middle name left out", _one_name),
    ("day and month swapped", _dated("swapped")),
    ("date digit wrong", _dated("digit")),
    ("date digit wrong", _dated("digit")),
    ("no birth date", _undated),
    ("old postcode", _old_home),
    ("old postcode", _old_home),
    ("no postcode", _no_home),
    ("postcode mistyped", _near_home),
)
