"""One made-up population as four agencies hold it: an export and a mapping file each.

Promises: the same seed, size and date give the same bytes. Nobody in it is real.
"""

from __future__ import annotations

import datetime
import random
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from elsewhere.demo.children import make_children, make_mother
from elsewhere.demo.exports import SHAPES, write_export
from elsewhere.demo.questions import placed_records
from elsewhere.demo.records import AGENCIES, NHS_TRUST, Habits, Record, know_some, with_shields

_EXPECTED_CHILDREN = 3


@dataclass(frozen=True, slots=True)
class Export:
    """One agency's file: its bytes, its mapping and how many rows it holds."""

    agency: str
    rows: int
    data: bytes
    mapping: str


def make_population(*, seed: int, size: int, today: datetime.date) -> tuple[Export, ...]:
    """Make the population and let each agency write down what it knows of it.

    Args:
        seed: any whole number.
        size: children in the area, 50 to 90,000; an agency knows between a quarter and two thirds of them.
        today: contacts lie before it.

    Returns:
        One export an agency: police, nhs-trust, social-care, schools.
    """
    if not 50 <= size <= 90_000:
        raise ValueError("expected a size of 50 to 90,000")
    children = make_children(random.Random(f"children/{seed}"), count=size, today=today)
    exports = []
    for habits in AGENCIES:
        draw = random.Random(f"{habits.agency}/{seed}")
        known = know_some(draw, children, habits, today=today)
        identity = 1 if habits.agency in ("police", "social-care") else 0
        records = with_shields(known, location=2, identity=identity)
        records += placed_records(draw, habits, today=today)
        if habits is NHS_TRUST:
            records += [
                _expected_child(draw, number, habits, today=today) for number in range(_EXPECTED_CHILDREN)
            ]
        draw.shuffle(records)
        data = write_export(records, SHAPES[habits.agency])
        exports.append(Export(habits.agency, len(records), data, _mapping(habits.agency)))
    return tuple(exports)


def write_population(out: Path, *, seed: int, size: int, today: datetime.date) -> tuple[Export, ...]:
    """Write `<agency>.csv` and `<agency>.toml` for each agency into a folder, made if it is not there."""
    exports = make_population(seed=seed, size=size, today=today)
    out.mkdir(parents=True, exist_ok=True)
    for export in exports:
        (out / f"{export.agency}.csv").write_bytes(export.data)
        (out / f"{export.agency}.toml").write_text(export.mapping, "utf-8")
    return exports


def _mapping(agency: str) -> str:
    return resources.files("elsewhere.demo").joinpath("mappings", f"{agency}.toml").read_text("utf-8")


def _expected_child(draw: random.Random, number: int, habits: Habits, *, today: datetime.date) -> Record:
    """A child not born yet, under its mother."""
    last = today - datetime.timedelta(days=draw.randint(1, 60))
    return Record(
        person_id=f"U{draw.randrange(10**6, 10**7)}",
        service="Maternity",
        opened=last - datetime.timedelta(days=30),
        last_contact=last,
        mother=make_mother(draw, serial=980_000 + number * 10, today=today),
    )
