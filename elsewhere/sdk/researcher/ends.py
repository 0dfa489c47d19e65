"""How a study ends: opened, refused before anything was charged, or failed after. Three types, told apart.

Sees:     noised totals: nothing in them is secret from the researcher.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from elsewhere.canonical import Json
from elsewhere.errors import ConfigInvalid
from elsewhere.research.estimate import Estimate, Suppressed
from elsewhere.research.question import Question

if TYPE_CHECKING:
    import pandas
    import polars
    from matplotlib.axes import Axes

NANO: Final = 1e9
DELTA: Final = 1e-6
STATES: Final = {
    1: "asked",
    2: "prepared",
    3: "shared",
    4: "refused",
    5: "unreachable",
    6: "timed out",
    7: "released",
}


@dataclass(frozen=True, slots=True)
class Participant:
    """One agency's part, and why it ended so."""

    agency: str
    state: str  # one of STATES
    code: str = ""  # with refused: docs/errors.md says what it means

    def to_json(self) -> dict[str, Json]:
        """Write it."""
        return {"agency": self.agency, "state": self.state, "code": self.code}


@dataclass(frozen=True, slots=True)
class Price:
    """What a study costs, and how exact it is."""

    sigma: float  # noise of the answer, as the query states it
    interval: float  # an estimate is within so much of the truth, 19 times in 20
    charge_nrho: int  # at every agency that takes part
    epsilon: float  # what the charge amounts to at delta 1e-6
    rho_alone: float  # the worst case: what an agency's own share costs if all others collude

    @property
    def rho(self) -> float:
        """The charge as rho."""
        return self.charge_nrho / NANO

    def within(self, question: Question) -> str:
        """How near to the truth its numbers are, in words; of a mean its sum and count."""
        if question.metric.kind != "mean":
            return f"±{self.interval:.1f} a number"
        of_count = self.interval / question.count_weight
        return f"±{self.interval:.1f} of the sum and ±{of_count:.1f} of the count"


@dataclass(frozen=True, slots=True)
class Opened:
    """Every share came, was verified, and was added here."""

    query_id: str  # 64 hex digits
    question: Question
    cells: tuple[Estimate | Suppressed, ...]
    price: Price  # as it came out, with those who took part
    budget_left_nrho: int  # the least that is left anywhere, after this study
    participants: tuple[Participant, ...]
    agencies: tuple[str, ...]  # whose shares are in the total
    holders: tuple[str, ...]  # those of them that hold the table, as agreed: the others add noise alone
    holders_away: tuple[str, ...]  # who holds it too, and is not in the total
    path: Path | None = field(default=None, compare=False)  # where all signed documents are kept

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The cells that are shown."""
        return tuple(cell for cell in self.cells if isinstance(cell, Estimate))

    def __getitem__(self, keys: str | tuple[str, ...]) -> Estimate | Suppressed:
        """The number of a group by its keys, in the order of the question's columns.

        Where a group has several numbers - bins, quantiles - the name of the one that is meant comes last.

        Raises:
            KeyError: there is no such group, or it has several numbers; says which there are.
        """
        wanted = (keys,) if isinstance(keys, str) else tuple(keys)
        found = [cell for cell in self.cells if wanted in (cell.keys, (*cell.keys, cell.slot))]
        if len(found) == 1:
            return found[0]
        groups = list(dict.fromkeys(cell.keys for cell in self.cells))
        if found:
            raise KeyError(f"expected one of its numbers as well: {', '.join(one.slot for one in found)}")
        columns = ", ".join((*self.question.by, *(["number"] if _has_slots(self.cells) else []))) or "()"
        raise KeyError(f"expected a group by its keys, {columns}; the first is {groups[0]!r}, not {keys!r}")

    def rows(self) -> list[dict[str, Any]]:
        """One row a cell; a suppressed one has no numbers."""
        return [self._row(cell) for cell in self.cells]

    def to_json(self) -> dict[str, Json]:
        """Write all of it as JSON values."""
        return {
            "outcome": "opened",
            "query_id": self.query_id,
            "question": self.question.to_json(),
            "estimates": [dict(row) for row in self.rows()],
            "interval": self.price.interval,
            "rho": self.price.rho,
            "epsilon": self.price.epsilon,
            "rho_alone": self.price.rho_alone,
            "delta": DELTA,
            "budget_left": self.budget_left_nrho / NANO,
            "agencies": len(self.agencies),
            "holders": list(self.holders),
            "holders_away": list(self.holders_away),
            "participants": [one.to_json() for one in self.participants],
        }

    def to_polars(self) -> polars.DataFrame:
        """One row a cell, as a Polars table; raises ConfigInvalid without the extra `research`."""
        return _library("polars").DataFrame(self.rows(), infer_schema_length=None)

    def to_pandas(self) -> pandas.DataFrame:
        """One row a cell, as a pandas table; raises ConfigInvalid without the extra `research`."""
        return _library("pandas").DataFrame(self.rows())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Bars with the 95 % interval of each; suppressed cells are left out and counted in the title."""
        _library("matplotlib")
        from matplotlib.figure import Figure

        axes = ax if ax is not None else Figure(layout="constrained").add_subplot()
        shown = self.estimates
        labels = [_label(cell, has_slots=_has_slots(self.cells)) for cell in shown]
        below = [max(0.0, cell.shown - cell.low) for cell in shown]
        above = [max(0.0, cell.high - cell.shown) for cell in shown]
        axes.bar(range(len(shown)), [cell.shown for cell in shown], yerr=[below, above], capsize=3)
        axes.set_xticks(range(len(shown)), labels, rotation=60, ha="right")
        left_out = len(self.cells) - len(shown)
        title = f"{self.question.words}\n{len(self.agencies)} agencies, {self.holding}; 95 % intervals"
        axes.set_title(title + (f"; {left_out} suppressed" if left_out else ""))
        return axes

    @property
    def holding(self) -> str:
        """Who of those that hold the table is in the total, in words."""
        held = len(self.holders) + len(self.holders_away)
        alone = ": the total is its own number" if len(self.holders) == 1 else ""
        return f"{len(self.holders)} of {held} that hold the table{alone}"

    def caption(self) -> str:
        """What always stands with the numbers."""
        return (
            f"{self.question.words}. {len(self.agencies)} agencies, with {self.holding}; "
            f"95 % interval {self.price.within(self.question)}, "
            f"rho {self.price.rho:.4f}, epsilon {self.price.epsilon:.2f} at delta 1e-6, "
            f"budget left rho {self.budget_left_nrho / NANO:.4f}. "
            "Totals over agencies count a child once at each agency that holds it."
        )

    def _repr_html_(self) -> str:
        """For notebooks."""
        names = [
            *self.question.by,
            *(["number"] if _has_slots(self.cells) else []),
            "estimate",
            "95 % interval",
        ]
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        body = "".join(f"<tr>{self._html_row(cell)}</tr>" for cell in self.cells)
        return f"<table><tr>{head}</tr>{body}</table><p>{html.escape(self.caption())}</p>"

    def _html_row(self, cell: Estimate | Suppressed) -> str:
        words = [*cell.keys, *([cell.slot] if _has_slots(self.cells) else []), *describe(cell)]
        return "".join(f"<td>{html.escape(word)}</td>" for word in words)

    def _row(self, cell: Estimate | Suppressed) -> dict[str, Any]:
        row: dict[str, Any] = dict(zip(self.question.by, cell.keys, strict=True))
        return {
            **row,
            "number": cell.slot,
            "estimate": cell.shown,
            "low": cell.low,
            "high": cell.high,
            "noised": cell.value,
            "suppressed": isinstance(cell, Suppressed),
        }


@dataclass(frozen=True, slots=True)
class Refused:
    """The study did not begin. Nothing was charged anywhere."""

    query_id: str
    code: str  # why the gateway refused it whole; empty: too few agencies take part
    participants: tuple[Participant, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Write all of it as JSON values."""
        return {
            "outcome": "refused",
            "query_id": self.query_id,
            "code": self.code,
            "participants": [one.to_json() for one in self.participants],
        }


@dataclass(frozen=True, slots=True)
class Failed:
    """Somebody failed once the participants were fixed. What was charged stands; ask anew, at a new cost."""

    query_id: str
    participants: tuple[Participant, ...]
    charge_nrho: int  # at each agency that had shared, and perhaps at others

    def to_json(self) -> dict[str, Json]:
        """Write all of it as JSON values."""
        return {
            "outcome": "failed",
            "query_id": self.query_id,
            "rho": self.charge_nrho / NANO,
            "participants": [one.to_json() for one in self.participants],
        }


End = Opened | Refused | Failed


def describe(cell: Estimate | Suppressed) -> tuple[str, str]:
    """An estimate and its interval in words."""
    if isinstance(cell, Suppressed):
        return "suppressed", ""
    return f"{cell.shown:g}", f"{max(0.0, cell.low):.1f} to {max(0.0, cell.high):.1f}"


def _has_slots(cells: Sequence[Estimate | Suppressed]) -> bool:
    return len({cell.slot for cell in cells}) > 1


def _label(cell: Estimate, *, has_slots: bool) -> str:
    return " ".join((*cell.keys, *([cell.slot] if has_slots or not cell.keys else [])))


def _library(name: str) -> Any:
    """A library of the extra `research`, imported when it is first needed."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigInvalid(f"expected {name}; install 'elsewhere[research]'") from None
