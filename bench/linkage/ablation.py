"""What each family of rules, and each way of spreading them, brings and costs in each culture.

Promises: a child counts as lost without a family if its rules alone meet it; the rules of a family are left
          out together, as they stand in for one another. Spreads are left out by keying the records again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from bench.linkage.cases import DataSet
from bench.linkage.score import Result, Shelf, ask, shelve
from elsewhere import keyparts
from elsewhere.matchkeys import KeySet

# What the rules of elsewhere/matchkeys.toml are for, and how their ids are told.
_FAMILIES = {
    "identifiers": ("nhs", "upn"),
    "the whole names `fl-dq`": ("fl-dq",),
    "one slip `fl~-dob`": ("fl~-dob",),
    "sounds `fkl-dob`": ("fkl-dob",),
    "names that end differently `f4-l-dob`, `f-l4-dob`": ("f4-l-dob", "f-l4-dob"),
    "another family name, one home `f-dq-p3`, `fk-`, `f4-`": ("f-dq-p3", "fk-dq-p3", "f4-dq-p3"),
    "a part of the date wrong, one home `fk-l1-*-p3`, `f4-l3-*-p3`": ("fk-l1-", "f4-l3-"),
    "two given names `fm-l-*`": ("fm-l-",),
    "no exact date `*-undated-*`": ("undated",),
    "an initial `*-initial-*`": ("initial",),
    "a short first name `*-short-*`": ("short",),
    "no first name `*-unnamed-*`": ("unnamed",),
    "one name at one address `fl2-p`, `fm-p`": ("fl2-p", "fm-p"),
    "an expected child `mother-*`": ("mother",),
}
_FEWEST = 100  # present children of a culture


def family_of(rule: str) -> str:
    """The family of a rule; ValueError for one that none was written down for."""
    for name, marks in _FAMILIES.items():
        if any(rule.startswith(mark) or f"-{mark}-" in rule for mark in marks):
            return name
    raise ValueError(f"rule {rule}: expected a family in {__name__}")


def table(data: DataSet, shelf: Shelf, result: Result) -> Iterator[str]:
    """Two tables, cultures across: points of recall lost without a family or spread; its tags a record."""
    cultures = sorted(name for name, tally in result.by_culture.items() if tally.present >= _FEWEST)
    families = dict.fromkeys(family_of(rule.id) for rule in shelf.key_set.rules)
    lost = {name: _lost(result, name) for name in families}
    taken = {
        name: _tags(shelf, [family_of(rule.id) == name for rule in shelf.key_set.rules]) for name in families
    }
    among = Counter(family for one in result.confused for family in {family_of(rule) for rule in one.rules})
    alone = Counter(
        next(iter(found)) for one in result.confused
        if len(found := {family_of(rule) for rule in one.rules}) == 1
    )  # fmt: skip
    costs = {name: f"{among[name]}, {alone[name]}" for name in families}
    whole = _tags(shelf, [True] * len(shelf.key_set.rules))
    for name, (poorer, tags) in _spreads(data, shelf).items():
        lost[name] = {
            culture: tally.recall - poorer.by_culture[culture].recall
            for culture, tally in result.by_culture.items()
        }
        taken[name] = {culture: whole[culture] - tags[culture] for culture in whole}
        costs[name] = f"{result.total.absent_hit - poorer.total.absent_hit:+d}"
    rows = [name for name in lost if max(taken[name].values()) >= 0.1]
    yield f"\n{result.data_set}: points of recall lost without it\n"
    yield from _grid(["false", *cultures], [
        [name, costs[name], *(_points(lost[name].get(culture, 0)) for culture in cultures)] for name in rows
    ])  # fmt: skip
    yield f"\n{result.data_set}: tags a record it takes\n"
    yield from _grid(cultures, [
        [name, *(f"{taken[name].get(culture, 0):.1f}" for culture in cultures)] for name in rows
    ] + [["all", *(f"{whole.get(culture, 0):.1f}" for culture in cultures)]])  # fmt: skip


def _lost(result: Result, family: str) -> dict[str, float]:
    """By culture, the share of present children whom only this family meets."""
    lone = Counter(
        culture for culture, rules in result.met if {family_of(rule) for rule in rules} == {family}
    )
    return {name: lone[name] / max(1, tally.present) for name, tally in result.by_culture.items()}


def _tags(shelf: Shelf, chosen: Sequence[bool]) -> dict[str, float]:
    """By culture, tags a record of the rules chosen."""
    cultures = [record.culture for record in shelf.held]
    records = Counter(cultures)
    owners = shelf.owners[np.array(chosen)[shelf.rules]]
    counts = np.bincount(owners, minlength=len(cultures))
    sums: Counter[str] = Counter()
    for culture, count in zip(cultures, counts.tolist(), strict=True):
        sums[culture] += count
    return {culture: sums[culture] / count for culture, count in records.items()}


def _spreads(data: DataSet, shelf: Shelf) -> dict[str, tuple[Result, dict[str, float]]]:
    """What comes out with names, places or nicknames not spread, and the tags a record then has."""
    found = {}
    for name, key_set in (
        ("aliases, further and double names, in all rules", _without(shelf.key_set, "names")),
        ("past postcodes, in all rules", _without(shelf.key_set, "places")),
    ):
        poorer = shelve(data.held, key_set)
        found[name] = (ask(poorer, data), _tags(poorer, [True] * len(key_set.rules)))
    with _no_nicknames():
        poorer = shelve(data.held, shelf.key_set)
        found["nicknames, in all rules"] = (
            ask(poorer, data),
            _tags(poorer, [True] * len(shelf.key_set.rules)),
        )
    return found


def _without(key_set: KeySet, spread: str) -> KeySet:
    """The rules with names or places not spread."""
    rules = (replace(rule, names="none") if spread == "names" else replace(rule, places="none")
             for rule in key_set.rules)  # fmt: skip
    return KeySet(key_set.version, tuple(rules))


@contextmanager
def _no_nicknames() -> Iterator[None]:
    """Have every first name stand for itself alone."""
    groups: Mapping[str, tuple[str, ...]] = {}
    kept = vars(keyparts)["_codes_by_name"]
    vars(keyparts)["_codes_by_name"] = lambda: groups
    try:
        yield
    finally:
        vars(keyparts)["_codes_by_name"] = kept


def _points(share: float) -> str:
    return f"{100 * share:.1f}" if abs(share) >= 0.0005 else ""


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| |" + "".join(f" {head} |" for head in heads)
    yield "|---" * (len(heads) + 1) + "|"
    for row in rows:
        yield "|" + "".join(f" {cell} |" for cell in row)
