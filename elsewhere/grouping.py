"""Which records of one agency are one child: decided once at load, so that an answer speaks of children.

Sees:     all records of one agency while loading; keeps of each some 64-bit words, not the record, and every
          first name once.
Promises: linear in records and keys; twins, and records marked to stay apart, are never joined by a key.
          Joining two children would answer about the wrong one, so doubt keeps records apart: two groups
          hit by one question are answered POSSIBLE.
"""

from __future__ import annotations

import datetime
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from elsewhere.keyparts import codes_of, is_one_edit
from elsewhere.person.identifiers import is_nhs_number, is_upn, plain_identifier
from elsewhere.person.identity import Person
from elsewhere.person.readings import read_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# A key that more groups than this share tells nothing, and comparing all of them would not be linear.
_CANDIDATES = 8
_LONG_NAME = 5
_WORD = 2**64 - 1
_SORTED_AT_ONCE = 1_000_000

# A fact is a word: its kind in the two highest bits, and a number that stands for it.
_NHS, _UPN, _FIRST, _DATE = (kind << 62 for kind in range(4))
_KIND, _VALUE = 3 << 62, (1 << 62) - 1


@dataclass(frozen=True, slots=True)
class Groupable:
    """One record as grouping needs it.

    `ref`: any number under 2^63. `strong`: its STRONG match keys, hashed to 8 bytes each. `apart`: never join
    it with any other record (adopted, identity shielded), not even under the same source person id.
    """

    ref: int
    source_person_id: str
    person: Person = field(repr=False)
    strong: bytes = field(repr=False)
    apart: bool = False


class Groups:
    """The refs of every child's records, children in the order of their first record, as records are."""

    def __init__(self, refs: array[int], sizes: array[int]) -> None:
        self._refs, self._sizes = refs, sizes

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        at = 0
        for size in self._sizes:
            yield tuple(self._refs[at : at + size])
            at += size


def group_records(items: Iterable[Groupable]) -> Groups:
    """Group the records of each child; takes about 0.5 kB of memory a record.

    Records are one child if they have the same source person id; or the same valid identifier and no
    conflicting first name; or share a STRONG key with no conflicting identifier, first name or birth date.

    Returns: the refs of every group; each record is in exactly one.
    """
    forest = _Forest()
    sources, identifiers, strong = _Column(), _Column(), _Column()
    refs = array("q")
    for item in items:
        refs.append(item.ref)
        facts = forest.add(item.person)
        source = [hash(item.source_person_id) & _WORD] if item.source_person_id else []
        sources.add(array("Q", [] if item.apart else source))
        identifiers.add(array("Q", [] if item.apart else [w for w in facts if w & _KIND in (_NHS, _UPN)]))
        strong.add(array("Q", b"" if item.apart else item.strong))
    for run in sources.runs():
        for record in run[1:]:
            forest.join(run[0], record)
    for run in sorted(identifiers.runs(), key=lambda run: run[0]):
        forest.meet(run, forest.agree_on_name)
    for run in strong.runs():
        forest.meet(run, forest.agree)
    return forest.groups(refs)


class _Column:
    """Some words of every record, one after another: a million records have tens of millions."""

    def __init__(self) -> None:
        self._words, self._ends = array("Q"), array("Q")

    def add(self, words: array[int]) -> None:
        """Add those of the next record."""
        self._words.extend(words)
        self._ends.append(len(self._words))

    def of(self, record: int) -> array[int]:
        """Give those of one record."""
        return self._words[self._ends[record - 1] if record else 0 : self._ends[record]]

    def runs(self) -> Iterator[list[int]]:
        """Yield the records that share a word, in order, for every word that several records have."""
        # Sorted instead of put into a dictionary, and a part at a time, as sorting takes more than the words.
        import numpy as np

        if not self._words:
            return
        words, ends = np.frombuffer(self._words, np.uint64), np.frombuffer(self._ends, np.int64)
        parts = len(words) // _SORTED_AT_ONCE + 1
        for part in range(parts):
            low, high = (part << 64) // parts, ((part + 1) << 64) // parts - 1
            places = _places_between(words, low, high)
            places = places[np.argsort(words[places], kind="stable")]
            ranked = words[places]
            starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
            sizes = np.diff(np.append(starts, len(ranked)))
            owners = np.searchsorted(ends, places[np.repeat(sizes > 1, sizes)], side="right")
            at = 0
            for size in sizes[sizes > 1].tolist():
                yield owners[at : at + size].tolist()
                at += size


def _places_between(words: NDArray[np.uint64], low: int, high: int) -> NDArray[np.int64]:
    """Where the words from low to high, both counted in, stand among all."""
    import numpy as np

    found = []
    for start in range(0, len(words), _SORTED_AT_ONCE):
        some = words[start : start + _SORTED_AT_ONCE]
        found.append(start + np.flatnonzero((some >= np.uint64(low)) & (some <= np.uint64(high))))
    return np.concatenate(found)


class _Forest:
    """Union-find over record numbers, and what the records of each group say."""

    def __init__(self) -> None:
        self._parents = array("Q")
        self._facts = _Column()
        # What a group of several records says, by its root, where its first record alone does not say it all.
        self._joint: dict[int, set[int]] = {}
        self._firsts: list[str] = []
        self._numbers: dict[str, int] = {}  # of each first name, its place in the list

    def add(self, person: Person) -> array[int]:
        """Add the next record, a group by itself; returns its facts."""
        facts = array("Q", self._said_by(person))
        self._parents.append(len(self._parents))
        self._facts.add(facts)
        return facts

    def meet(self, run: Sequence[int], agree: Callable[[int, int], bool]) -> None:
        """Join those records of a run, which share something, whose groups agree."""
        roots: list[int] = []
        for record in run:
            own = self._root(record)
            roots = list(dict.fromkeys(self._root(root) for root in roots))
            friend = next((root for root in roots if root == own or agree(root, own)), None)
            if friend is not None:
                self.join(friend, own)
            elif len(roots) < _CANDIDATES:
                roots.append(own)

    def join(self, one: int, other: int) -> None:
        """Make one group of two; the earlier record's root stays."""
        first, second = sorted((self._root(one), self._root(other)))
        if first == second:
            return
        more = self._of(second)
        if not more <= self._of(first):
            self._joint.setdefault(first, self._of(first)).update(more)
        self._joint.pop(second, None)
        self._parents[second] = first

    def groups(self, refs: array[int]) -> Groups:
        """Every group, by the refs of its records."""
        import numpy as np

        roots = np.fromiter((self._root(record) for record in range(len(refs))), np.int64, len(refs))
        order = np.argsort(roots, kind="stable")
        counts = np.bincount(roots, minlength=1)
        in_order = np.array(refs, dtype=np.int64)[order]
        return Groups(array("q", in_order.tobytes()), array("q", counts[counts > 0].tobytes()))

    def agree(self, one: int, other: int) -> bool:
        """Whether nothing speaks against two groups being one child."""
        for kind in (_NHS, _UPN):
            here, there = self._words(one, kind), self._words(other, kind)
            if here and there and here.isdisjoint(there):
                return False
        return self.agree_on_name(one, other) and self._agree_on_date(one, other)

    def agree_on_name(self, one: int, other: int) -> bool:
        """Whether a first name is missing, shared, a known form of another, or a slip in a long one."""
        here, there = self._words(one, _FIRST), self._words(other, _FIRST)
        if not here or not there or not here.isdisjoint(there):
            return True
        # Twins are often named alike (Mia and Mila, Ella and Emma), so short names must be equal.
        return any(
            min(len(name), len(twin)) >= _LONG_NAME and name[0] == twin[0] and is_one_edit(name, twin)
            for name in (self._firsts[place] for place in here)
            for twin in (self._firsts[place] for place in there)
        )

    def _agree_on_date(self, one: int, other: int) -> bool:
        """Whether birth dates are missing, differ in one part only, or have day and month swapped."""
        here, there = self._words(one, _DATE), self._words(other, _DATE)
        return not here or not there or any(_is_near(day, twin) for day in here for twin in there)

    def _said_by(self, person: Person) -> Iterator[int]:
        """What one record says for and against being one child with another, each fact once."""
        if person.nhs_number and is_nhs_number(person.nhs_number):
            yield _NHS | int(plain_identifier(person.nhs_number))
        if person.upn and is_upn(person.upn):
            # The letter in front is a check of the twelve digits.
            yield _UPN | int(plain_identifier(person.upn)[1:])
        firsts = (
            code for reading in read_names(person.names) for code in (reading.first, *codes_of(reading.first))
        )
        for first in dict.fromkeys(firsts):
            if first:
                place = self._numbers.setdefault(first, len(self._firsts))
                if place == len(self._firsts):
                    self._firsts.append(first)
                yield _FIRST | place
        if person.birth_date and person.birth_date.date and person.birth_date.is_exact:
            yield _DATE | person.birth_date.date.toordinal()

    def _root(self, record: int) -> int:
        parents = self._parents
        while (parent := parents[record]) != record:
            parents[record] = parents[parent]
            record = parent
        return record

    def _of(self, root: int) -> set[int]:
        """What a group says."""
        joint = self._joint.get(root)
        return joint if joint is not None else set(self._facts.of(root))

    def _words(self, root: int, kind: int) -> set[int]:
        """What a group says of one kind."""
        return {word & _VALUE for word in self._of(root) if word & _KIND == kind}


def _is_near(day: int, other: int) -> bool:
    one, two = datetime.date.fromordinal(day), datetime.date.fromordinal(other)
    same = (one.year == two.year) + (one.month == two.month) + (one.day == two.day)
    return same >= 2 or (one.year, one.month, one.day) == (two.year, two.day, two.month)
