"""The research dictionary: tables, columns and public keys, as data.

Source:   elsewhere/research/dictionary.toml, which says what each figure is of.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from importlib.resources import files
from typing import Any, Final

from elsewhere.research.errors import QuestionInvalid

UNKNOWN: Final = "U"


class Kind(Enum):
    """What a column holds."""

    CATEGORY = "category"  # one key a row
    MULTI = "multi"  # several keys a row
    NUMBER = "number"  # a whole number within bounds


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its public keys, or its bounds."""

    id: str
    kind: Kind
    keys: tuple[str, ...] = ()
    most: int = 1  # keys of one row that count
    low: int = 0
    high: int = 0

    @property
    def reach(self) -> int:
        """The most by which one row moves a sum of it."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True, slots=True)
class Table:
    """One table; the columns of the child are among its own."""

    id: str
    words: str
    clamp: int  # most rows of one child that count in a year
    columns: Mapping[str, Column]
    year_from: tuple[int, int]  # month and day on which its year begins

    def column(self, name: str) -> Column:
        """Find a column; raises QuestionInvalid, which names those there are."""
        if name not in self.columns:
            raise QuestionInvalid("column", f"expected one of {', '.join(self.columns)}")
        return self.columns[name]

    def year(self, year: int) -> tuple[date, date]:
        """Its year: the first day, and the first day that is no longer in it."""
        month, day = self.year_from
        return date(year, month, day), date(year + 1, month, day)


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Everything that may be counted at one version."""

    version: str
    person: tuple[str, ...]  # columns of the child, in every table
    tables: Mapping[str, Table]

    def table(self, name: str) -> Table:
        """Find a table; raises QuestionInvalid, which names those there are."""
        if name not in self.tables:
            raise QuestionInvalid("table", f"expected one of {', '.join(self.tables)}")
        return self.tables[name]


@functools.cache
def dictionary() -> Dictionary:
    """The dictionary of this release, read once."""
    found = tomllib.loads(files(__package__).joinpath("dictionary.toml").read_text("utf-8"))
    person = {name: _column(name, entry) for name, entry in found["person"].items()}
    tables = {}
    for name, entry in found["tables"].items():
        own = {column: _column(column, text) for column, text in entry.get("columns", {}).items()}
        month, day = (int(part) for part in entry.get("year_from", "01-01").split("-"))
        tables[name] = Table(name, entry["words"], entry["clamp"], {**own, **person}, (month, day))
    return Dictionary(found["version"], tuple(person), tables)


def _column(name: str, entry: Mapping[str, Any]) -> Column:
    """Read one column."""
    if "keys" not in entry:
        return Column(name, Kind.NUMBER, low=entry["low"], high=entry["high"])
    kind = Kind.MULTI if "most" in entry else Kind.CATEGORY
    return Column(name, kind, tuple(entry["keys"]), entry.get("most", 1))
