"""Writes each agency's tables for studies, how a node maps them, and what the agreement says of them.

Promises: the same wishes give the same bytes, in bounded memory.
"""

from __future__ import annotations

import csv
import datetime
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from string import Template

from elsewhere.demo.events import TABLES, columns, rows_of
from elsewhere.demo.population import View


class TableWriter:
    """`AGENCY-TABLE.csv` for every table that an agency has, in one folder."""

    def __init__(self, out: Path, *, seed: int, year: int, files: ExitStack) -> None:
        self._seed, self._year = seed, year
        self._tables = {
            (agency, table): csv.DictWriter(
                files.enter_context((out / f"{agency}-{table}.csv").open("w", encoding="utf-8", newline="")),
                columns(table),
                lineterminator="\n",
            )
            for agency, tables in TABLES.items()
            for table in tables
        }
        for writer in self._tables.values():
            writer.writeheader()

    def add(self, view: View) -> None:
        """Write what happened to one household's children; the view is every agency's."""
        for (agency, table), writer in self._tables.items():
            writer.writerows(rows_of(agency, table, view, seed=self._seed, year=self._year))


def table_mapping(agency: str) -> str:
    """What goes into the settings of an agency's node."""
    return _text(f"{agency}.toml")


def agreement_part(researcher: str, today: datetime.date) -> str:
    """What goes into the agreement.

    Args:
        researcher: the entry that `elsewhere research init` printed.
        today: the project runs for a year around it.
    """
    year = datetime.timedelta(days=365)
    return Template(_text("agreement.toml")).substitute(
        researcher=researcher,
        valid_from=f"{today - year}T00:00:00Z",
        valid_until=f"{today + year}T00:00:00Z",
    )


def _text(name: str) -> str:
    return resources.files("elsewhere.demo").joinpath("research", name).read_text("utf-8")
