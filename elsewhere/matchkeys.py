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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any

from elsewhere.keyparts import Cell, codes_of, components, framed, holds_postcode
from elsewhere.lookup import SLOTS
from elsewhere.person.identifiers import is_nhs_number, is_upn, plain_identifier
from elsewhere.person.identity import Person
from elsewhere.person.places import Postcode, read_postcode
from elsewhere.person.readings import Reading, read_names

_DOMAIN = b"elsewhere/matchkey/"
_WHEN = ("always", "unnamed", "initial", "undated")
_OTHER_SLOTS = 10
_UNREAD = Reading("", "")


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
    """One row of matchkeys.toml, ready to apply; `has_postcode`: its keys tell of where a child lives."""

    id: str
    strength: Strength
    parts: tuple[str, ...]
    why: str
    subject: str
    names: bool
    places: bool
    record: str
    question: str
    prefix: bytes
    has_postcode: bool

    def __post_init__(self) -> None:
        unknown = [part for part in self.parts if part not in components()]
        if (
            unknown
            or self.subject not in ("child", "mother")
            or not {self.record, self.question} <= set(_WHEN)
        ):
            raise ValueError(f"rule {self.id}: unknown component, subject or condition {unknown}")

    def covers(self, cell: Cell) -> bool:
        """Whether this rule is for the name in use, another reading of it, or a past postcode."""
        return cell.is_main or (self.places and self.has_postcode if cell.is_place else self.names)

    @property
    def has_whole_first_name(self) -> bool:
        """Whether a key of this rule holds the whole first name, not its start or sound."""
        return any(part in ("f", "f~", "fl", "fl~") for part in self.parts)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The rules in order of use, under one version, also sorted by what they apply to."""

    version: str
    rules: tuple[Rule, ...]
    _plans: dict[tuple[str, bool, bool], tuple[Rule, ...]] = field(default_factory=dict, repr=False)

    def rules_for(self, subject: str, cell: Cell) -> tuple[Rule, ...]:
        """The rules for the name in use, another reading of it, or a past postcode, of child or mother."""
        kind = (subject, cell.is_main, cell.is_place)
        plan = self._plans.get(kind)
        if plan is None:
            plan = tuple(rule for rule in self.rules if rule.subject == subject and rule.covers(cell))
            self._plans[kind] = plan
        return plan


@dataclass(frozen=True, slots=True)
class Explained:
    """One key in words, for the eyes of those who typed the person: never log it."""

    rule: str
    strength: Strength
    why: str
    values: tuple[str, ...] = field(repr=False)


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
    keys: dict[bytes, MatchKey] = {}
    key_set = _key_set()
    for subject, cells in _subjects(person, is_record=True).items():
        for cell in cells:
            for rule in key_set.rules_for(subject, cell):
                if with_postcode or not rule.has_postcode:
                    for key in _keys(rule, rule.record, cell):
                        keys.setdefault(key.data, key)
    return tuple(keys.values())


def question_keys(person: Person, *, slots: int = SLOTS) -> tuple[MatchKey, ...]:
    """Return the keys a question asks for, the most useful first, all different, at most `slots`.

    First the name in use under every rule; then other names, parts of double names and past postcodes under
    the rules that spread; then the name in use with a letter left out, early letters first, as the rules on
    name starts cover late ones. What does not fit is dropped from the end.
    """
    whole: dict[bytes, MatchKey] = {}
    edited: dict[bytes, MatchKey] = {}
    other: dict[bytes, MatchKey] = {}
    key_set = _key_set()
    for subject, cells in _subjects(person, is_record=False).items():
        for cell in cells[:1]:
            plain = replace(cell, is_main=False)
            for rule in key_set.rules_for(subject, cell):
                whole.update((key.data, key) for key in _keys(rule, rule.question, plain))
                edited.update((key.data, key) for key in _keys(rule, rule.question, cell))
        for cell in cells[1:]:
            for rule in key_set.rules_for(subject, cell):
                other.update((key.data, key) for key in _keys(rule, rule.question, cell))
    others = iter(other.items())
    keys = whole | dict(itertools.islice(others, _OTHER_SLOTS)) | edited | dict(others)
    return tuple(itertools.islice(keys.values(), slots))


def explain(keys: Iterable[MatchKey]) -> tuple[Explained, ...]:
    """Say in words what each key is made of, in the order given."""
    by_id = {rule.id: rule for rule in _key_set().rules}
    return tuple(
        Explained(
            key.rule, key.strength, by_id[key.rule].why, _unframed(key.data[len(by_id[key.rule].prefix) :])
        )
        for key in keys
    )


def _unframed(data: bytes) -> tuple[str, ...]:
    """The texts of framed components."""
    texts = []
    while data:
        end = 2 + int.from_bytes(data[:2], "big")
        texts.append(data[2:end].decode())
        data = data[end:]
    return tuple(texts)


def _subjects(person: Person, *, is_record: bool) -> dict[str, tuple[Cell, ...]]:
    """The cells of the child and of an unborn child's mother, the likeliest first."""
    places = _usable_postcodes(person)
    child = Cell(
        reading=_UNREAD,
        date=person.birth_date,
        nhs_number=_valid(person.nhs_number, is_nhs_number),
        upn=_valid(person.upn, is_upn),
        is_record=is_record,
    )
    mother: tuple[Cell, ...] = ()
    if person.unborn is not None:
        unborn = person.unborn
        own = replace(
            child,
            date=unborn.birth_date,
            due=unborn.due_date or person.birth_date,
            nhs_number=_valid(unborn.nhs_number, is_nhs_number),
            upn="",
        )
        mother = tuple(_cells(own, read_names(unborn.names), places))
    return {"child": tuple(_cells(child, read_names(person.names), places)), "mother": mother}


def _valid(number: str | None, is_valid: Callable[[str], bool]) -> str:
    """A number in plain form, or "" for one that is missing or cannot be right."""
    return plain_identifier(number) if number and is_valid(number) else ""


def _usable_postcodes(person: Person) -> tuple[Postcode | None, ...]:
    """The postcodes that say where somebody lives, without repeats; (None,) where there is none."""
    read = (read_postcode(text) for text in person.postcodes)
    return tuple(dict.fromkeys(code for code in read if code and code.is_usable)) or (None,)


def _cells(base: Cell, readings: tuple[Reading, ...], places: tuple[Postcode | None, ...]) -> Iterator[Cell]:
    """Every reading with the current postcode, then the first reading with each past one."""
    if not base.is_record and readings:
        # A question sends one code of a nickname at first, its other codes with what is left over.
        alike = [Reading(code, readings[0].family) for code in codes_of(readings[0].first)[1:]]
        readings = tuple(dict.fromkeys((readings[0], *alike, *readings[1:])))
    main = readings[0] if readings else _UNREAD
    yield replace(base, reading=main, postcode=places[0])
    for reading in readings[1:]:
        yield replace(base, reading=reading, postcode=places[0], is_main=False)
    for place in places[1:]:
        yield replace(base, reading=main, postcode=place, is_main=False, is_place=True)


def _keys(rule: Rule, when: str, cell: Cell) -> list[MatchKey]:
    """The keys of one rule for one cell: the product of its components' values, in their order."""
    if when != "always" and not _applies(when, cell):
        return []
    values = []
    for part in rule.parts:
        found = cell.values(part)
        if not found:
            return []
        values.append(found)
    name, strength, prefix = rule.id, rule.strength, rule.prefix
    return [MatchKey(name, strength, b"".join((prefix, *parts))) for parts in itertools.product(*values)]


def _applies(when: str, cell: Cell) -> bool:
    """Whether a rule's condition holds: no first name, one letter of it, or no exact date."""
    if when == "unnamed":
        return not cell.reading.first
    if when == "initial":
        return len(cell.reading.first) == 1
    if when == "undated":
        return cell.date is None or not cell.date.is_exact
    return True


@cache
def _key_set() -> KeySet:
    """The key set of this version, read once."""
    return load_key_set(resources.files("elsewhere").joinpath("matchkeys.toml").read_text("utf-8"))


def load_key_set(text: str) -> KeySet:
    """Read a key set from TOML; a set this code cannot apply is a mistake of ours and raises ValueError."""
    document = tomllib.loads(text)
    name = document["version"]
    return KeySet(name, tuple(_load_rule(row, name) for row in document["rules"]))


def _load_rule(row: dict[str, Any], name: str) -> Rule:
    return Rule(
        id=row["id"],
        strength=Strength[row["strength"]],
        parts=tuple(row["parts"]),
        why=row.get("why", ""),
        subject=row.get("subject", "child"),
        names=row.get("names", True),
        places=row.get("places", True),
        record=row.get("record", "always"),
        question=row.get("question", "always"),
        prefix=_DOMAIN + framed(name) + framed(row["id"]),
        has_postcode=any(holds_postcode(part) for part in row["parts"]),
    )
