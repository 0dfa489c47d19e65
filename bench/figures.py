"""One measured figure beside its floor and its target, and how a run of them is shown and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
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


@dataclass(frozen=True, slots=True)
class Run:
    """One group's figures, and when and on what they were measured."""

    group: str
    machine: Mapping[str, str]
    figures: tuple[Figure, ...]


def keep(path: Path, runs: Sequence[Run]) -> list[Run]:
    """Keep runs in one JSON file, each in the place of an earlier run of its group; gives all in it."""
    found = {run.group: run for run in [*_kept(path), *runs]}
    rows = [
        {
            "group": run.group,
            "machine": dict(run.machine),
            "figures": [
                {**asdict(figure), "ratio": figure.ratio, "verdict": figure.verdict} for figure in run.figures
            ],
        }
        for run in found.values()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"runs": rows}, indent=1) + "\n", "utf-8")
    return list(found.values())


def _kept(path: Path) -> list[Run]:
    """What earlier runs left there; nothing where the file is of another form."""
    try:
        rows = json.loads(path.read_text("utf-8"))["runs"]
    except (OSError, ValueError, KeyError):
        return []
    names = {field.name for field in fields(Figure)}
    return [
        Run(
            row["group"],
            row["machine"],
            tuple(
                Figure(**{name: cell for name, cell in figure.items() if name in names})
                for figure in row["figures"]
            ),
        )
        for row in rows
    ]


def publish(path: Path, runs: Sequence[Run]) -> None:
    """Put the runs' tables in the place of those that a document holds between its two marks."""
    text = path.read_text("utf-8")
    head, rest = text.split(_BEGIN, 1)
    _, tail = rest.split(_END, 1)
    parts = [f"### {run.group}\n\n{_facts(run.machine)}\n\n{table(run.figures)}" for run in runs]
    path.write_text("\n\n".join([head + _BEGIN, *parts, _END + tail]), "utf-8")


def _facts(machine: Mapping[str, str]) -> str:
    return "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in machine.items()) + "."


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
