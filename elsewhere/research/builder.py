"""Writing a question the way one says it: a table and a year, a filter, groups, and what to compute.

Refuses:  what the dictionary does not offer, naming the nearest word that it does.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from elsewhere.research.dictionary import Kind, Table, dictionary
from elsewhere.research.errors import QuestionInvalid
from elsewhere.research.question import Metric, Question, ask


@dataclass(frozen=True, slots=True)
class Draft:
    """A question without its metric. Every step gives a new draft."""

    table: str
    year: int
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _known("table", self.table, dictionary().tables)

    def where(self, **columns: str | Sequence[str]) -> Draft:
        """Keep rows with one of these keys in each column named; raises QuestionInvalid."""
        found = dict(self.filters)
        for name, keys in columns.items():
            column = self._table.columns[_known("column", name, self._keyed())]
            listed = (
                (keys,) if isinstance(keys, str) else tuple(keys) if isinstance(keys, list | tuple) else ()
            )
            if not listed or not all(isinstance(key, str) for key in listed):
                raise QuestionInvalid("where", f"expected keys of {name} as texts: {', '.join(column.keys)}")
            for key in listed:
                _known(f"key of {name}", key, column.keys)
            found[name] = listed
        return replace(self, filters=found)

    def group_by(self, *columns: str) -> Draft:
        """Answer once for each combination of these columns' keys; raises QuestionInvalid."""
        for name in columns:
            _known("column", name, self._keyed())
        return replace(self, groups=(*self.groups, *columns))

    def count(self) -> Question:
        """How many rows."""
        return self._ask(Metric())

    def children(self, at_most: int = 1) -> Question:
        """How many children, each in at most so many groups: those that it was in first."""
        return ask(self.table, self.year, self.filters, self.groups, unit="children", at_most=at_most)

    def sum(self, column: str) -> Question:
        """The sum of a column of numbers."""
        return self._ask(Metric("sum", self._number(column)))

    def mean(self, column: str) -> Question:
        """The mean of a column of numbers."""
        return self._ask(Metric("mean", self._number(column)))

    def histogram(self, column: str, edges: Sequence[int]) -> Question:
        """How many rows lie between each two edges; the lower edge belongs to its bin, the last one too."""
        return self._ask(Metric("histogram", self._number(column), edges=tuple(edges)))

    def quantile(self, column: str, quantiles: Sequence[float]) -> Question:
        """Quantiles of a column of numbers, each between 0 and 1."""
        thousandths = tuple(round(one * 1000) for one in quantiles)
        return self._ask(Metric("quantile", self._number(column), quantiles=thousandths))

    def distribution(self, most: int) -> Question:
        """How many children have 1, 2, ... rows; the last number is of `most` or more."""
        return self._ask(Metric("distribution", most=most))

    def _ask(self, metric: Metric) -> Question:
        return ask(self.table, self.year, self.filters, self.groups, metric=metric)

    def _number(self, name: str) -> str:
        numbers = [one for one, column in self._table.columns.items() if column.kind is Kind.NUMBER]
        return _known("column of numbers", name, numbers)

    def _keyed(self) -> list[str]:
        """Columns with public keys."""
        return [name for name, column in self._table.columns.items() if column.kind is not Kind.NUMBER]

    @property
    def _table(self) -> Table:
        return dictionary().tables[self.table]


def _known(what: str, word: str, words: Mapping[str, object] | Sequence[str]) -> str:
    """Give a word back if it is one of the words; else name the nearest."""
    if word in words:
        return word
    # Codes are often near to one another without being meant: then all of them are named.
    near = difflib.get_close_matches(word, list(words), 1) if word.isalpha() or "_" in word else []
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(words) or 'none'}"
    raise QuestionInvalid(what.split()[0], f"expected a {what} of the dictionary; {hint}")
