"""Typed cells that no export in CSV would hold are text or noted; what has none is refused by its column."""

from __future__ import annotations

import datetime
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from node.caseload.load import dry_run
from node.caseload.mapping import SourceMapping, parse_mapping
from node.caseload.report import LoadReport
from node.caseload.sources import open_source
from node.errors import ColumnMissing, SourceUnreadable
from tests.caseload import TODAY
from tests.postgres_server import Server

DAY = datetime.date(2015, 3, 2)
# Three good rows beside each odd one, so that it is the cell that counts and not the share of such cells.
GOOD = {"id": ["1", "2", "3"], "given": ["Ann", "Bo", "Eve"], "dob": [DAY] * 3}
QUOTED = "QZCELLQZ"


def _mapping(form: dict[str, Any]) -> SourceMapping:
    source = {"name": "cases", "max_age_days": 7, "date_formats": ["%d/%m/%Y"], **form}
    person = {"id": "id", "given": "given", "birth_date": "dob"}
    return parse_mapping({"source": source, "person": person, "record": {"status": {"always": "CURRENT"}}})


def _parquet(folder: Path, **columns: object) -> LoadReport:
    parquet.write_table(pa.table({**GOOD, **columns}), path := folder / "a.parquet")
    return dry_run(path, _mapping({"parquet": {}}), TODAY)


def _sqlite(folder: Path, row: tuple[object, ...], **form: str) -> LoadReport:
    with sqlite3.connect(folder / "cases.sqlite") as con:
        con.execute("CREATE TABLE cases (id, given, dob, made)")
        con.executemany("INSERT INTO cases VALUES (?, ?, ?, ?)", [row, ("2", "Bo", "02/03/2015", row[3])])
    con.close()
    url = f"sqlite:///{folder / 'cases.sqlite'}"
    return dry_run(None, _mapping({"sql": {"url": url, "table": "cases", **form}}), TODAY)


@pytest.mark.parametrize(
    ("column", "notes"),
    [
        ({"dob": pa.array([-1_000_000, 16_496, 16_496], pa.date32())}, {"birth_date.unreadable": 1}),
        (
            {"dob": pa.array([10_000_000, 16_496, None], pa.date32())},
            {"birth_date.unreadable": 1, "birth_date.missing": 1},
        ),
        ({"dob": pa.array([-(2**62), 0, 1], pa.timestamp("us"))}, {"birth_date.unreadable": 1}),
        ({"dob": pa.array([1, 1425254400000000001, 2], pa.timestamp("ns"))}, {}),
        ({"id": pa.array([uuid.UUID(int=n).bytes for n in range(3)], pa.uuid())}, {}),
    ],
)
def test_odd_dates_and_ids_of_a_parquet_file_end_no_load(
    tmp_path: Path, column: dict[str, object], notes: dict[str, int]
) -> None:
    report = _parquet(tmp_path, **column)

    assert {code: n for code, n in report.notes.items() if code.startswith(("birth", "person"))} == notes
    assert report.loaded == 3


def test_a_number_that_is_none_is_an_empty_cell(tmp_path: Path) -> None:
    for odd in (float("inf"), float("nan"), float("-inf")):
        assert _parquet(tmp_path, id=[1.0, 2.0, odd]).refused_rows == ((3, "person.id_missing"),)


def test_bytes_of_one_length_are_refused_by_column(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="'id' holds fixed_size_binary"):
        _parquet(tmp_path, id=pa.array([QUOTED.encode()] * 3, pa.binary(8)))


def test_a_column_that_a_parquet_file_has_twice_is_named(tmp_path: Path) -> None:
    columns = [*GOOD.items(), ("dob", ["x"] * 3)]
    arrays = [pa.array(values) for _, values in columns]
    parquet.write_table(pa.table(arrays, names=[name for name, _ in columns]), path := tmp_path / "a.parquet")

    with pytest.raises(ColumnMissing, match="more than one: 'dob'"):
        dry_run(path, _mapping({"parquet": {}}), TODAY)


@pytest.mark.parametrize("value", [QUOTED.encode(), "blob"])
def test_what_is_no_text_in_sqlite_is_refused_by_column_and_not_quoted(tmp_path: Path, value: object) -> None:
    with sqlite3.connect(tmp_path / "cases.sqlite") as con:
        con.execute("CREATE TABLE cases (id, given, dob)")
        # Latin-1 in a column of texts, as old programs write it; or bytes.
        cell = "CAST(x'5A6FEB' AS TEXT)" if value == "blob" else f"x'{QUOTED.encode().hex()}'"
        con.execute(f"INSERT INTO cases VALUES (1, {cell}, '02/03/2015')")
    con.close()
    form = {"url": f"sqlite:///{tmp_path / 'cases.sqlite'}", "table": "cases"}

    with pytest.raises(SourceUnreadable, match=r"'given'.*bytes came, or text that is not UTF-8") as refusal:
        dry_run(None, _mapping({"sql": form}), TODAY)

    assert not any(word in str(refusal.value) for word in (QUOTED, "Zo"))


@pytest.mark.parametrize("made", [QUOTED, "01/03/2026", 1_600_000_000, 1.5, None, "", b"2026"])
def test_a_made_column_without_a_time_is_refused_by_name(tmp_path: Path, made: object) -> None:
    with pytest.raises(SourceUnreadable, match="'made'") as refusal:
        _sqlite(tmp_path, ("1", "Ann", "02/03/2015", made), made_column="made")

    assert not (made and str(made) in str(refusal.value))


@pytest.mark.parametrize("column", ["mode", "MADE"])
def test_a_made_column_that_is_not_there_is_refused_by_name(tmp_path: Path, column: str) -> None:
    with pytest.raises(ColumnMissing, match=column):
        _sqlite(tmp_path, ("1", "Ann", "02/03/2015", "2026-03-01"), made_column=column)


ODD = {
    "uuid": "SELECT gen_random_uuid() AS id, given, dob FROM base",
    "money": "SELECT id::int::money AS id, given, dob FROM base",
    "inet": "SELECT ('192.0.2.' || id)::inet AS id, given, dob FROM base",
    "numeric": "SELECT CASE id WHEN '3' THEN 'NaN' ELSE id::numeric END AS id, given, dob FROM base",
    "infinity": "SELECT id, given, CASE id WHEN '3' THEN 'infinity' ELSE dob END AS dob FROM base",
    "bc": "SELECT id, given, CASE id WHEN '3' THEN '0044-03-15 BC' ELSE dob END AS dob FROM base",
    "late": "SELECT id, given, CASE id WHEN '3' THEN '20150-01-01' ELSE dob END::timestamp AS dob FROM base",
    "json": "SELECT id, json_build_object('a', given) AS given, dob FROM base",
}


@pytest.mark.needs("postgres")
def test_common_and_odd_types_of_postgresql_are_read_or_refused_by_column(
    tmp_path: Path, postgres: Server
) -> None:
    database = postgres.new_database().split("@/")[1].split("?")[0]
    with postgres.admin(database) as con:
        con.execute("CREATE TABLE base (id text, given text, dob date, made text)")
        con.execute(
            f"INSERT INTO base SELECT n, '{QUOTED}', '2015-03-02', '{QUOTED}' FROM generate_series(1, 3) n"
        )
        for name, query in ODD.items():
            con.execute(f"CREATE VIEW v_{name} AS {query}".encode())
        con.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO elsewhere")
    (tmp_path / "password").write_text(postgres.password, "utf-8")
    (tmp_path / "password").chmod(0o600)
    url = f"postgresql://elsewhere@127.0.0.1:{postgres.port}/{database}"

    def read(table: str, **form: str) -> tuple[int, dict[str, int], list[str]]:
        given = {"url": url, "password_file": "password", "table": table, **form}
        mapping = _mapping({"sql": given})
        report = dry_run(None, mapping, TODAY, folder=tmp_path)
        with open_source(None, mapping, tmp_path) as source:
            days = [row[list(source.header).index("dob")] for _, row in source.rows()]
        return report.loaded, {c: n for c, n in report.notes.items() if c.startswith("birth")}, days

    for name in ("uuid", "money", "inet"):
        assert read(f"v_{name}") == (3, {}, ["02/03/2015"] * 3)
    assert read("v_numeric")[0] == 2
    for name, odd in (("infinity", "infinity"), ("bc", "0044-03-15 BC"), ("late", "20150-01-01 00:00:00")):
        assert read(f"v_{name}") == (3, {"birth_date.unreadable": 1}, ["02/03/2015"] * 2 + [odd])
    with pytest.raises(SourceUnreadable, match="'given' holds JSON"):
        read("v_json")
    for column in ("made", "id"):
        with pytest.raises(SourceUnreadable, match=f"'{column}', the made_column") as refusal:
            read("base", made_column=column)
        assert QUOTED not in str(refusal.value)
    with pytest.raises(ColumnMissing, match="'mode'"):
        read("base", made_column="mode")
