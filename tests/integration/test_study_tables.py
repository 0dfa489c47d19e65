"""Every engine counts what plain Python counts, for every metric, whatever the rows hold."""

from __future__ import annotations

import csv
import math
import random
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest
from pyarrow import parquet

from elsewhere.research.builder import Draft
from elsewhere.research.dictionary import UNKNOWN, Kind, dictionary
from elsewhere.research.question import Question
from node.studies.tables.counting import count
from node.studies.tables.engines import Within, open_table
from node.studies.tables.sections import TableSection
from tests.postgres_server import Server

NAMES = ("id", "child", "day", "src", "nfa", "need", "age", "hrs", "fac")
COLUMNS: dict[str, dict[str, Any]] = {
    "referral": {
        "source": "src",
        "nfa": {"column": "nfa", "codes": {"no": "N", "yes": "Y"}},
        "need": "need",
        "age_band": "age",
        "eth7": {"column": "nfa", "codes": {"yes": "ASIAN"}},
    },
    "missing": {"hours": "hrs", "age_band": "age", "interview_offered": "nfa"},
    "assessment": {"factors": "fac", "days": "hrs", "age_band": "age"},
}
DRAFTS: dict[str, Callable[[], Question]] = {
    "count": lambda: Draft("referral", 2025).count(),
    "by two": lambda: Draft("referral", 2025).group_by("source", "nfa").count(),
    "filtered": lambda: (
        Draft("referral", 2025).where(nfa="Y", age_band=["1-4", "0"]).group_by("need").count()
    ),
    "with unknown": lambda: Draft("referral", 2025).group_by("eth7").count(),
    "children": lambda: Draft("referral", 2025).children(),
    "children in bins": lambda: Draft("referral", 2025).group_by("source").children(at_most=2),
    "spread": lambda: Draft("referral", 2025).distribution(3),
    "sum": lambda: Draft("missing", 2025).group_by("age_band").sum("hours"),
    "mean": lambda: Draft("missing", 2025).mean("hours"),
    "histogram": lambda: Draft("missing", 2025).histogram("hours", [0, 6, 24, 720]),
    "quantile": lambda: Draft("missing", 2025).group_by("age_band").quantile("hours", [0.5]),
    "factors": lambda: Draft("assessment", 2025).group_by("factors").count(),
    "with factor": lambda: (
        Draft("assessment", 2025).where(factors=["1A", "22A"]).group_by("age_band").count()
    ),
    "days by factor": lambda: Draft("assessment", 2025).group_by("age_band", "factors").mean("days"),
}
# Days of the years beside, and texts that sort into the year but are no days of it.
DAYS = ["2024-12-31", "2025-01-01", "2025-06-15", "2025-12-31", "2026-01-01", "2025-06-15T10:00:00Z"]
DAYS = DAYS * 6 + ["20250301", "2025/03/01", "2025-3-1", "2025-02-30", "2025-13-45", "2025-05-xx"]
# Some that no engine brings to a whole number, and some on which engines do not agree how to.
NUMBERS = ["0", "5", "6", "24", "719", "9000", "-3", "", "12.4", "12.5", "0.5", " 7 ", "+8", "many"]
NUMBERS += [
    "99999999999999999999",
    "1e300",
    "NaN",
    "inf",
    "-Infinity",
    "9" * 400,
    "\u0663",
    "\u00a05",
    "0x10",
]
MERGED = [("c1", 1), ("c2", 1), ("c3", 1), ("c4", 2), ("c5", 2)]


def made_rows(seed: int) -> list[dict[str, str]]:
    """Rows with everything in them that tables have: gaps, unknown codes, other years, odd numbers."""
    draw = random.Random(seed)
    keys = dictionary().tables["assessment"].columns["factors"].keys
    rows = []
    for number in range(400):
        rows.append(
            {
                "id": str(1000 + number),
                "child": draw.choice([f"c{draw.randrange(60)}"] * 19 + [""]),
                "day": draw.choice(DAYS),
                "src": draw.choice(["1A", "6", "10", "", "ZZ"]),
                "nfa": draw.choice(["yes", "no", "Y", "N", "", "perhaps"]),
                "need": draw.choice(["N0", "N1", "N9", "n1"]),
                "age": draw.choice(["0", "1-4", "16-17", "", "99"]),
                "hrs": draw.choice(NUMBERS),
                "fac": draw.choice([";", " ; ", "; "]).join(draw.sample(keys, draw.choice([0, 1, 3, 14]))),
            }
        )
    return rows


@dataclass
class Plain:
    """What a question counts, worked out row by row."""

    question: Question
    section: TableSection

    def counted(self, rows: Sequence[dict[str, str]], merged: dict[str, int]) -> list[int]:
        """Count."""
        kept: dict[str, list[dict[str, str]]] = defaultdict(list)
        first, end = (day.isoformat() for day in self.question.days())
        for row in sorted(rows, key=lambda one: (one["day"][:10], one["id"])):
            child = str(merged.get(row["child"], row["child"]))
            is_within = is_day(row["day"][:10]) and first <= row["day"] < end
            if row["child"] and is_within and len(kept[child]) < self.question.clamp:
                kept[child].append(row)
        for child, own in kept.items():
            kept[child] = [row for row in own if self._is_about(row)]
        if self.question.metric.kind == "distribution":
            most = self.question.metric.most
            sizes = [min(len(own), most) for own in kept.values() if own]
            return [sizes.count(number) for number in range(1, most + 1)]
        numbers: dict[tuple[str, ...], list[int]] = {
            cell: [0] * len(self.question.slots) for cell in self.question.cells()
        }
        for own in kept.values():
            self._add(numbers, own)
        return [number for group in numbers.values() for number in group]

    def _add(self, numbers: dict[tuple[str, ...], list[int]], own: Sequence[dict[str, str]]) -> None:
        bins: list[tuple[str, ...]] = []
        for row in own:
            for cell in self._cells(row):
                if self.question.unit == "children":
                    if cell not in bins and len(bins) < self.question.at_most:
                        bins.append(cell)
                        numbers[cell][0] += 1
                else:
                    self._put(numbers[cell], row)

    def _put(self, group: list[int], row: dict[str, str]) -> None:
        metric = self.question.metric
        if not metric.column:
            group[0] += 1
            return
        value = self._number(row, metric.column)
        if value is None:
            return
        if self.question.edges:
            edges = self.question.edges
            for place in range(len(edges) - 1):
                is_last = place == len(edges) - 2
                if edges[place] <= value < edges[place + 1] or (is_last and value == edges[-1]):
                    group[place] += 1
        elif metric.kind == "sum":
            group[0] += value
        else:
            column = dictionary().tables[self.question.table].columns[metric.column]
            group[0] += value
            group[1] += max(1, abs(column.low), abs(column.high))

    def _is_about(self, row: dict[str, str]) -> bool:
        return all(set(self._keys(row, name)) & set(keys) for name, keys in self.question.where)

    def _cells(self, row: dict[str, str]) -> list[tuple[str, ...]]:
        cells: list[tuple[str, ...]] = [()]
        for name in self.question.by:
            most = dictionary().tables[self.question.table].columns[name].most
            cells = [(*cell, key) for cell in cells for key in self._keys(row, name)[:most]]
        return cells

    def _keys(self, row: dict[str, str], name: str) -> list[str]:
        column, own = dictionary().tables[self.question.table].columns[name], self.section.column(name)
        codes = {**{key: key for key in column.keys}, **own.codes}
        if column.kind is Kind.MULTI:
            found = {one.strip() for one in row[own.column].split(";")}
            return [key for key in column.keys if key in found]
        key = codes.get(row[own.column], UNKNOWN)
        return [key] if key in column.keys else []

    def _number(self, row: dict[str, str], name: str) -> int | None:
        column = dictionary().tables[self.question.table].columns[name]
        value = self.number(row[self.section.column(name).column])
        return None if value is None else math.floor(min(column.high, max(column.low, value)) + 0.5)

    @staticmethod
    def number(cell: str) -> float | None:
        """What a cell says, if it is a number of at most fifteen digits."""
        is_one = re.fullmatch(r"[-+]?[0-9]{1,15}(\.[0-9]{1,15})?", cell.strip(" "), re.ASCII)
        return float(cell) if is_one else None


def is_day(text: str) -> bool:
    """Whether a text is a day, in the one form."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def section(of: str, **place: str) -> TableSection:
    """How a table is mapped, wherever it lies."""
    return TableSection(child="child", date="day", row="id", columns=COLUMNS[of], **place)


def as_csv(folder: Path, rows: Sequence[dict[str, str]]) -> dict[str, str]:
    """The rows as a CSV file."""
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, NAMES)
        writer.writeheader()
        writer.writerows(rows)
    return {"file": "rows.csv"}


def as_parquet(folder: Path, rows: Sequence[dict[str, str]]) -> dict[str, str]:
    """The rows as a Parquet file; nothing stands where a text is empty."""
    columns = {name: [row[name] or None for row in rows] for name in NAMES}
    parquet.write_table(pa.table(columns), folder / "rows.parquet")
    return {"file": "rows.parquet"}


def as_sqlite(folder: Path, rows: Sequence[dict[str, str]]) -> dict[str, str]:
    """The rows in a SQLite database."""
    with sqlite3.connect(folder / "rows.sqlite") as db:
        db.execute(f"create table rows ({', '.join(f'{name} text' for name in NAMES)})")
        marks = ", ".join("?" for _ in NAMES)
        db.executemany(
            f"insert into rows values ({marks})", [[row[n] or None for n in NAMES] for row in rows]
        )
    db.close()
    return {"file": "rows.sqlite", "table": "rows"}


FILES = {"csv": as_csv, "parquet": as_parquet, "sqlite": as_sqlite}


@pytest.fixture
def rows() -> list[dict[str, str]]:
    return made_rows(5)


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("kind", FILES)
def test_a_file_is_counted_as_plain_python_counts_it(
    kind: str, draft: str, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    question = DRAFTS[draft]()
    mapped = section(question.table, **FILES[kind](tmp_path, rows))

    with open_table(mapped, Within(tmp_path, 256, 60), MERGED) as opened:
        found = count(opened, mapped, question)

    assert found == Plain(question, mapped).counted(rows, dict(MERGED))
    assert sum(found) > 0


@pytest.fixture(scope="module")
def database(postgres: Server) -> str:
    """A PostgreSQL database with the rows in it."""
    url = postgres.new_database().replace(f"&port={postgres.port}", "")
    url = url.replace("@/", f"@:{postgres.port}/")
    with psycopg.connect(url) as db:
        db.execute(f"create table rows ({', '.join(f'{name} text' for name in NAMES)})")
        marks = ", ".join(["%s"] * len(NAMES))
        with db.cursor() as cursor:
            listed = [[row[name] or None for name in NAMES] for row in made_rows(5)]
            cursor.executemany(f"insert into rows values ({marks})", listed)
    return url


@pytest.mark.needs("postgres")
@pytest.mark.parametrize("draft", DRAFTS)
def test_a_server_counts_as_plain_python_counts(
    draft: str, rows: list[dict[str, str]], database: str, tmp_path: Path
) -> None:
    question = DRAFTS[draft]()
    mapped = section(question.table, url=database, table="rows")

    with open_table(mapped, Within(tmp_path, 256, 60), MERGED) as opened:
        found = count(opened, mapped, question)

    assert found == Plain(question, mapped).counted(rows, dict(MERGED))


@pytest.mark.parametrize("seed", range(3))
def test_days_and_numbers_may_be_typed(seed: int, tmp_path: Path) -> None:
    rows = [row for row in made_rows(seed) if is_day(row["day"]) and row["hrs"] in NUMBERS[:7]]
    typed = pa.table(
        {
            **{name: [row[name] or None for row in rows] for name in NAMES},
            "day": pa.array([row["day"] for row in rows]).cast(pa.date32()),
            "hrs": pa.array([float(row["hrs"]) for row in rows]),
            "id": pa.array([int(row["id"]) for row in rows]),
        }
    )
    parquet.write_table(typed, tmp_path / "rows.parquet")
    question = DRAFTS["sum"]()
    mapped = section("missing", file="rows.parquet")

    with open_table(mapped, Within(tmp_path, 256, 60)) as opened:
        found = count(opened, mapped, question)

    assert found == Plain(question, mapped).counted(rows, {})


def test_a_ragged_file_is_not_counted_at_all(tmp_path: Path) -> None:
    as_csv(tmp_path, made_rows(5))
    with (tmp_path / "rows.csv").open("a") as file:
        file.write("9999,c1,2025-06-15\n")
    mapped = section("referral", file="rows.csv")

    with pytest.raises(duckdb.Error), open_table(mapped, Within(tmp_path, 256, 60)) as opened:
        count(opened, mapped, DRAFTS["count"]())
