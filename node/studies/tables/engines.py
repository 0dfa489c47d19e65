"""Opens a mapped table where it lies: CSV and Parquet by an embedded DuckDB, SQLite, PostgreSQL.

Refuses:  a CSV file in which a row has another number of cells than the header; what `sql_url` refuses.
Promises: nothing is written anywhere; a server's session can change nothing.
Source:   ibis 12; DuckDB 2, "CSV Import": strict mode, no detection.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from elsewhere.keyfiles import read_secret
from node.caseload.sql_url import parameters
from node.errors import LibraryMissing
from node.studies.tables.sections import TableSection


@dataclass(frozen=True, slots=True)
class Opened:
    """A table and the connection that reads it."""

    connection: Any  # of an ibis backend
    table: Any  # an ibis expression
    merged: Any = None  # own ids of children that have several, as `own`, and the child's number, as `number`


@contextlib.contextmanager
def open_table(
    section: TableSection, folder: Path, memory_mb: int, merged: Sequence[tuple[str, int]] = ()
) -> Iterator[Opened]:
    """Open one table.

    Args:
        section: its mapping.
        folder: where relative paths start: the node's folder.
        memory_mb: what the embedded engine may use.
        merged: ids of children that have more than one, each with the number of its child. They are handed to
            the engine as a table of this session alone; a role of a server needs TEMPORARY for that.

    Raises:
        LibraryMissing: ibis, or the driver of this kind of database, is not installed.
        Exception: whatever engine and driver have; their words may quote cells, so nobody repeats them.
    """
    try:
        import ibis
    except ImportError:
        raise LibraryMissing("ibis-framework[duckdb]", "studies") from None
    if section.url:
        given = parameters(urlsplit(section.url))
        if section.password_file:
            given["password"] = read_secret(folder / section.password_file).decode().rstrip("\r\n")
        connection = ibis.postgres.connect(**given)
        table = connection.table(section.table)
        known = _hand_over(connection, merged)
        connection.con.execute("SET default_transaction_read_only = on")
        connection.con.commit()
    elif section.file.endswith(".sqlite"):
        connection = ibis.sqlite.connect(folder / section.file)
        table = connection.table(section.table)
        known = _hand_over(connection, merged)
        connection.raw_sql("PRAGMA query_only = on")
    else:
        connection = ibis.duckdb.connect(memory_limit=f"{memory_mb}MB")
        path = folder / section.file
        table = (
            connection.read_parquet(path) if path.suffix == ".parquet" else _csv(connection, path, section)
        )
        known = _hand_over(connection, merged)
    try:
        yield Opened(connection, table, known)
    finally:
        connection.disconnect()


def _hand_over(connection: Any, merged: Sequence[tuple[str, int]]) -> Any:
    """Give the engine the ids that mean one child, in a table of this session; None if there are none."""
    if not merged:
        return None
    import ibis
    import pyarrow as pa

    rows = pa.table({"own": [own for own, _ in merged], "number": [f"\x01{number}" for _, number in merged]})
    if connection.name == "duckdb":
        return ibis.memtable(rows)
    if connection.name == "sqlite":
        connection.con.execute("CREATE TEMP TABLE elsewhere_merged (own TEXT, number TEXT)")
        connection.con.executemany(
            "INSERT INTO elsewhere_merged VALUES (?, ?)", zip(*rows.to_pydict().values(), strict=True)
        )
        connection.con.commit()
        return connection.table("elsewhere_merged", database="temp")
    return connection.create_table("elsewhere_merged", rows, temp=True)


def _csv(connection: Any, path: Path, section: TableSection) -> Any:
    """All cells as text, under the names of the header; the engine guesses nothing."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        names = next(csv.reader(file, delimiter=section.delimiter), [])
    return connection.read_csv(
        str(path),
        columns=dict.fromkeys(names, "string"),
        header=True,
        auto_detect=False,
        delim=section.delimiter,
        quote='"',
        escape='"',
        strict_mode=True,
        null_padding=False,
        ignore_errors=False,
    )
