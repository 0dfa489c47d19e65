"""What a load keeps in memory for each record stays small, so that hundreds of thousands fit."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from elsewhere import grouping
from elsewhere.grouping import Groupable, group_records
from elsewhere.person.identity import Person
from node.caseload.load import load_file
from node.store.engine import open_store
from tests.caseload import folder_of, job, mapping, write_csv

STRONG_KEYS = 40  # as many as a record with two first names and all else has


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sort few keys at once, as a large load does of its many."""
    monkeypatch.setattr(grouping, "_SORTED_AT_ONCE", 5000)


def peak_of(work: Callable[[], int], count: int) -> int:
    """The most memory, in bytes, that some work on so many records takes."""
    gc.collect()
    tracemalloc.start()
    try:
        assert work() == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def word(number: int) -> str:
    """A name of five letters that no other number gives."""
    return "".join("abcdefghij"[int(digit)] for digit in f"{number:05}")


def grouping_peak(count: int) -> int:
    """Of grouping children who share nothing."""
    random = Random(count)
    people = [Person.of(given=word(n % 900), family=word(n), dob="2014-03-07") for n in range(count)]
    items = [
        Groupable(n, f"cases {n}", person, random.randbytes(8 * STRONG_KEYS))
        for n, person in enumerate(people)
    ]
    return peak_of(lambda: len(group_records(items)), count)


def load_peak(folder: Path, count: int) -> int:
    """Of a load without tags; few keys come of a family name alone, and most of the time goes into keys."""
    folder.mkdir()
    store = open_store(f"sqlite:///{folder / 'store.sqlite'}")
    rows = ({"id": str(n), "family": word(n), "shield": "none"} for n in range(count))
    path = write_csv(folder_of(store) / "cases.csv", list(rows))
    without_tags = job(store, keys={})
    try:
        return peak_of(lambda: load_file(path, mapping(), without_tags).children, count)
    finally:
        store.close()


def test_grouping_keeps_half_a_kilobyte_of_each_record() -> None:
    grouping_peak(10)  # imports what the work needs

    assert (grouping_peak(3000) - grouping_peak(1000)) / 2000 < 650


def test_a_load_keeps_well_under_a_kilobyte_of_each_record_beside_its_strong_keys(tmp_path: Path) -> None:
    few, many = 1200, 2400  # more than are read and staged at once
    load_peak(tmp_path / "first", 10)

    assert (load_peak(tmp_path / "many", many) - load_peak(tmp_path / "few", few)) / (many - few) < 850
