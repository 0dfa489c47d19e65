"""Person -> match keys: the byte strings by which two agencies' records of one child meet.

Holds:    the rules of matchkeys.toml and the name groups of nicknames.toml, both under one version.
Sees:     one person at a time; keys are personal data in the clear and never leave the node as they are.
Promises: deterministic, in a fixed order, so that a key may be stored by its ordinal; never sex or
          ethnicity; a missing or unusable field yields no key that needs it.
"""

from __future__ import annotations

import enum
import itertools
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any

from elsewhere.keyparts import Cell, codes_of, components, holds_postcode
from elsewhere.person.identifiers import is_nhs_number, is_upn, plain_identifier
from elsewhere.person.identity import Person
from elsewhere.person.places import Postcode, read_postcode
from elsewhere.person.readings import Reading, read_names

SLOTS = 40
_DOMAIN = b"elsewhere/matchkey/"
_WHEN = ("always", "unnamed", "undated")


class Strength(enum.IntEnum):
    """What one hit means: an identifier agrees, one child is meant, or a colleague might know."""

    WEAK = 1
    STRONG = 2
    IDENTIFIER = 3


@dataclass(frozen=True, slots=True)
class MatchKey:
    """One match key. `data` holds the rule's components in the clear and does not print."""

    rule: str
    strength: Strength
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of matchkeys.toml, ready to apply."""

    id: str
    strength: Strength
    parts: tuple[str, ...]
    why: str
    subject: str
    spread: bool
    record: str
    question: str
    prefix: bytes

    def __post_init__(self) -> None:
        unknown = [part for part in self.parts if part not in components()]
        if (
            unknown
            or self.subject not in ("child", "mother")
            or not {self.record, self.question} <= set(_WHEN)
        ):
            raise ValueError(f"rule {self.id}: unknown component, subject or condition {unknown}")

    @property
    def has_postcode(self) -> bool:
        """Whether a key of this rule tells anything of where a child lives."""
        return any(holds_postcode(part) for part in self.parts)

    @property
    def has_whole_first_name(self) -> bool:
        """Whether a key of this rule holds the whole first name, not its start or sound."""
        return any(part in ("f", "f~", "fl", "fl~") for part in self.parts)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The rules in order of use, under one version."""

    version: str
    edit_window: int
    rules: tuple[Rule, ...]


def version() -> str:
    """The version of rules, name groups and normalisation; both sides of a lookup must hold the same."""
    return _key_set().version


def rules() -> tuple[Rule, ...]:
    """The rules in the order of matchkeys.toml."""
    return _key_set().rules


def record_keys(person: Person, *, with_postcode: bool = True) -> tuple[MatchKey, ...]:
    """Return the keys under which a record can be found, in a fixed order, all different.

    Args:
        person: as the source wrote it.
        with_postcode: False leaves out every key that tells anything of where the child lives.
    """
    key_set = _key_set()
    subjects = _subjects(person, record=True, key_set=key_set)
    keys: dict[bytes, MatchKey] = {}
    for rule in key_set.rules:
        if with_postcode or not rule.has_postcode:
            cells = subjects[rule.subject]
            for cell in cells if rule.spread else cells[:1]:
                _add(keys, rule, rule.record, cell)
    return tuple(keys.values())


def question_keys(person: Person, *, slots: int = SLOTS) -> tuple[MatchKey, ...]:
    """Return the keys a question asks for, the most useful first, all different, at most `slots`.

    The name in use goes first under every rule; other names, parts of double names and past postcodes take
    the slots that are left over.
    """
    key_set = _key_set()
    subjects = _subjects(person, record=False, key_set=key_set)
    keys: dict[bytes, MatchKey] = {}
    for rank in range(max(len(cells) for cells in subjects.values())):
        for rule in key_set.rules:
            cells = subjects[rule.subject]
            if rank < len(cells) and (rule.spread or rank == 0):
                _add(keys, rule, rule.question, cells[rank])
    return tuple(itertools.islice(keys.values(), slots))


def _subjects(person: Person, *, record: bool, key_set: KeySet) -> dict[str, tuple[Cell, ...]]:
    """The cells of the child and of an unborn child's mother, the likeliest first."""
    places = _usable_postcodes(person)
    nhs, upn = person.nhs_number or "", person.upn or ""
    child = Cell(
        reading=Reading("", ""),
        date=person.birth_date,
        nhs_number=plain_identifier(nhs) if is_nhs_number(nhs) else "",
        upn=plain_identifier(upn) if is_upn(upn) else "",
        record=record,
        edit_window=key_set.edit_window,
    )
    mother: tuple[Cell, ...] = ()
    if person.unborn is not None:
        unborn = person.unborn
        number = unborn.nhs_number or ""
        own = replace(
            child,
            date=unborn.birth_date,
            due=unborn.due_date or person.birth_date,
            nhs_number=plain_identifier(number) if is_nhs_number(number) else "",
            upn="",
        )
        mother = tuple(_cells(own, read_names(unborn.names), places))
    return {"child": tuple(_cells(child, read_names(person.names), places)), "mother": mother}


def _usable_postcodes(person: Person) -> tuple[Postcode | None, ...]:
    """The postcodes that say where somebody lives, without repeats; (None,) where there is none."""
    read = (read_postcode(text) for text in person.postcodes)
    return tuple(dict.fromkeys(code for code in read if code and code.is_usable)) or (None,)


def _cells(base: Cell, readings: tuple[Reading, ...], places: tuple[Postcode | None, ...]) -> Iterator[Cell]:
    """Every reading with the current postcode, then the first reading with each past one."""
    if not base.record and readings:
        # A question sends one code of a nickname at first, its other codes with what is left over.
        others = (Reading(code, readings[0].family) for code in codes_of(readings[0].first)[1:])
        readings = tuple(dict.fromkeys((*readings, *others)))
    for reading in readings or (Reading("", ""),):
        yield replace(base, reading=reading, postcode=places[0])
    for place in places[1:]:
        yield replace(base, reading=readings[0] if readings else Reading("", ""), postcode=place)


def _add(keys: dict[bytes, MatchKey], rule: Rule, when: str, cell: Cell) -> None:
    """Add the keys of one rule for one cell, the product of its components' values."""
    if when == "unnamed" and cell.reading.first:
        return
    if when == "undated" and cell.date is not None and cell.date.is_exact:
        return
    table = components()
    values = []
    for part in rule.parts:
        found = table[part](cell)
        if not found:
            return
        values.append(found)
    for combination in itertools.product(*values):
        data = rule.prefix + b"".join(_framed(value) for value in combination)
        keys.setdefault(data, MatchKey(rule.id, rule.strength, data))


def _framed(value: str) -> bytes:
    """Length, then text: no two lists of components give the same bytes."""
    encoded = value.encode()
    return len(encoded).to_bytes(2, "big") + encoded


@cache
def _key_set() -> KeySet:
    """The key set of this version, read once."""
    return load_key_set(resources.files("elsewhere").joinpath("matchkeys.toml").read_text("utf-8"))


def load_key_set(text: str) -> KeySet:
    """Read a key set from TOML; a set this code cannot apply is a mistake of ours and raises ValueError."""
    document = tomllib.loads(text)
    name = document["version"]
    return KeySet(name, document["edit_window"], tuple(_load_rule(row, name) for row in document["rules"]))


def _load_rule(row: dict[str, Any], name: str) -> Rule:
    return Rule(
        id=row["id"],
        strength=Strength[row["strength"]],
        parts=tuple(row["parts"]),
        why=row.get("why", ""),
        subject=row.get("subject", "child"),
        spread=row.get("spread", True),
        record=row.get("record", "always"),
        question=row.get("question", "always"),
        prefix=_DOMAIN + _framed(name) + _framed(row["id"]),
    )
