"""Ask every question of a data set in memory and count what came back.

Promises: keys, choice of reveals, grouping and judgement are the product's own; only the blind tags are
          left out, as equality is all they add.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.linkage.cases import Asked, DataSet, Held
from elsewhere.grouping import Groupable, group_records
from elsewhere.matching import Verdict, VerdictKind, choose_reveals, judge
from elsewhere.matchkeys import KeySet, MatchKey, Strength, question_keys, record_keys

_WORD = 2**64 - 1


@dataclass(slots=True)
class Tally:
    """Counts over some questions."""

    present: int = 0
    found: int = 0  # the true child is among the groups answered about
    matched: int = 0  # and is the only one: a definite answer
    wrong: int = 0  # present, and only others were hit
    absent: int = 0
    absent_hit: int = 0  # absent, and anything at all was hit
    absent_match: int = 0  # absent, and the answer was definite

    @property
    def recall(self) -> float:
        """The share of present children who were found."""
        return self.found / max(1, self.present)

    @property
    def precision(self) -> float:
        """The share of questions with any hit whose child was among what was hit."""
        return self.found / max(1, self.found + self.wrong + self.absent_hit)

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        return 2 * self.recall * self.precision / max(1e-9, self.recall + self.precision)

    @property
    def false_rate(self) -> float:
        """The share of questions about absent children that hit anything."""
        return self.absent_hit / max(1, self.absent)


@dataclass(frozen=True, slots=True)
class Confusion:
    """A question that hit others and not its child: which record, by which rules."""

    asked: Asked = field(repr=False)
    record: int
    rules: frozenset[str]


@dataclass(slots=True)
class Result:
    """What one key set did on one data set. `met`: per child met by any key, its culture and the rules."""

    data_set: str
    total: Tally
    by_culture: dict[str, Tally]
    by_error: dict[str, Tally]
    tags: Counter[str]  # rule -> tags on all records
    slots: Counter[str]  # rule -> slots in all questions
    records: int
    questions: int
    tags_a_record: float
    keys_a_question: float
    most_keys: int
    record_us: float
    met: list[tuple[str, frozenset[str]]] = field(default_factory=list, repr=False)
    missed: list[Asked] = field(default_factory=list, repr=False)
    confused: list[Confusion] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True)
class Shelf:
    """What one agency holds, ready to be asked under any part of the rules it was keyed with."""

    held: Sequence[Held]
    hashes: NDArray[np.uint64]
    owners: NDArray[np.uint32]
    rules: NDArray[np.uint8]
    group_of: Sequence[int]
    key_set: KeySet
    record_us: float

    def lookup(self, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the holders of each hash begin and end."""
        return (
            np.searchsorted(self.hashes, hashes, side="left"),
            np.searchsorted(self.hashes, hashes, side="right"),
        )


def shelve(held: Sequence[Held], key_set: KeySet) -> Shelf:
    """Derive the keys of every record and group the records, as a load does."""
    ordinal = {rule.id: place for place, rule in enumerate(key_set.rules)}
    hashes: list[NDArray[np.uint64]] = []
    rules: list[NDArray[np.uint8]] = []
    counts: list[int] = []
    spent = 0.0
    items: list[Groupable] = []
    for place, record in enumerate(held):
        start = time.perf_counter()
        keys = record_keys(record.person, key_set=key_set)
        spent += time.perf_counter() - start
        words = [hash(key.data) & _WORD for key in keys]
        hashes.append(np.array(words, dtype=np.uint64))
        rules.append(np.array([ordinal[key.rule] for key in keys], dtype=np.uint8))
        counts.append(len(keys))
        strong = [w for w, key in zip(words, keys, strict=True) if key.strength is Strength.STRONG]
        items.append(
            Groupable(place, record.source_id, record.person, np.array(strong, dtype=np.uint64).tobytes())
        )
    group_of = [0] * len(held)
    for number, members in enumerate(group_records(items)):
        for member in members:
            group_of[member] = number
    every = np.concatenate(hashes)
    order = np.argsort(every, kind="stable")
    owners = np.repeat(np.arange(len(held), dtype=np.uint32), counts)
    return Shelf(
        held=held,
        hashes=every[order],
        owners=owners[order],
        rules=np.concatenate(rules)[order],
        group_of=group_of,
        key_set=key_set,
        record_us=spent / len(held) * 1e6,
    )


def ask(shelf: Shelf, data: DataSet, *, without: Iterable[str] = ()) -> Result:
    """Ask every question of the data set.

    Args:
        shelf: what the agency holds.
        data: the questions, about children of the same numbers.
        without: rules to leave out on both sides, for ablation.
    """
    dropped = frozenset(without)
    key_set = shelf.key_set
    used = KeySet(key_set.version, tuple(rule for rule in key_set.rules if rule.id not in dropped))
    questions = [question_keys(asked.person, key_set=used) for asked in data.asked]
    known = {record.child for record in shelf.held}
    kept = np.array([rule.id not in dropped for rule in key_set.rules])
    result = Result(
        data_set=data.name,
        total=Tally(),
        by_culture=defaultdict(Tally),
        by_error=defaultdict(Tally),
        tags=Counter(
            {
                rule.id: int(count)
                for rule, count in zip(
                    key_set.rules, np.bincount(shelf.rules, minlength=len(key_set.rules)), strict=True
                )
            }
        ),
        slots=Counter(key.rule for keys in questions for key in keys),
        records=len(shelf.held),
        questions=len(questions),
        tags_a_record=int(kept[shelf.rules].sum()) / len(shelf.held),
        keys_a_question=sum(map(len, questions)) / len(questions),
        most_keys=max(map(len, questions)),
        record_us=shelf.record_us,
    )
    for asked, keys in zip(data.asked, questions, strict=True):
        _count(result, shelf, asked, keys, is_present=asked.child in known)
    return result


def _count(result: Result, shelf: Shelf, asked: Asked, keys: Sequence[MatchKey], *, is_present: bool) -> None:
    """Ask one question and add it to the counts."""
    holders = _holders(shelf, keys)
    revealed = choose_reveals([(slot, keys[slot]) for slot in holders])
    found: dict[int, list[tuple[str, Strength]]] = defaultdict(list)
    for slot, key in revealed:
        for group in dict.fromkeys(shelf.group_of[owner] for owner in holders[slot]):
            found[group].append((key.rule, key.strength))
    verdict = judge(found, names_asked=bool(asked.person.names or asked.person.birth_date))
    true_groups = {
        shelf.group_of[owner]
        for owners in holders.values()
        for owner in owners
        if shelf.held[owner].child == asked.child
    }
    tallies = [result.total, result.by_culture[asked.culture]]
    tallies += [result.by_error[error] for error in asked.errors or ("none",)]
    for tally in tallies:
        _add(tally, verdict, true_groups, is_present=is_present)
    right = {
        keys[slot].rule
        for slot, owners in holders.items()
        if any(shelf.held[owner].child == asked.child for owner in owners)
    }
    if right:
        result.met.append((asked.culture, frozenset(right)))
    if is_present and not true_groups.intersection(verdict.groups):
        result.missed.append(asked)
    others = sorted(
        {
            (owner, keys[slot].rule)
            for slot, _ in revealed
            for owner in holders[slot]
            if shelf.held[owner].child != asked.child
        }
    )
    if others and not true_groups:
        rules = frozenset(keys[slot].rule for slot in holders)
        result.confused.append(Confusion(asked, others[0][0], rules))


def _holders(shelf: Shelf, keys: Sequence[MatchKey]) -> dict[int, list[int]]:
    """Slot -> the records that hold its key, for slots that hit."""
    words = np.array([hash(key.data) & _WORD for key in keys], dtype=np.uint64)
    starts, ends = shelf.lookup(words)
    return {
        int(slot): [int(owner) for owner in shelf.owners[starts[slot] : ends[slot]]]
        for slot in np.flatnonzero(ends > starts)
    }


def _add(tally: Tally, verdict: Verdict[int], true_groups: set[int], *, is_present: bool) -> None:
    is_hit = verdict.kind is not VerdictKind.NONE
    is_definite = verdict.kind is VerdictKind.MATCH
    if not is_present:
        tally.absent += 1
        tally.absent_hit += is_hit
        tally.absent_match += is_definite
        return
    is_found = not true_groups.isdisjoint(verdict.groups)
    tally.present += 1
    tally.found += is_found
    tally.matched += is_found and is_definite
    tally.wrong += is_hit and not is_found
