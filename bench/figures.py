"""One measured figure beside its floor and its target, and how a run of them is shown and kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

Sense = Literal["at most", "at least"]
_BEGIN, _END = "<!-- results: written by python -m bench --publish -->", "<!-- end of results -->"


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, in the unit named; `floor` is of the same run, `target` what it is held to.

    `plain`: the same of a plain hashed lookup over the same links, in the same run.
    """

    group: str
    what: str
    value: float
    unit: str
    floor: float | None = None  # or the limit that bounds it: bare libsodium, fsync, floor-bound throughput
    target: float | None = None
    sense: Sense = "at most"
    note: str = ""
    plain: float | None = None

    @property
    def ratio(self) -> float | None:
        """The value over its floor."""
        return self.value / self.floor if self.floor else None

    @property
    def verdict(self) -> str:
        """Met, missed, or nothing where there is no target."""
        if self.target is None:
            return ""
        met = self.value <= self.target if self.sense == "at most" else self.value >= self.target
        return "met" if met else "missed"

    @property
    def aim(self) -> str:
        """The target in words."""
        if self.target is None:
            return ""
        return f"{'<=' if self.sense == 'at most' else '>='} {number(self.target)}"


@dataclass(slots=True)
class Results:
    """Everything one run found."""

    machine: dict[str, object]
    figures: list[Figure] = field(default_factory=list)

    def add(self, *figures: Figure) -> None:
        """Take figures in."""
        self.figures.extend(figures)

    def write(self, path: Path) -> None:
        """Keep the run as one JSON file."""
        rows = [
            {**asdict(figure), "ratio": figure.ratio, "verdict": figure.verdict} for figure in self.figures
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": self.machine, "figures": rows}, indent=1) + "\n", "utf-8")


def publish(path: Path, results: Results) -> None:
    """Put a run's tables in the place of those that a document holds between its two marks."""
    text = path.read_text("utf-8")
    head, rest = text.split(_BEGIN, 1)
    _, tail = rest.split(_END, 1)
    facts = "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in results.machine.items())
    groups: dict[str, list[Figure]] = {}
    for figure in results.figures:
        groups.setdefault(figure.group, []).append(figure)
    tables = [f"### {name}\n\n{table(figures)}" for name, figures in groups.items()]
    path.write_text("\n\n".join([head + _BEGIN, facts, *tables, _END + tail]), "utf-8")


def table(figures: Sequence[Figure]) -> str:
    """Give the figures as a Markdown table, a row each, and their notes below it."""
    heads = ("what", "measured", "floor", "ratio", "plain", "target", "")
    rows = [
        (
            figure.what + ("" if not figure.note else f" [{index}]"),
            f"{number(figure.value)} {figure.unit}".strip(),
            number(figure.floor) if figure.floor is not None else "",
            f"{figure.ratio:.2f}" if figure.ratio is not None else "",
            number(figure.plain) if figure.plain is not None else "",
            figure.aim,
            figure.verdict,
        )
        for index, figure in enumerate(figures, 1)
    ]
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    lines = [_line(heads, widths), "|".join(["", *("-" * (width + 2) for width in widths), ""])]
    lines += [_line(row, widths) for row in rows]
    notes = [f"[{index}] {figure.note}" for index, figure in enumerate(figures, 1) if figure.note]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
