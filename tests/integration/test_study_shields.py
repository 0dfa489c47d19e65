"""What docs/research.md says of shielded children: they are counted as all others, and protected less."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from elsewhere.research.question import ask
from node.store.engine import Store, open_store
from node.studies.tables.reading import Tables
from node.studies.tables.sections import ResearchSection, TableSection
from tests.caseload import ANN, load_rows

QUESTION = ask("referral", 2025, {}, [])
CLAMP = QUESTION.clamp
IDS = ("1", "9")  # one child, whom this agency knows under two ids


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


def counted(folder: Path, store: Store) -> int:
    """How many rows count of a child with more than enough under each of two ids."""
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "child", "day", "nfa"))
        writer.writerows((f"{own} {n}", own, "2025-03-03", "Y") for own in IDS for n in range(CLAMP + 3))
    table = TableSection(
        file="rows.csv", child="child", caseload="cases", date="day", row="id", columns={"nfa": "nfa"}
    )
    (number,) = Tables(ResearchSection(tables={"referral": table}), folder, store).vector(QUESTION)
    return number


@pytest.mark.parametrize(
    ("shield", "times"),
    [
        ("", 1),
        ("place", 1),
        ("adopted", 2),  # never joined: each id is a child, and this one is protected a quarter as well
    ],
)
def test_a_shielded_child_is_counted_and_under_an_identity_shield_once_an_id(
    tmp_path: Path, store: Store, shield: str, times: int
) -> None:
    load_rows(store, [ANN | {"shield": shield}, ANN | {"id": "9", "shield": shield}])

    assert counted(tmp_path, store) == times * CLAMP
