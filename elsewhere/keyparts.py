"""The components that match-key rules are made of: one reading of a person -> the values of a component.

Sees:     folded names, a birth date, a postcode, of one person.
Promises: pure; a missing field gives no value. On the record a component may give several values (every code
          of a nickname), in a question the likeliest one; letter deletions are given on both sides, so that
          one insertion, deletion, substitution or neighbour swap still meets.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources

from elsewhere.person.dates import PartialDate
from elsewhere.person.places import Postcode
from elsewhere.person.readings import Reading

_VOWELS = re.compile(r"(?<=.)[aeiouyhw]+")
_DOUBLES = re.compile(r"(.)\1+")
_SOUNDS = (("ph", "f"), ("ck", "k"), ("ts", "s"), ("tz", "s"), ("hs", "s"), ("x", "ks"), ("z", "s"))
_SOUND_LETTERS = str.maketrans({"c": "k", "q": "k", "v": "f", "j": "i"})
_OPEN = frozenset("aeiouy")
_DUE_WINDOW_DAYS = 28
# Letter deletions reach this far: a slip in later letters leaves the start as it was, which other rules hold.
EDIT_WINDOW = 4


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Cell:
    """One reading of one person, with one postcode: what a key is built from. Does not print.

    `is_main`: the name in use with the current postcode, the only one whose letters are left out.
    `is_place`: the name in use with a past postcode.
    """

    reading: Reading
    date: PartialDate | None = None
    postcode: Postcode | None = None
    due: PartialDate | None = None
    nhs_number: str = ""
    upn: str = ""
    is_record: bool = False
    is_main: bool = True
    is_place: bool = False


class Values(dict[str, tuple[bytes, ...]]):
    """Component -> its values in one cell, framed, likeliest first; each worked out when first wanted."""

    __slots__ = ("_cell", "_components")

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self._cell, self._components = cell, components()

    def __missing__(self, part: str) -> tuple[bytes, ...]:
        found = self[part] = tuple([framed(value) for value in self._components[part](self._cell)])
        return found


def framed(value: str) -> bytes:
    """Length, then text: no two lists of components give the same bytes."""
    encoded = value.encode()
    return len(encoded).to_bytes(2, "big") + encoded


Component = Callable[[Cell], tuple[str, ...]]


@cache
def _codes_by_name() -> dict[str, tuple[str, ...]]:
    """Each first name of nicknames.toml with its codes, its own group first."""
    text = resources.files("elsewhere").joinpath("nicknames.toml").read_text("utf-8")
    codes: dict[str, list[str]] = {}
    for group in tomllib.loads(text)["groups"]:
        names = group.split()
        for name in names:
            codes.setdefault(name, []).append(names[0])
    # A group headed by the name itself comes first: the question sends that one.
    return {
        name: (name, *(head for head in heads if head != name)) if name in heads else tuple(heads)
        for name, heads in codes.items()
    }


def codes_of(first: str) -> tuple[str, ...]:
    """The codes under which a first name is compared: its own where it is in no group; () for none."""
    return _codes_by_name().get(first, (first,)) if first else ()


def skeleton(name: str) -> str:
    """The consonants of a name: no vowels, y, h, w nor doubles; k for c and q, s for z, a for a vowel first.

    "Mohammed" and "Muhammad", "Aleksandra" and "Alexandra", "Yousef" and "Josef", "Xiwei" and "Hsiwei" have
    one skeleton each. A name of one consonant is compared by its vowels too, as "Mia" and "May" are two.
    """
    if name.startswith("x"):
        name = "s" + name[1:]
    for written, sound in _SOUNDS:
        name = name.replace(written, sound)
    sounds = _DOUBLES.sub(r"\1", name.translate(_SOUND_LETTERS))
    bones = _VOWELS.sub("", sounds)
    if bones[:1] in _OPEN:
        bones = "a" + bones[1:]
    if len(bones) - (bones[:1] == "a") < 2:
        return sounds
    if bones == "hsn":
        # Hassan and Hussain are what twins are called.
        return "hasn" if sounds[1] == "a" else "husn"
    return "abd" + bones[4:] if bones.startswith("abdl") else bones


def deletions(text: str, window: int) -> list[str]:
    """The text with one of its first `window` letters left out; nothing for texts under three letters."""
    if len(text) < 3:
        return []
    return [text[:place] + text[place + 1 :] for place in range(min(window, len(text)))]


def is_one_edit(one: str, other: str) -> bool:
    """Whether one insertion, deletion, substitution or neighbour swap makes one text the other."""
    if len(one) > len(other):
        one, other = other, one
    if one == other or len(other) - len(one) > 1:
        return False
    start = next((i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))
    rest, longer = one[start:], other[start:]
    if len(one) < len(other):
        return rest == longer[1:]
    return rest[1:] == longer[1:] or (rest[:2] == longer[1::-1] and rest[2:] == longer[2:])


def _pair(one: str, other: str) -> str:
    """Two names in alphabetical order, so that a swap of first and family name meets."""
    return f"{one}|{other}" if one <= other else f"{other}|{one}"


def _both_names(cell: Cell) -> tuple[str, ...]:
    reading = cell.reading
    if not reading.first or not reading.family:
        return ()
    family = codes_of(reading.family)[0]
    codes = codes_of(reading.first)
    return tuple(_pair(code, family) for code in (codes if cell.is_record else codes[:1]))


def _both_names_edited(cell: Cell) -> tuple[str, ...]:
    """Both names as written, then each with one letter left out, earliest letters first."""
    first, family = cell.reading.first, cell.reading.family
    if not first or not family:
        return ()
    values = [_pair(first, family)]
    if cell.is_main:
        shorter = [[_pair(edited, family) for edited in deletions(first, EDIT_WINDOW)]]
        shorter += [[_pair(first, edited) for edited in deletions(family, EDIT_WINDOW)]]
        values += [pair for pairs in itertools.zip_longest(*shorter) for pair in pairs if pair]
    return tuple(dict.fromkeys(values))


def _first_code(cell: Cell) -> tuple[str, ...]:
    codes = codes_of(cell.reading.first)
    return codes if cell.is_record else codes[:1]


def _first_edited(cell: Cell) -> tuple[str, ...]:
    first = cell.reading.first
    if not first:
        return ()
    shorter = deletions(first, EDIT_WINDOW) if cell.is_main else ()
    return tuple(dict.fromkeys((*_first_code(cell), first, *shorter)))


def _both_skeletons(cell: Cell) -> tuple[str, ...]:
    reading = cell.reading
    if not reading.first or not reading.family:
        return ()
    return (_pair(skeleton(reading.first), skeleton(reading.family)),)


def _initial_and_name(cell: Cell) -> tuple[str, ...]:
    """First letter and family name; for a family name of one letter, and on records, the other way about."""
    first, family = cell.reading.first, cell.reading.family
    if not first or not family:
        return ()
    ways = (f"{first[0]}|{family}", f"{family[0]}|{first}")
    if cell.is_record and len(first) > 1 and len(family) > 1:
        return tuple(dict.fromkeys(ways))
    return ways[1:] if len(family) == 1 < len(first) else ways[:1]


def _two_firsts(cell: Cell) -> tuple[str, ...]:
    """The first two given names, in either order."""
    reading = cell.reading
    return (_pair(reading.first, reading.middle),) if reading.first and reading.middle else ()


def _names_agreeing(cell: Cell) -> tuple[str, ...]:
    """Both names as written, meeting only where second given names do not differ.

    A record says "any" and its second name or that it has none; a question with a second name asks for that
    and for "none", one without asks for "any". So Maria Rosa and Maria Pilar, sisters, stay apart.
    """
    first, family, middle = cell.reading.first, cell.reading.family, cell.reading.middle
    if not first or not family:
        return ()
    names = _pair(first, family)
    if cell.is_record:
        return (f"{names}|*", f"{names}|{middle or '-'}")
    return (f"{names}|{middle}", f"{names}|-") if middle else (f"{names}|*",)


def _start(attribute: str, size: int) -> Component:
    """The first letters of a name; a shorter name is given whole."""

    def start(cell: Cell) -> tuple[str, ...]:
        text: str = getattr(cell.reading, attribute)
        return (text[:size],) if text else ()

    return start


def _skeleton(attribute: str) -> Component:
    def bones(cell: Cell) -> tuple[str, ...]:
        text: str = getattr(cell.reading, attribute)
        return (skeleton(text),) if text else ()

    return bones


def _days(cell: Cell) -> tuple[str, ...]:
    """The full date. On a record an unknown day is given as people fill it in: as it stands, as 1, as 15."""
    date = cell.date
    if date is None or date.date is None or not date.has_month:
        return ()
    if date.is_exact or not cell.is_record:
        return (date.date.isoformat(),)
    return tuple(date.date.replace(day=day).isoformat() for day in (date.date.day, 1, 15))


def _days_swapped(cell: Cell) -> tuple[str, ...]:
    """Year, and day and month in order of size, so that 03/07 and 07/03 meet."""
    return tuple(f"{day[:4]}-{min(day[5:7], day[8:])}-{max(day[5:7], day[8:])}" for day in _days(cell))


def _month(cell: Cell) -> tuple[str, ...]:
    date = cell.date
    return (f"{date.date:%Y-%m}",) if date and date.date and date.has_month else ()


def _year_day(cell: Cell) -> tuple[str, ...]:
    date = cell.date
    return (f"{date.date:%Y-%d}",) if date and date.date and date.is_exact else ()


def _day_month(cell: Cell) -> tuple[str, ...]:
    date = cell.date
    return (f"{date.date:%m-%d}",) if date and date.date and date.is_exact else ()


def _due(cell: Cell) -> tuple[str, ...]:
    """Four-week windows: the record holds its own and both neighbours, so estimates may differ by a month."""
    if cell.due is None or cell.due.date is None or not cell.due.has_month:
        return ()
    window = cell.due.date.toordinal() // _DUE_WINDOW_DAYS
    return tuple(str(w) for w in ((window, window - 1, window + 1) if cell.is_record else (window,)))


def _postcode(part: str) -> Component:
    def code(cell: Cell) -> tuple[str, ...]:
        return (getattr(cell.postcode, part),) if cell.postcode else ()

    return code


def _text(attribute: str) -> Component:
    def value(cell: Cell) -> tuple[str, ...]:
        text: str = getattr(cell, attribute)
        return (text,) if text else ()

    return value


@cache
def components() -> dict[str, Component]:
    """Every component a rule may name."""
    table: dict[str, Component] = {
        "fl": _both_names,
        "fl~": _both_names_edited,
        "f": _first_code,
        "f~": _first_edited,
        "l": _start("family", 1000),
        "fl1": _initial_and_name,
        "fm": _two_firsts,
        "fl2": _names_agreeing,
        "fkl": _both_skeletons,
        "fk": _skeleton("first"),
        "lk": _skeleton("family"),
        "dob": _days,
        "dq": _days_swapped,
        "ym": _month,
        "yd": _year_day,
        "md": _day_month,
        "due": _due,
        "p": _postcode("text"),
        "p3": _postcode("sector"),
        "po": _postcode("outward"),
        "nhs": _text("nhs_number"),
        "upn": _text("upn"),
    }
    for size in (1, 2, 3, 4, 5):
        table[f"f{size}"] = _start("first", size)
        table[f"l{size}"] = _start("family", size)
    return table


def holds_postcode(component: str) -> bool:
    """Whether a component tells anything of where a child lives."""
    return component in ("p", "p3", "po")
