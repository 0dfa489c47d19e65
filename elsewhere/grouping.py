"""Which records of one agency are one child: decided once at load, so that an answer speaks of children.

Sees:     all records of one agency while loading; keeps of each a few words, not the record.
Promises: linear in records and keys; twins, and records marked to stay apart, are never joined by a key.
          Joining two children would answer about the wrong one, so doubt keeps records apart: two groups
          hit by one question are answered POSSIBLE.
"""

from __future__ import annotations

import datetime
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from elsewhere.keyparts import codes_of, is_one_edit
from elsewhere.person.identifiers import is_nhs_number, is_upn, plain_identifier
from elsewhere.person.identity import Person
from elsewhere.person.readings import read_names

# A key that more groups than this share tells nothing, and comparing all of them would not be linear.
_CANDIDATES = 8
_LONG_NAME = 5
_WORD = 2**64 - 1

Ref = TypeVar("Ref", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Groupable(Generic[Ref]):
    """One record as grouping needs it.

    `strong`: its STRONG match keys, or tags of them, of any kind that compares equal. `apart`: never join it
    with any other record (adopted, identity shielded), not even under the same source person id.
    """

    ref: Ref
    source_person_id: str
    person: Person = field(repr=False)
    strong: tuple[Hashable, ...] = field(repr=False)
    apart: bool = False


@dataclass(slots=True)
class _Group(Generic[Ref]):
    """What is known of one group so far."""

    members: list[Ref]
    identifiers: dict[str, set[str]]
    firsts: set[str]
    dates: set[datetime.date]


def group_records(items: Iterable[Groupable[Ref]]) -> tuple[tuple[Ref, ...], ...]:
    """Group the records of each child.

    Records are one child if they have the same source person id; or the same valid identifier and no
    conflicting first name; or share a STRONG key with no conflicting identifier, first name or birth date.

    Returns: the refs of every group in order of its first record; each record is in exactly one group.
    """
    forest: _Forest[Ref] = _Forest()
    by_source: dict[str, int] = {}
    by_identifier: dict[tuple[str, str], list[int]] = {}
    hashes, nodes = array("Q"), array("Q")
    for node, item in enumerate(items):
        group = _group_of(item)
        forest.add(group)
        if item.apart:
            continue
        if item.source_person_id:
            forest.join(by_source.setdefault(item.source_person_id, node), node)
        for kind, numbers in group.identifiers.items():
            for number in numbers:
                by_identifier.setdefault((kind, number), []).append(node)
        for key in item.strong:
            hashes.append(hash(key) & _WORD)
            nodes.append(node)
    for run in by_identifier.values():
        forest.meet(run, _agree_on_name)
    for run in _runs(hashes, nodes):
        forest.meet(run, _agree)
    return forest.groups()


class _Forest(Generic[Ref]):
    """Union-find over record numbers; each root carries what its group knows."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._group: list[_Group[Ref] | None] = []

    def add(self, group: _Group[Ref]) -> None:
        """Add the next record, a group by itself."""
        self._parent.append(len(self._parent))
        self._group.append(group)

    def meet(self, run: Sequence[int], agree: Callable[[_Group[Ref], _Group[Ref]], bool]) -> None:
        """Join those records of a run, which share something, whose groups agree."""
        roots: list[int] = []
        for node in run:
            own = self._root(node)
            roots = list(dict.fromkeys(self._root(root) for root in roots))
            friend = next((r for r in roots if r == own or agree(self._of(r), self._of(own))), None)
            if friend is not None:
                self.join(friend, own)
            elif len(roots) < _CANDIDATES:
                roots.append(own)

    def join(self, one: int, other: int) -> None:
        """Make one group of two; the earlier record's root stays."""
        first, second = sorted((self._root(one), self._root(other)))
        if first == second:
            return
        kept, gone = self._of(first), self._of(second)
        kept.members += gone.members
        for kind, numbers in gone.identifiers.items():
            kept.identifiers.setdefault(kind, set()).update(numbers)
        kept.firsts |= gone.firsts
        kept.dates |= gone.dates
        self._parent[second], self._group[second] = first, None

    def groups(self) -> tuple[tuple[Ref, ...], ...]:
        """Every group's refs, in order of first record."""
        return tuple(tuple(group.members) for group in self._group if group is not None)

    def _root(self, node: int) -> int:
        while self._parent[node] != node:
            self._parent[node] = self._parent[self._parent[node]]
            node = self._parent[node]
        return node

    def _of(self, root: int) -> _Group[Ref]:
        group = self._group[root]
        if group is None:
            raise ValueError("only a root carries a group")
        return group


def _group_of(item: Groupable[Ref]) -> _Group[Ref]:
    """What one record says for and against being one child with another."""
    person = item.person
    identifiers: dict[str, set[str]] = {}
    if person.nhs_number and is_nhs_number(person.nhs_number):
        identifiers["nhs"] = {plain_identifier(person.nhs_number)}
    if person.upn and is_upn(person.upn):
        identifiers["upn"] = {plain_identifier(person.upn)}
    firsts = {
        code for reading in read_names(person.names) for code in (reading.first, *codes_of(reading.first))
    }
    exact = person.birth_date.date if person.birth_date and person.birth_date.is_exact else None
    return _Group([item.ref], identifiers, firsts - {""}, {exact} if exact else set())


def _runs(hashes: array[int], nodes: array[int]) -> Iterator[list[int]]:
    """The record numbers that share a key, in order, for every key that several records have."""
    # Sorted arrays instead of a dictionary: a million records have tens of millions of keys.
    import numpy as np

    if not hashes:
        return
    keys, owners = np.frombuffer(hashes, dtype=np.uint64), np.frombuffer(nodes, dtype=np.uint64)
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    ends = np.append(starts[1:], len(ranked))
    for which in np.flatnonzero(ends - starts > 1):
        yield [int(owner) for owner in owners[order[starts[which] : ends[which]]]]


def _agree(one: _Group[Ref], other: _Group[Ref]) -> bool:
    """Whether nothing speaks against two groups being one child."""
    for kind, numbers in one.identifiers.items():
        if other.identifiers.get(kind) and numbers.isdisjoint(other.identifiers[kind]):
            return False
    return _agree_on_name(one, other) and _agree_on_date(one, other)


def _agree_on_name(one: _Group[Ref], other: _Group[Ref]) -> bool:
    """Whether a first name is missing, shared, a known form of another, or a slip in a long one."""
    if not one.firsts or not other.firsts or not one.firsts.isdisjoint(other.firsts):
        return True
    # Twins are often named alike (Mia and Mila, Ella and Emma), so short names must be equal.
    return any(
        min(len(name), len(twin)) >= _LONG_NAME and name[0] == twin[0] and is_one_edit(name, twin)
        for name in one.firsts
        for twin in other.firsts
    )


def _agree_on_date(one: _Group[Ref], other: _Group[Ref]) -> bool:
    """Whether birth dates are missing, differ in one part only, or have day and month swapped."""
    return not one.dates or not other.dates or any(_is_near(d, e) for d in one.dates for e in other.dates)


def _is_near(date: datetime.date, other: datetime.date) -> bool:
    same = (date.year == other.year) + (date.month == other.month) + (date.day == other.day)
    return same >= 2 or (date.year, date.month, date.day) == (other.year, other.day, other.month)
