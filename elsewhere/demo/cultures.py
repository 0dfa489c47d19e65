"""Cultures of names, read from `names/`: weighted lists, and how names of each kind behave in families.

Promises: nothing here is shared with what matches records: no table, no import.
Source:   elsewhere/demo/names/SOURCES.md.
"""

from __future__ import annotations

import functools
import itertools
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from elsewhere.demo.draw import Draw

_VOWELS = "aeiouyáéíóúâêîôûäöüăąęıіıəèëãõàùűő"


@dataclass(frozen=True, slots=True)
class NameList:
    """Names with the running sums of their weights."""

    names: tuple[str, ...]
    sums: tuple[int, ...]

    def draw(self, draw: Draw) -> str:
        """One of them, as likely as it is common."""
        return self.names[draw.weighted(self.sums)]


@dataclass(frozen=True, slots=True)
class Part:
    """Given and family names that go together."""

    girls: NameList
    boys: NameList
    families: NameList


@dataclass(frozen=True, slots=True)
class Culture:
    """Names of one kind; shares are from 0 to 1. `spellings`: letters that are written for one another."""

    id: str
    share: float
    double: float
    middle: float
    patronymic: float
    english: float
    second: float
    spellings: tuple[tuple[str, str], ...]
    short: str
    feminine: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
    part_sums: tuple[float, ...]

    def part(self, draw: Draw) -> Part:
        """Draw the part that one household's names come from."""
        return self.parts[draw.weighted(self.part_sums)]

    def family(self, draw: Draw, part: Part) -> str:
        """One family name, or two joined, as a boy bears it."""
        name = part.families.draw(draw)
        if draw.chance(self.double):
            other = part.families.draw(draw)
            return name if other == name else f"{name}-{other}"
        return name

    def borne(self, family: str, sex: str) -> str:
        """The family name as a child of that sex bears it: a sister of Kowalski is Kowalska."""
        if sex == "F":
            for masculine, feminine in self.feminine:
                if family.endswith(masculine):
                    return family.removesuffix(masculine) + feminine
        return family


def cultures() -> tuple[Culture, ...]:
    """Every culture, in the order of `names/cultures.toml`; read once."""
    return _cultures()[0]


def draw_culture(draw: Draw, *, is_even: bool = False) -> Culture:
    """One household's culture; `is_even`: each as likely as another, whatever its share."""
    found, sums = _cultures()
    return draw.pick(found) if is_even else found[draw.weighted(sums)]


def culture_of(id: str) -> Culture:
    """The culture of that id; KeyError for none."""
    return _by_id()[id]


@functools.cache
def nicknames() -> dict[str, tuple[str, ...]]:
    """English first names, in lower case, with what they are shortened to."""
    lines = (line.split("\t") for line in _text("nicknames.tsv").splitlines())
    return {name: tuple(short.split()) for name, short in lines}


def short_form(draw: Draw, name: str, culture: Culture) -> str:
    """What a child of that first name is called at home; empty if the name does not shorten."""
    known = nicknames().get(name.lower(), ())
    if known and culture.short == "list":
        return draw.pick(known).title()
    letters = name.split(" ")[0].split("-")[0]
    cuts = [at for at in range(3, len(letters) - 1) if (letters[at - 1].lower() in _VOWELS)]
    if not cuts or len(letters) < 6:
        return ""
    if culture.short == "end":
        starts = [at for at in cuts if len(letters) - at >= 3 and letters[at].lower() not in _VOWELS]
        return letters[draw.pick(starts) :].title() if starts else ""
    if culture.short == "list":
        stem = letters[: 3 + (letters[2].lower() in _VOWELS)]
        return stem + draw.pick(("ie", "y"))
    return letters[: draw.pick(cuts)]


def _text(file: str) -> str:
    return resources.files("elsewhere.demo").joinpath("names", file).read_text("utf-8")


@functools.cache
def _cultures() -> tuple[tuple[Culture, ...], tuple[float, ...]]:
    tables = tomllib.loads(_text("cultures.toml"))["cultures"]
    found = tuple(
        Culture(
            id=table["id"],
            share=table["share"] / 100,
            double=table["double"] / 100,
            middle=table["middle"] / 100,
            patronymic=table.get("patronymic", 0) / 100,
            english=table.get("english", 0) / 100,
            second=table.get("second", 0) / 100,
            spellings=tuple(_pair(text) for text in table["spellings"]),
            short=table["short"],
            feminine=tuple(_pair(text) for text in table.get("feminine", ())),
            parts=tuple(_part(part["id"]) for part in table["parts"]),
            part_sums=tuple(itertools.accumulate(part["weight"] for part in table["parts"])),
        )
        for table in tables
    )
    return found, tuple(itertools.accumulate(culture.share for culture in found))


@functools.cache
def _by_id() -> dict[str, Culture]:
    return {culture.id: culture for culture in cultures()}


def _pair(text: str) -> tuple[str, str]:
    one, _, other = text.partition("=")
    return one, other


def _part(id: str) -> Part:
    lists: dict[str, list[tuple[str, int]]] = {"girl": [], "boy": [], "any": [], "family": []}
    for line in _text(f"{id}.tsv").splitlines():
        kind, name, weight = line.split("\t")
        lists[kind].append((name, int(weight)))
    # Names of either sex are a list of their own: where there are few, they are as rare as the list is short.
    either = lists["any"]
    share = 1.0 if not lists["girl"] else len(either) / (len(either) + len(lists["girl"]) + len(lists["boy"]))
    rare = [(name, max(1, round(weight * share))) for name, weight in either]
    return Part(
        _name_list(lists["girl"] + rare), _name_list(lists["boy"] + rare), _name_list(lists["family"])
    )


def _name_list(entries: Sequence[tuple[str, int]]) -> NameList:
    return NameList(tuple(n for n, _ in entries), tuple(itertools.accumulate(w for _, w in entries)))
