"""A row of which nobody can make anything never keeps a table from being counted.

Whether a node answers must not depend on what its data say, so each engine gets neighbouring tables: the same
rows, with and without one child whose cells are as odd as that engine can hold.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from pyarrow import parquet

from elsewhere.research.builder import Draft
from elsewhere.research.question import Question
from node.store.engine import open_store
from node.studies.tables.counting import count
from node.studies.tables.engines import open_table
from node.studies.tables.reading import Tables
from node.studies.tables.sections import ColumnSection, ResearchSection, TableSection
from tests.integration.test_study_tables import FILES
from tests.postgres_server import Server

Row = tuple[Any, ...]  # id, child, day, kind, hours
GOOD: list[Row] = [(n, f"c{n}", "2025-03-04", "M", 5) for n in range(8)]
MAPPED = {"kind": "kind", "hours": "hours"}
QUESTIONS: tuple[Callable[[], Question], ...] = (
    lambda: Draft("missing", 2025).group_by("kind").count(),
    lambda: Draft("missing", 2025).mean("hours"),
    lambda: Draft("missing", 2025).histogram("hours", [0, 4, 8, 720]),
    lambda: Draft("missing", 2025).where(kind="M").sum("hours"),
    lambda: Draft("missing", 2025).children(),
)
FLOATS = (float("nan"), float("inf"), float("-inf"), 1e300, -1e300, 2.0**63, None)


def check_counted(folder: Path, **place: str) -> None:
    """Count everything; the good rows are there, and an odd one is at most one more."""
    section = TableSection(child="child", date="day", row="id", columns=dict(MAPPED), **place)
    for make in QUESTIONS:
        question = make()
        with open_table(section, folder, 256) as opened:
            found = count(opened, section, question)
        if question.metric.kind == "count":
            assert len(GOOD) <= sum(found) <= len(GOOD) + 1
        elif question.metric.kind == "histogram":
            assert found == [0, len(GOOD), 0]
        else:
            assert found[0] == 5 * len(GOOD)


@pytest.mark.parametrize("hours", FLOATS)
def test_floats_in_parquet(hours: float | None, tmp_path: Path) -> None:
    rows = [*GOOD, (99, "odd", "2025-03-04", "M", hours)]
    columns = list(zip(*rows, strict=True))
    typed = [pa.array([float(h) if h is not None else None for h in columns[4]])]
    names = ("id", "child", "day", "kind", "hours")
    arrays = [*(pa.array(list(one)) for one in columns[:4]), *typed]
    parquet.write_table(pa.table(dict(zip(names, arrays, strict=True))), tmp_path / "rows.parquet")

    check_counted(tmp_path, file="rows.parquet")


def test_decimals_in_parquet(tmp_path: Path) -> None:
    hours = [*(Decimal(5) for _ in GOOD), Decimal("9" * 38)]
    rows = [*GOOD, (99, "odd", date(2025, 3, 4).isoformat(), "M", None)]
    table = pa.table(
        {
            **{name: [row[at] for row in rows] for at, name in enumerate(("id", "child", "day", "kind"))},
            "hours": pa.array(hours, pa.decimal128(38, 0)),
        }
    )
    parquet.write_table(table, tmp_path / "rows.parquet")

    check_counted(tmp_path, file="rows.parquet")


@pytest.mark.parametrize("types", ["", "INTEGER", "REAL", "TEXT", "DATE", "BLOB"])
@pytest.mark.parametrize(
    "cell", [b"\xff", b"7", "many", 1e300, float("inf"), 2**62, "9" * 400, None], ids=repr
)
def test_anything_in_any_column_of_sqlite(cell: object, types: str, tmp_path: Path) -> None:
    odd: Sequence[Row] = [
        (99, "odd", "2025-03-04", "M", cell if cell != b"7" else "x"),
        (cell, cell, cell, cell, "x"),
        (98, "odd", cell, "M", "x"),
    ]
    with sqlite3.connect(tmp_path / "rows.sqlite") as db:
        db.execute(f"create table rows (id {types}, child {types}, day {types}, kind {types}, hours {types})")
        db.executemany("insert into rows values (?, ?, ?, ?, ?)", [*GOOD, *odd])
        # Text that is not UTF-8, as an old import leaves it.
        db.execute(
            "insert into rows values "
            "(97, cast(x'ff41' as text), cast(x'ff' as text), 'M', cast(x'ff' as text))"
        )
    db.close()

    check_counted(tmp_path, file="rows.sqlite", table="rows")


@pytest.mark.needs("postgres")
@pytest.mark.parametrize(
    ("types", "cells"),
    [
        ("double precision", ("NaN", "Infinity", "-Infinity", "1e300")),
        ("numeric", ("NaN", "1e400", "-1e400", "9" * 200)),
        ("text", ("NaN", "1e300", "9" * 400, "\u00a05", "\u20037", "0x10", "٣")),
    ],
)
def test_numbers_of_a_server(types: str, cells: Sequence[str], postgres: Server, tmp_path: Path) -> None:
    url = postgres.new_database().replace(f"&port={postgres.port}", "").replace("@/", f"@:{postgres.port}/")
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"create table rows (id int, child text, day date, kind text, hours {types})")
        for cell in cells:
            db.execute("truncate rows")
            rows = [*GOOD, (99, "odd", "2025-03-04", "M", cell)]
            with db.cursor() as cursor:
                values = f"(%s, %s, %s::date, %s, %s::text::{types})"
                cursor.executemany(
                    f"insert into rows values {values}", [(*row[:4], str(row[4])) for row in rows]
                )

            check_counted(tmp_path, url=url, table="rows")


@pytest.mark.parametrize("kind", FILES)
def test_rows_without_a_child_are_not_one_child(kind: str, tmp_path: Path) -> None:
    names = ("id", "child", "day", "src", "nfa", "need", "age", "hrs", "fac")
    rows = [dict.fromkeys(names, "") | {"id": str(n), "day": "2025-03-04", "hrs": "5"} for n in range(9)]
    place = FILES[kind](tmp_path, rows)
    if kind == "parquet":  # an empty text is there, and not nothing
        parquet.write_table(
            pa.table({name: [row[name] for row in rows] for name in names}), tmp_path / "rows.parquet"
        )
    if kind == "sqlite":
        with sqlite3.connect(tmp_path / "rows.sqlite") as db:
            db.execute("update rows set child = ''")
        db.close()
    section = TableSection(child="child", date="day", row="id", columns={"hours": "hrs"}, **place)

    with open_table(section, tmp_path, 256) as opened:
        assert count(opened, section, Draft("missing", 2025).sum("hours")) == [0]


@pytest.mark.parametrize(
    ("code", "separator", "cell"),
    [
        ("Domestic abuse", ";", "Domestic abuse; other"),
        ("3A", " ", "1A  3A"),
        ("3A", ", ", "1A, 3A"),
        ("3A", ", ", "1A,3A"),
    ],
)
def test_codes_of_several_are_found_whatever_the_spaces(
    code: str, separator: str, cell: str, tmp_path: Path
) -> None:
    factors = ColumnSection(column="fac", codes={code: "3A"}, separator=separator)
    columns: dict[str, str | ColumnSection] = {"factors": factors}
    table = {"id": [1], "child": ["c1"], "day": ["2025-03-04"], "fac": [cell]}
    parquet.write_table(pa.table(table), tmp_path / "rows.parquet")
    section = TableSection(file="rows.parquet", child="child", date="day", row="id", columns=columns)

    with open_table(section, tmp_path, 256) as opened:
        assert sum(count(opened, section, Draft("assessment", 2025).where(factors="3A").count())) == 1


def test_what_does_not_fit_memory_is_in_a_folder_of_ones_own_and_removed(tmp_path: Path) -> None:
    FILES["csv"](tmp_path, [])
    section = TableSection(file="rows.csv", child="child", date="day", row="id", columns={"hours": "hrs"})

    with open_table(section, tmp_path, 256) as opened:
        (spill,) = tmp_path.glob("counting-*")
        (said,) = opened.connection.raw_sql("select current_setting('temp_directory')").fetchone()
        assert (said, spill.stat().st_mode & 0o777) == (str(spill), 0o700)

    assert not list(tmp_path.glob("counting-*"))


def test_a_table_holds_a_question_only_with_every_column_that_it_names(tmp_path: Path) -> None:
    columns: dict[str, str | ColumnSection] = {"hours": "hrs"}
    mapped = TableSection(file="rows.csv", child="child", date="day", row="id", columns=columns)
    with closing(open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")) as store:
        tables = Tables(ResearchSection(tables={"missing": mapped}), tmp_path, store)

        assert tables.holds(Draft("missing", 2025).sum("hours"))
        assert tables.holds(Draft("missing", 2025).count())
        assert not tables.holds(Draft("missing", 2025).group_by("kind").count())
        assert not tables.holds(Draft("missing", 2025).where(kind="M").sum("hours"))
        assert not tables.holds(Draft("referral", 2025).count())
