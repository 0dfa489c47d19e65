"""Opens a mapped table where it lies: CSV and Parquet by an embedded DuckDB, SQLite, PostgreSQL.

Refuses:  a CSV file in which a row has another number of cells than the header; what `sql_url` refuses.
Promises: a server's session can change nothing; the embedded engine loads nothing from anywhere. What does
          not fit its memory goes into a folder that only this node's account can read, and is removed.
Source:   ibis 12; DuckDB 2, "CSV Import" (strict mode, no detection), "Configuration"; SQLite, "Datatypes".
"""

from __future__ import annotations

import contextlib
import csv
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from elsewhere.keyfiles import read_secret
from node.caseload.sql_url import parameters
from node.errors import LibraryMissing
from node.studies.tables.sections import TableSection

_MATCHES: Final = "elsewhere_matches"
_SPILL: Final = "counting-"


@dataclass(frozen=True, slots=True)
class Opened:
    """A table and the connection that reads it."""

    connection: Any  # of an ibis backend
    table: Any  # an ibis expression
    matches: Callable[[Any, str], Any]  # whether text has a form, a regular expression over ASCII
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
    with contextlib.ExitStack() as ends:
        matches = _matches
        if section.url:
            given = parameters(urlsplit(section.url))
            if section.password_file:
                given["password"] = read_secret(folder / section.password_file).decode().rstrip("\r\n")
            connection = ibis.postgres.connect(**given)
            ends.callback(connection.disconnect)
            connection.con.execute("SET TimeZone = 'UTC'")
            table = connection.table(section.table)
            known = _hand_over(connection, merged)
            connection.con.execute("SET default_transaction_read_only = on")
            connection.con.commit()
        elif section.file.endswith(".sqlite"):
            connection = ibis.sqlite.connect(folder / section.file)
            ends.callback(connection.disconnect)
            connection.con.create_function(_MATCHES, 2, _has_form, deterministic=True)
            table, matches = _sqlite_text(connection, section), _matches_in_sqlite
            known = _hand_over(connection, merged)
            connection.raw_sql("PRAGMA query_only = on")
        else:
            connection = _duckdb(memory_mb, ends.enter_context(_spill(folder)))
            ends.callback(connection.disconnect)
            path = folder / section.file
            is_parquet = path.suffix == ".parquet"
            table = connection.read_parquet(path) if is_parquet else _csv(connection, path, section)
            known = _hand_over(connection, merged)
        yield Opened(connection, table, matches, known)


def sweep(folder: Path) -> None:
    """Remove what counting left in a node's folder when it was killed."""
    for left in folder.glob(f"{_SPILL}*"):
        shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def _spill(folder: Path) -> Iterator[Path]:
    """A folder for what does not fit memory: rows of children, so nobody else may look into it."""
    made = Path(tempfile.mkdtemp(prefix=_SPILL, dir=folder))  # mode 0700
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _duckdb(memory_mb: int, spill: Path) -> Any:
    """An engine of this process that is gone when it is closed."""
    import ibis

    connection = ibis.duckdb.connect(
        memory_limit=f"{memory_mb}MB",
        temp_directory=str(spill),
        autoinstall_known_extensions="false",
        autoload_known_extensions="false",
    )
    connection.raw_sql("SET TimeZone = 'UTC'")
    return connection


def _matches(text: Any, form: str) -> Any:
    """Where an engine has regular expressions."""
    return text.re_search(form)


def _matches_in_sqlite(text: Any, form: str) -> Any:
    """By a function of ours, which is handed bytes: a cell that is not UTF-8 would end the query."""
    import ibis

    return ibis.udf.scalar.builtin(_has_form, name=_MATCHES)(text.cast("binary"), form)


def _has_form(cell: bytes, form: str) -> bool:
    """What SQLite calls for each cell; None for an empty one."""
    return bool(cell) and re.search(form.encode("ascii"), cell) is not None


def _sqlite_text(connection: Any, section: TableSection) -> Any:
    """The mapped columns as text, whatever was declared of them: SQLite holds anything in any column."""
    there = set(connection.table(section.table).columns)
    named = {section.child, section.date, section.row}
    named |= {section.column(name).column for name in section.columns}
    cells = ", ".join(f"CAST({_quoted(name)} AS TEXT) AS {_quoted(name)}" for name in sorted(named & there))
    schema = dict.fromkeys(sorted(named & there), "string")
    return connection.sql(f"SELECT {cells} FROM {_quoted(section.table)}", schema=schema)  # noqa: S608


def _quoted(name: str) -> str:
    """A name in SQL, as the standard quotes it."""
    return '"' + name.replace('"', '""') + '"'


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
