"""A question over the dictionary: one table, one year, a filter, groups by public keys, one metric.

Holds:    nothing of any data: its cells, their number and what one child can change are known before.
Refuses:  unknown tables, columns and keys; more than three groups, or more cells than are answered.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from elsewhere.canonical import Json
from elsewhere.fields import Fields
from elsewhere.research.dictionary import Column, Kind, Table, dictionary
from elsewhere.research.errors import QuestionInvalid

MAX_CELLS: Final = 20_000
MAX_GROUPS: Final = 3
MAX_EDGES: Final = 201
MAX_DISTRIBUTION: Final = 50
QUANTILE_BINS: Final = 64
FIRST_YEAR, LAST_YEAR = 2000, 2100
METRICS: Final = ("count", "sum", "mean", "histogram", "quantile", "distribution")
UNITS: Final = ("rows", "children")


@dataclass(frozen=True, slots=True)
class Metric:
    """What is computed in every group."""

    kind: str = "count"
    column: str = ""  # of numbers; empty for count and distribution
    edges: tuple[int, ...] = ()  # of a histogram: rising; each bin holds its lower edge, the last both
    quantiles: tuple[int, ...] = ()  # in thousandths, rising
    most: int = 0  # of a distribution: the last bin is of so many rows or more

    def to_json(self) -> dict[str, Json]:
        """Write what applies."""
        entry: dict[str, Json] = {"kind": self.kind}
        if self.column:
            entry["column"] = self.column
        if self.edges:
            entry["edges"] = list(self.edges)
        if self.quantiles:
            entry["quantiles"] = list(self.quantiles)
        if self.most:
            entry["most"] = self.most
        return entry

    @classmethod
    def from_fields(cls, fields: Fields) -> Metric:
        """Read one; whether it fits a table is for `Question`."""
        found = cls(
            kind=fields.choice("kind", METRICS),
            column=fields.text("column") if fields.has("column") else "",
            edges=fields.integers("edges", -(2**40), 2**40) if fields.has("edges") else (),
            quantiles=fields.integers("quantiles", 1, 999) if fields.has("quantiles") else (),
            most=fields.integer("most", 1, MAX_DISTRIBUTION) if fields.has("most") else 0,
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. Holding one proves that the dictionary offers it."""

    table: str
    year: int
    metric: Metric = field(default_factory=Metric)
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()  # by column, in the order of their names
    by: tuple[str, ...] = ()
    unit: str = "rows"
    at_most: int = 0  # with children: bins that one child is counted in

    def __post_init__(self) -> None:
        table = dictionary().table(self.table)
        if not FIRST_YEAR <= self.year <= LAST_YEAR:
            raise QuestionInvalid("year", f"expected {FIRST_YEAR} to {LAST_YEAR}")
        names = [name for name, _ in self.where]
        if names != sorted(set(names)):
            raise QuestionInvalid("where", "expected each column once, in the order of their names")
        for name, keys in self.where:
            _check_keys("where", table.column(name), keys)
        if len(self.by) > MAX_GROUPS or len(set(self.by)) != len(self.by):
            raise QuestionInvalid("by", f"expected at most {MAX_GROUPS} columns, each once")
        if any(table.column(name).kind is Kind.NUMBER for name in self.by):
            raise QuestionInvalid("by", "expected columns with public keys; numbers go into a histogram")
        if sum(table.column(name).kind is Kind.MULTI for name in self.by) > 1:
            raise QuestionInvalid("by", "expected at most one column of which a row has several keys")
        self._check_metric(table)
        if self.width > MAX_CELLS:
            raise QuestionInvalid(
                "by", f"expected at most {MAX_CELLS} numbers in all; this makes {self.width}"
            )

    def _check_metric(self, table: Table) -> None:
        """Refuse a metric that does not fit the table or the groups."""
        metric = self.metric
        takes = {"histogram": "edges", "quantile": "quantiles", "distribution": "most"}
        for kind, name in takes.items():
            if bool(getattr(metric, name)) != (metric.kind == kind):
                raise QuestionInvalid("metric", f"expected {name} with a {kind}, and only there")
        if bool(metric.column) != (metric.kind not in ("count", "distribution")):
            raise QuestionInvalid(
                "metric", "expected a column of numbers with any but count and distribution"
            )
        if metric.column and table.column(metric.column).kind is not Kind.NUMBER:
            raise QuestionInvalid("metric", f"expected a column of numbers; {metric.column} has keys")
        for name in ("edges", "quantiles"):
            found = getattr(metric, name)
            if list(found) != sorted(set(found)):
                raise QuestionInvalid("metric", f"expected {name} that rise")
        if not all(isinstance(one, int) for one in metric.edges):
            raise QuestionInvalid("metric", "expected whole numbers as edges")
        if metric.quantiles and not 1 <= metric.quantiles[0] <= metric.quantiles[-1] <= 999:
            raise QuestionInvalid("metric", "expected quantiles between 0.001 and 0.999")
        if not 0 <= metric.most <= MAX_DISTRIBUTION:
            raise QuestionInvalid("metric", f"expected a distribution of at most {MAX_DISTRIBUTION} bins")
        if metric.edges and not 2 <= len(metric.edges) <= MAX_EDGES:
            raise QuestionInvalid("metric", f"expected 2 to {MAX_EDGES} edges")
        if metric.kind == "distribution" and (self.by or self.unit != "rows"):
            raise QuestionInvalid("metric", "expected a distribution without groups")
        if self.unit not in UNITS or (self.unit == "children") != (self.at_most > 0):
            raise QuestionInvalid("unit", "expected rows, or children in at most so many bins")
        if self.unit == "children" and any(table.column(name).kind is Kind.MULTI for name in self.by):
            raise QuestionInvalid("unit", "expected rows with a column of which a row has several keys")
        if self.unit == "children" and (metric.kind != "count" or self.at_most > self.bins):
            raise QuestionInvalid("unit", f"expected a count of children in at most {self.bins} bins")

    @property
    def bins(self) -> int:
        """How many groups there are: every combination of public keys."""
        found = 1
        for name in self.by:
            found *= len(self._table.column(name).keys)
        return found

    @property
    def slots(self) -> tuple[str, ...]:
        """What numbers each group has, by name."""
        metric = self.metric
        if metric.kind == "mean":
            return ("sum", "count")
        if metric.kind == "distribution":
            return tuple(str(number) for number in range(1, metric.most + 1))
        edges = self.edges
        if edges:
            return tuple(f"{low}-{high}" for low, high in itertools.pairwise(edges))
        return (metric.kind,)

    @property
    def edges(self) -> tuple[int, ...]:
        """The edges of the bins that a histogram or a quantile is counted in; empty for other metrics."""
        if self.metric.kind == "quantile":
            column = self._table.column(self.metric.column)
            step = max(1, -(-(column.high - column.low) // QUANTILE_BINS))
            return (*range(column.low, column.high, step), column.high)
        return self.metric.edges

    @property
    def width(self) -> int:
        """How many numbers the answer has."""
        return self.bins * len(self.slots)

    def cells(self) -> tuple[tuple[str, ...], ...]:
        """The keys of every group, in the order of the answer; the last column turns fastest."""
        return tuple(itertools.product(*(self._table.column(name).keys for name in self.by)))

    @property
    def clamp(self) -> int:
        """Most rows of one child that count."""
        return self._table.clamp

    @property
    def sensitivity_squared(self) -> int:
        """The most by which one child at one agency moves the answer, as a squared length.

        All rows of a child may fall into one group, so the clamp is squared with the rest.
        """
        if self.metric.kind == "distribution":
            return 1
        if self.unit == "children":
            return self.at_most
        row = 1
        if self.metric.kind == "sum":
            row = self._table.column(self.metric.column).reach ** 2
        elif self.metric.kind == "mean":
            row = 2 * self.count_weight**2
        for name in self.by:
            row *= self._table.column(name).most
        return self.clamp**2 * row

    @property
    def count_weight(self) -> int:
        """By how much the count of a mean is multiplied before noise is added.

        Sum and count get noise of one size. A row moves the sum by up to the column's bound and the count by
        1, so the count would drown in noise that only the sum is in need of. Weighed by the bound it moves as
        much as the sum, and its noise is that of the sum divided by the bound.
        """
        return max(1, self._table.column(self.metric.column).reach)

    def days(self) -> tuple[date, date]:
        """The year's first day, and the first day after it."""
        return self._table.year(self.year)

    @property
    def words(self) -> str:
        """What is asked, on one line."""
        metric, where = self.metric, [f"{name}={'|'.join(keys)}" for name, keys in self.where]
        of = f" of {metric.column}" if metric.column else ""
        what = f"{metric.kind}{of}"
        if self.unit == "children":
            what = f"children, each in at most {self.at_most} groups"
        by = [f"by {', '.join(self.by)}"] if self.by else []
        return ", ".join([f"{self.table} {self.year}: {what}", *where, *by])

    def to_json(self) -> dict[str, Json]:
        """Write it."""
        entry: dict[str, Json] = {
            "table": self.table,
            "year": self.year,
            "where": {name: list(keys) for name, keys in self.where},
            "by": list(self.by),
            "metric": self.metric.to_json(),
            "unit": self.unit,
        }
        if self.at_most:
            entry["at_most"] = self.at_most
        return entry

    @classmethod
    def from_fields(cls, fields: Fields) -> Question:
        """Read one; raises DocumentInvalid, QuestionInvalid."""
        where = fields.take("where")
        listed = Fields(where, "where")
        found = cls(
            table=fields.text("table"),
            year=fields.integer("year", FIRST_YEAR, LAST_YEAR),
            metric=Metric.from_fields(fields.table("metric")),
            where=tuple((name, listed.texts(name)) for name in sorted(where)),
            by=fields.texts("by"),
            unit=fields.choice("unit", UNITS),
            at_most=fields.integer("at_most", 1, MAX_CELLS) if fields.has("at_most") else 0,
        )
        fields.done()
        return found

    @property
    def _table(self) -> Table:
        return dictionary().table(self.table)


def ask(
    table: str, year: int, where: Mapping[str, Sequence[str]], by: Sequence[str], **rest: Any
) -> Question:
    """Make a question from what people write: filters in any order."""
    ordered = tuple((name, tuple(where[name])) for name in sorted(where))
    return Question(table, year, where=ordered, by=tuple(by), **rest)


def _check_keys(at: str, column: Column, keys: Sequence[str]) -> None:
    """Refuse keys that the column does not have."""
    if column.kind is Kind.NUMBER:
        raise QuestionInvalid(at, f"expected a column with public keys; {column.id} has numbers")
    if not keys or len(set(keys)) != len(keys) or not set(keys) <= set(column.keys):
        raise QuestionInvalid(at, f"expected different keys of {column.id}: {', '.join(column.keys)}")
