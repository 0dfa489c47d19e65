"""One made-up population and what each of four agencies holds of it, as a stream of any length.

Promises: the same seed, size and date give the same people and records, in the same order. Nobody is real.
          Memory does not grow with the size.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from elsewhere.demo.agencies import agencies
from elsewhere.demo.children import Child, Household
from elsewhere.demo.households import Region, households
from elsewhere.demo.records import Record, records_of

SMALLEST, LARGEST = 50, 5_000_000


@dataclass(frozen=True, slots=True)
class View:
    """One household, and every record that each agency holds of it, by the agency's id."""

    household: Household
    records: Mapping[str, tuple[Record, ...]]

    def holders(self, child: Child) -> dict[str, tuple[Record, ...]]:
        """Which agencies hold the child as it is now, with its records there."""
        about = f"C{child.place}"
        held = {id: tuple(r for r in records if r.about == about) for id, records in self.records.items()}
        return {id: records for id, records in held.items() if records}


def region(*, seed: int, size: int, today: datetime.date, is_even: bool = False) -> Region:
    """State a population.

    Args:
        seed: any whole number; another seed, other people.
        size: children, 50 to 5,000,000; an agency knows between a quarter and two thirds of them. Beyond
            980,000 children have no NHS number, as the range for tests holds no more.
        today: nobody is born and nothing was written down after it.
        is_even: every culture is as common as another, not as common as here.
    """
    if not SMALLEST <= size <= LARGEST:
        raise ValueError(f"expected a size of {SMALLEST} to {LARGEST:,}")
    return Region(seed, size, today, is_even)


def views(region: Region, *, only: tuple[str, ...] = ()) -> Iterator[View]:
    """Return the households one after another, with the records of every agency, or of `only` some."""
    chosen = [agency for agency in agencies() if not only or agency.id in only]
    for household in households(region):
        yield View(
            household,
            {
                agency.id: tuple(records_of(agency, household, seed=region.seed, today=region.today))
                for agency in chosen
            },
        )
