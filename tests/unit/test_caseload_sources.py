"""A load asks an export for a header, rows and facts alone, so that any form of export can be loaded."""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from node.caseload import index
from node.caseload.load import load_source
from node.caseload.mapping import parse_mapping
from node.caseload.sources import Source, check_columns, open_source
from node.errors import ColumnMissing
from node.store.engine import open_store
from tests.caseload import ANN, BOB, COLUMNS, MAPPING, NOW, found, job, mapping, person, write_csv


class Table:
    """Rows that were never a file."""

    def __init__(self, *rows: dict[str, str], header: Sequence[str] = COLUMNS) -> None:
        self.header, self._rows = header, rows
        self.made_utc: datetime.datetime | None = NOW - datetime.timedelta(days=2)
        self.digest = b"\1" * 32
        self.progress = (0, 0)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        for number, row in enumerate(self._rows, 1):
            yield number, [row.get(name, "") for name in self.header]


def test_an_export_that_is_no_file_is_loaded_like_one(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    export: Source = Table(ANN, BOB, BOB | {"id": "9", "status": "?"})

    report = load_source(export, mapping(), job(store))

    assert report.refused_rows == ((3, "status.unknown"),)
    with store.read() as conn:
        assert len(found(conn, person(ANN))) == 1
        assert index.source_states(conn)["cases"].read_utc == int(NOW.timestamp()) - 2 * 86_400
    store.close()


@pytest.mark.parametrize("made", [None, NOW + datetime.timedelta(days=3)])
def test_an_export_that_tells_no_time_or_one_to_come_counts_as_made_now(
    tmp_path: Path, made: datetime.datetime | None
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    export = Table(ANN)
    export.made_utc = made

    load_source(export, mapping(), job(store))

    with store.read() as conn:
        assert index.source_states(conn)["cases"].read_utc == int(NOW.timestamp())
    store.close()


def test_a_file_tells_when_it_was_written_and_how_much_of_it_is_read(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [ANN])
    os.utime(path, (1_700_000_000, 1_700_000_000))

    with open_source(path, mapping(), tmp_path) as source:
        list(source.rows())
        assert source.made_utc == datetime.datetime.fromtimestamp(1_700_000_000, datetime.UTC)
        assert source.progress == (path.stat().st_size, path.stat().st_size)


def test_columns_that_are_missing_or_repeated_are_named() -> None:
    with pytest.raises(ColumnMissing, match="'due'"):
        check_columns(Table(header=["id"]), ["id", "due"])
    with pytest.raises(ColumnMissing, match="more than one"):
        check_columns(Table(header=["id", "id"]), ["id"])


def test_a_relative_path_of_a_database_starts_at_the_nodes_folder(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "cases.sqlite")) as con:
        con.execute(f"CREATE TABLE cases ({', '.join(COLUMNS)})")
    document = tomllib.loads(MAPPING)
    del document["source"]["csv"]
    document["source"]["sql"] = {"url": "sqlite:///cases.sqlite", "table": "cases"}

    with open_source(None, parse_mapping(document), tmp_path) as source:
        assert "given" in source.header
