"""The data sets of the linkage measurement: which may be looked at while choosing rules, which may not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.linkage import febrl
from bench.linkage import population as latent
from bench.linkage.cases import DataSet
from bench.linkage.households import Plan, everyday, harsh, make
from bench.linkage.names import DEVELOPMENT, TEST, cultures


def development(held: int, questions: int, seed: int) -> Iterator[DataSet]:
    """Names and errors that rules were chosen by."""
    names = cultures(DEVELOPMENT, seed=seed)
    yield make(Plan("everyday, seen names", held, questions, seed, everyday, seen=True), names)
    yield make(Plan("harsh, seen names", held, questions, seed, harsh, seen=True), names)


def test(held: int, questions: int, seed: int) -> Iterator[DataSet]:
    """The same errors on cultures whose names were never looked at, under other seeds."""
    names = cultures(TEST, seed=seed + 1000)
    yield make(Plan("everyday, unseen names", held, questions, seed + 1000, everyday), names)
    yield make(Plan("harsh, unseen names", held, questions, seed + 1000, harsh), names)


def population(held: int, questions: int, seed: int) -> Iterator[DataSet]:
    """The demo's population: a generator by other hands, with names, slips and habits of its own."""
    for custodian in ("nhs-trust", "schools"):
        yield latent.make(custodian, held=held, questions=questions, seed=seed)


def even(held: int, questions: int, seed: int) -> DataSet:
    """The same with cultures of one size each, so that every one can be told apart."""
    return latent.make("nhs-trust", held=held, questions=questions, seed=seed, is_even=True)


def files(folder: Path) -> Iterator[DataSet]:
    """FEBRL 1 to 4, where their CSV files are."""
    for name in febrl.FILES:
        if (folder / f"{name}.csv").exists():
            yield febrl.load(folder, name)
