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

from elsewhere.keyparts import Cell, Values, codes_of, components, framed, holds_postcode
from elsewhere.lookup import SLOTS
from elsewhere.person.identifiers import is_nhs_number, is_upn, plain_identifier
from elsewhere.person.identity import Person
from elsewhere.person.places import Postcode, read_postcode
from elsewhere.person.readings import Reading, read_names

_DOMAIN = b"elsewhere/matchkey/"
_WHEN = ("always", "unnamed", "initial", "short", "undated")
_WHERE = ("both", "record", "none")
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
class _Plan:
    """What decides which rules apply: the side, whose names and postcode, and what is missing in them."""

    subject: str
    is_record: bool
    is_main: bool
    is_place: bool
    with_postcode: bool
    lacks: frozenset[str]


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of matchkeys.toml, ready to apply; `has_postcode`: its keys tell of where a child lives."""

    id: str
    strength: Strength
    parts: tuple[str, ...]
    why: str
    subject: str
    names: str
    places: str
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
            or not {self.names, self.places} <= set(_WHERE)
        ):
            raise ValueError(f"rule {self.id}: unknown component, subject or condition {unknown}")

    def covers(self, plan: _Plan) -> bool:
        """Whether this rule is for that side, name and postcode of a person who lacks that much."""
        when = self.record if plan.is_record else self.question
        if self.subject != plan.subject or (when != "always" and when not in plan.lacks):
            return False
        if self.has_postcode and not plan.with_postcode:
            return False
        if plan.is_place and not self.has_postcode:
            return plan.is_main
        spreads = self.places if plan.is_place else self.names
        return plan.is_main or spreads == "both" or (spreads == "record" and plan.is_record)

    @property
    def has_whole_first_name(self) -> bool:
        """Whether a key of this rule holds the whole first name, not its start or sound."""
        return any(part in ("f", "f~", "fl", "fl~", "fl2", "fm") for part in self.parts)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The rules in order of use, under one version, also sorted by what they apply to."""

    version: str
    rules: tuple[Rule, ...]
    _plans: dict[tuple[object, ...], tuple[Rule, ...]] = field(default_factory=dict, repr=False)

    def rules_for(self, subject: str, cell: Cell, *, with_postcode: bool = True) -> tuple[Rule, ...]:
        """The rules that apply to one cell of the child or its mother, in order."""
        lacks = _lacks(cell)
        kind = (subject, cell.is_record, cell.is_main, cell.is_place, with_postcode, lacks)
        rules = self._plans.get(kind)
        if rules is None:
            plan = _Plan(*kind)
            rules = self._plans[kind] = tuple(rule for rule in self.rules if rule.covers(plan))
        return rules


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


def current_key_set() -> KeySet:
    """The rules in use, to leave some out or add some when measuring."""
    return _key_set()


def record_keys(
    person: Person, *, with_postcode: bool = True, key_set: KeySet | None = None
) -> tuple[MatchKey, ...]:
    """Return the keys under which a record can be found, in a fixed order, all different.

    Args:
        person: as the source wrote it.
        with_postcode: False leaves out every key that tells anything of where the child lives.
        key_set: other rules than this version's, to measure what each of them brings.
    """
    return tuple(_record_keys(person, with_postcode, key_set or _key_set()))


def derive_record_keys(person: Person, *, with_postcode: bool = True) -> Iterator[MatchKey]:
    """As `record_keys`, but each key is derived when it is asked for."""
    return _record_keys(person, with_postcode, _key_set())


def question_keys(
    person: Person, *, slots: int = SLOTS, key_set: KeySet | None = None
) -> tuple[MatchKey, ...]:
    """Return the keys a question asks for, the most useful first, all different, at most `slots`.

    First the name in use under every rule; then other names, parts of double names and past postcodes under
    the rules that spread; then the name in use with a letter left out, early letters first, as the rules on
    name starts cover late ones. What does not fit is dropped from the end.
    """
    whole: dict[bytes, Rule] = {}
    edited: dict[bytes, Rule] = {}
    other: dict[bytes, Rule] = {}
    key_set = key_set or _key_set()
    for subject, cells in _subjects(person, is_record=False).items():
        for cell in cells[:1]:
            plain, slipped = Values(replace(cell, is_main=False)), Values(cell)
            for rule in key_set.rules_for(subject, cell):
                whole.update(dict.fromkeys(_keys(rule, plain), rule))
                edited.update(dict.fromkeys(_keys(rule, slipped), rule))
        for cell in cells[1:]:
            values = Values(cell)
            for rule in key_set.rules_for(subject, cell):
                other.update(dict.fromkeys(_keys(rule, values), rule))
    others = iter(other.items())
    keys = whole | dict(itertools.islice(others, _OTHER_SLOTS)) | edited | dict(others)
    return tuple(
        MatchKey(rule.id, rule.strength, data) for data, rule in itertools.islice(keys.items(), slots)
    )


def explain(keys: Iterable[MatchKey]) -> tuple[Explained, ...]:
    """Say in words what each key is made of, in the order given."""
    by_id = {rule.id: rule for rule in _key_set().rules}
    return tuple(
        Explained(
            key.rule, key.strength, by_id[key.rule].why, _unframed(key.data[len(by_id[key.rule].prefix) :])
        )
        for key in keys
    )


def _record_keys(person: Person, with_postcode: bool, key_set: KeySet) -> Iterator[MatchKey]:
    """The keys of a record as they are derived, each once."""
    seen: set[bytes] = set()
    for subject, cells in _subjects(person, is_record=True).items():
        for cell in cells:
            values = Values(cell)
            for rule in key_set.rules_for(subject, cell, with_postcode=with_postcode):
                for data in _keys(rule, values):
                    if data not in seen:
                        seen.add(data)
                        yield MatchKey(rule.id, rule.strength, data)


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


def _keys(rule: Rule, values: Values) -> list[bytes]:
    """The keys of one rule for one cell: the product of its components' values, in their order."""
    keys = [rule.prefix]
    for part in rule.parts:
        found = values[part]
        if len(found) == 1:
            tail = found[0]
            keys = [key + tail for key in keys]
        elif found:
            keys = [key + value for key in keys for value in found]
        else:
            return []
    return keys


def _lacks(cell: Cell) -> frozenset[str]:
    """What is missing: the first name, all but a letter or three of a name, or the exact date."""
    first, family = cell.reading.first, cell.reading.family
    return frozenset(
        when
        for when, holds in (
            ("unnamed", not first),
            ("initial", len(first) == 1 or len(family) == 1),
            ("short", len(first) == 3),
            ("undated", cell.date is None or not cell.date.is_exact),
        )
        if holds
    )


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
        names=row.get("names", "none"),
        places=row.get("places", "none"),
        record=row.get("record", "always"),
        question=row.get("question", "always"),
        prefix=_DOMAIN + framed(name) + framed(row["id"]),
        has_postcode=any(holds_postcode(part) for part in row["parts"]),
    )
