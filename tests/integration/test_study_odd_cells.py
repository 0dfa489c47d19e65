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

import duckdb
import psycopg
import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import insert

from elsewhere.research.builder import Draft
from elsewhere.research.question import Question
from node.store.caseload import load, source
from node.store.engine import open_store
from node.studies.tables.counting import count
from node.studies.tables.doctor import examine
from node.studies.tables.engines import Opened, Within, open_table
from node.studies.tables.reading import Tables
from node.studies.tables.reasons import why_unread
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
TOO_LONG = "it took longer than research.count_s"
FLOATS = (float("nan"), float("inf"), float("-inf"), 1e300, -1e300, 2.0**63, None)


def check_counted(folder: Path, **place: str) -> None:
    """Count everything; the good rows are there, and an odd one is at most one more."""
    section = TableSection(child="child", date="day", row="id", columns=dict(MAPPED), **place)
    for make in QUESTIONS:
        question = make()
        with open_table(section, Within(folder, 256, 60)) as opened:
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


def address_of(postgres: Server) -> str:
    """A new database, as a mapping names it."""
    return postgres.new_database().replace(f"&port={postgres.port}", "").replace("@/", f"@:{postgres.port}/")


@pytest.mark.needs("postgres")
def test_a_servers_own_types_and_schemas(postgres: Server, tmp_path: Path) -> None:
    url = address_of(postgres)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("create schema care")
        db.execute("create type care.sort as enum ('M', 'other')")
        db.execute("create table care.rows (id int, child uuid, day timestamptz, kind care.sort, hours int)")
        # Half past eleven at night in New York is a day later in UTC.
        values = "(1, gen_random_uuid(), '2024-12-31 23:30-05', 'M', 5)"
        db.execute(f"insert into care.rows values {values}, (2, gen_random_uuid(), '2025-03-04', 'other', 5)")
    columns: dict[str, str | ColumnSection] = {"kind": "kind", "hours": "hours"}
    section = TableSection(url=url, table="care.rows", child="child", date="day", row="id", columns=columns)

    with open_table(section, Within(tmp_path, 256, 60)) as opened:
        found = count(opened, section, Draft("missing", 2025).group_by("kind").count())
        hours = count(opened, section, Draft("missing", 2025).sum("hours"))
    settings = ResearchSection(tables={"missing": section})
    said = {one.what: one.rows for one in examine(settings, tmp_path)}

    assert (sum(found), hours) == (1, [10])
    assert said["kind: a code that is not mapped; counts in no group"] == 1


@pytest.mark.needs("postgres")
def test_whether_some_child_has_two_ids_is_not_told_by_a_refusal(postgres: Server, tmp_path: Path) -> None:
    url = address_of(postgres)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("create table rows (id int, child text, day date, kind text, hours int)")
        db.execute(f'revoke temporary on database "{db.info.dbname}" from public, {db.info.user}')
    section = TableSection(url=url, table="rows", child="child", date="day", row="id", columns=dict(MAPPED))

    for merged in ([], [("c1", 1), ("c2", 1)]):
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege),
            open_table(section, Within(tmp_path, 256, 60), merged),
        ):
            pass
    with open_table(section, Within(tmp_path, 256, 60)) as opened:
        assert count(opened, section, QUESTIONS[0]()) == [0] * QUESTIONS[0]().width


@pytest.mark.needs("postgres")
def test_a_table_that_a_server_has_locked_is_given_up(postgres: Server, tmp_path: Path) -> None:
    url = address_of(postgres)
    with psycopg.connect(url) as db:
        db.execute("create table rows (id int, child text, day date, kind text, hours int)")
        db.commit()
        db.execute("lock table rows in access exclusive mode")
        section = TableSection(
            url=url, table="rows", child="child", date="day", row="id", columns=dict(MAPPED)
        )
        with (
            pytest.raises(psycopg.errors.QueryCanceled) as ended,
            open_table(section, Within(tmp_path, 256, 1)) as opened,
        ):
            count(opened, section, QUESTIONS[0]())
    assert why_unread(ended.value) == TOO_LONG


def test_an_interrupted_count_of_sqlite_took_too_long() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.set_progress_handler(lambda: 1, 1)
        with pytest.raises(sqlite3.OperationalError) as ended:
            db.execute("select count(*) from (values (1), (2))")
    assert why_unread(ended.value) == TOO_LONG


def test_a_count_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    rows = 200_000
    columns = {"id": range(rows), "child": [f"c{n}" for n in range(rows)], "day": ["2025-03-04"] * rows}
    table = {
        **{name: list(one) for name, one in columns.items()},
        "kind": ["M"] * rows,
        "hours": ["5"] * rows,
    }
    parquet.write_table(pa.table(table), tmp_path / "rows.parquet")
    section = TableSection(file="rows.parquet", child="child", date="day", row="id", columns=dict(MAPPED))

    def count_for_long(opened: Opened) -> None:
        for _ in range(1000):
            count(opened, section, QUESTIONS[1]())

    with (
        pytest.raises(duckdb.InterruptException) as ended,
        open_table(section, Within(tmp_path, 256, 0.01)) as opened,
    ):
        count_for_long(opened)
    assert why_unread(ended.value) == TOO_LONG


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
    url = address_of(postgres)
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

    with open_table(section, Within(tmp_path, 256, 60)) as opened:
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

    with open_table(section, Within(tmp_path, 256, 60)) as opened:
        assert sum(count(opened, section, Draft("assessment", 2025).where(factors="3A").count())) == 1


def test_what_does_not_fit_memory_is_in_a_folder_of_ones_own_and_removed(tmp_path: Path) -> None:
    FILES["csv"](tmp_path, [])
    section = TableSection(file="rows.csv", child="child", date="day", row="id", columns={"hours": "hrs"})

    with open_table(section, Within(tmp_path, 256, 60)) as opened:
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


def test_a_table_whose_caseload_was_never_loaded_is_not_held(tmp_path: Path) -> None:
    columns: dict[str, str | ColumnSection] = {"hours": "hrs"}
    mapped = TableSection(
        file="rows.csv", caseload="cases", child="child", date="day", row="id", columns=columns
    )
    with closing(open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")) as store:
        tables = Tables(ResearchSection(tables={"missing": mapped}), tmp_path, store)
        assert not tables.holds(Draft("missing", 2025).count())

        facts = {"format": "csv", "digest": bytes(32), "max_age_days": 7, "rows": 0, "refused": 0}
        with store.write() as connection:
            connection.execute(insert(load).values(id=1, source="cases", state="DONE", started_utc=0))
            connection.execute(
                insert(source).values(name="cases", load_id=1, read_utc=0, loaded_utc=0, **facts)
            )
        assert tables.holds(Draft("missing", 2025).count())
