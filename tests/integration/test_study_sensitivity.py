"""Neighbours: with one child more or less, a node's exact counts move by at most what was charged for."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from elsewhere.research.dictionary import dictionary
from elsewhere.research.question import Metric, Question, ask
from node.studies.tables.counting import count
from node.studies.tables.engines import Within, open_table
from node.studies.tables.sections import TableSection

Row = dict[str, str]
FACTORS = dictionary().tables["assessment"].columns["factors"].keys
MAPPED = {
    "referral": {"source": "source", "need": "need", "nfa": "nfa"},
    "assessment": {"factors": "factors", "days": "days"},
    "missing": {"hours": "hours", "kind": "kind"},
}
NAMES = ("id", "child", "day", "source", "need", "nfa", "factors", "days", "hours", "kind")
IDS = ("ours", "also-ours")  # one child, whom this agency knows under two ids
WORST = {
    "source": "1A",
    "need": "N1",
    "nfa": "Y",
    "factors": ";".join(FACTORS),
    "days": "999",
    "hours": "999",
}

QUESTIONS = {
    "count": ask("referral", 2025, {}, []),
    "by source": ask("referral", 2025, {}, ["source"]),
    "by three, filtered": ask("referral", 2025, {"nfa": ["Y"]}, ["source", "need", "nfa"]),
    "children": ask("referral", 2025, {}, ["source"], unit="children", at_most=2),
    "distribution": ask("referral", 2025, {}, [], metric=Metric("distribution", most=6)),
    "factors": ask("assessment", 2025, {}, ["factors"]),
    "mean by factors": ask("assessment", 2025, {}, ["factors"], metric=Metric("mean", column="days")),
    "sum": ask("missing", 2025, {}, [], metric=Metric("sum", column="hours")),
    "histogram": ask("missing", 2025, {}, [], metric=Metric("histogram", column="hours", edges=(0, 6, 720))),
    "quantile": ask(
        "missing", 2025, {}, ["kind"], metric=Metric("quantile", column="hours", quantiles=(500,))
    ),
}
# Where all rows of a child fall together, these move by the whole of what is charged, so nothing is overpaid.
TIGHT = ("count", "by source", "distribution", "factors", "mean by factors", "sum", "histogram", "quantile")


def some_row(random: Random, child: str) -> Row:
    """One event, within the dictionary or beyond it."""
    return {
        "child": child,
        "day": f"2025-{random.randint(1, 12):02}-{random.randint(1, 28):02}",
        "source": random.choice(["1A", "6", "10"]),
        "need": random.choice(["N0", "N1", "N9"]),
        "nfa": random.choice(["Y", "N", "?"]),
        "factors": ";".join(random.sample(FACTORS, random.randint(0, len(FACTORS)))),
        "days": str(random.choice([-5, 0, 60, 120, 5000])),
        "hours": str(random.choice([-5, 0, 24, 720, 5000])),
        "kind": random.choice(["M", "A"]),
    }


def counted(path: Path, question: Question, rows: Sequence[Row]) -> list[int]:
    """This agency's exact numbers over these rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, NAMES)
        writer.writeheader()
        for number, row in enumerate(rows):
            writer.writerow({"id": str(number), **row})
    section = TableSection(
        file=path.name,
        child="child",
        caseload="cases",
        date="day",
        row="id",
        columns={own: name for own, name in MAPPED[question.table].items()},
    )
    with open_table(section, Within(path.parent, 512, 60), [(one, 1) for one in IDS]) as opened:
        return count(opened, section, question)


def length_squared(changes: Sequence[int]) -> int:
    """Of what one child's rows change."""
    return sum(change * change for change in changes)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_child_more_or_less_moves_the_answer_by_at_most_its_sensitivity(name: str, tmp_path: Path) -> None:
    question, random = QUESTIONS[name], Random(name)
    others = [some_row(random, f"c{number % 20}") for number in range(60)]
    child = [some_row(random, random.choice(IDS)) for _ in range(40)]

    without = counted(tmp_path / "rows.csv", question, others)
    with_it = counted(tmp_path / "rows.csv", question, [*others, *child])

    assert len(without) == len(with_it) == question.width
    changes = [one - two for one, two in zip(with_it, without, strict=True)]
    assert 0 < length_squared(changes) <= question.sensitivity_squared


@pytest.mark.parametrize("name", TIGHT)
def test_a_child_whose_rows_all_fall_together_moves_it_by_just_that(name: str, tmp_path: Path) -> None:
    question = QUESTIONS[name]
    child = [{**WORST, "child": IDS[at % 2], "day": "2025-03-03", "kind": "M"} for at in range(40)]

    found = counted(tmp_path / "rows.csv", question, child)

    assert length_squared(found) == question.sensitivity_squared
