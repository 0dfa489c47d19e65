"""Children who do not exist, for timing alone: names of common lengths, made of syllables, from a seed.

Their names follow no culture's statistics; how well children are found is measured elsewhere.
"""

from __future__ import annotations

import csv
import datetime
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elsewhere.person.identity import Person

_ONSETS = "b c d f g h j k l m n p r s t v w z br ch cl dr gr kl mar pr sh st th tr".split()  # noqa: SIM905
_VOWELS = "a e i o u ai ea ie oo ou y".split()  # noqa: SIM905
TWO_GIVEN, MOVED = 0.25, 0.25  # shares of children; with them a record has about 41 tags a set
_FIRST_DAY = datetime.date(2008, 1, 1)

# What `write_export` writes, as a mapping says it.
MAPPING = """\
[source]
name = "bench"
max_age_days = 7
date_formats = ["%Y-%m-%d"]

[source.csv]
encoding = "utf-8"
delimiter = ","

[person]
id = "id"
given = "given"
family = "family"
birth_date = "dob"
postcode = "postcode"
past_postcodes = ["previous"]

[record]
status = { column = "status", values = { open = "CURRENT", closed = "PAST" } }
service = "service"
in_hours = { text = "0000 000 001" }
out_of_hours = { text = "0000 000 002" }
"""


@dataclass(frozen=True, slots=True)
class Child:
    """One made-up child. `previous`: a past postcode, or nothing."""

    given: str
    family: str
    dob: str
    postcode: str
    previous: str = ""

    def person(self) -> Person:
        """The child as an asker would type it."""
        return Person.of(given=self.given, family=self.family, dob=self.dob, postcode=self.postcode)


def children(seed: int) -> Iterator[Child]:
    """Give children without end, the same for the same seed."""
    source = random.Random(seed)
    while True:
        day = _FIRST_DAY + datetime.timedelta(days=source.randrange(16 * 365))
        given = _name(source, 2, 3)
        if source.random() < TWO_GIVEN:
            given += " " + _name(source, 2, 3)
        previous = _place(source) if source.random() < MOVED else ""
        yield Child(given, _name(source, 2, 4), day.isoformat(), _place(source), previous)


def write_export(path: Path, held: Iterator[Child], count: int) -> None:
    """Write an export of so many rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "given", "family", "dob", "postcode", "previous", "service", "status"))
        for number, child in zip(range(count), held, strict=False):
            row = (child.given, child.family, child.dob, child.postcode, child.previous)
            writer.writerow((f"B{number}", *row, "Front door", "open"))


def _place(source: random.Random) -> str:
    sector, unit = source.randint(1, 9), source.choice("AB") + source.choice("DEFG")
    return f"ZZ{source.randint(1, 98)} {sector}{unit}"


def _name(source: random.Random, least: int, most: int) -> str:
    syllables = source.randint(least, most)
    return "".join(source.choice(_ONSETS) + source.choice(_VOWELS) for _ in range(syllables)).capitalize()
