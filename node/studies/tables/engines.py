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
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from elsewhere.keyfiles import read_secret
from node.caseload.sql_url import parameters
from node.errors import LibraryMissing
from node.studies.tables.reasons import NoHeader
from node.studies.tables.sections import TableSection

CONNECT_S: Final = 10  # to a server
AGAIN_S: Final = 0.2  # until an engine that was told to stop is told again
_MATCHES: Final = "elsewhere_matches"
_SPILL: Final = "counting-"


@dataclass(frozen=True, slots=True)
class Within:
    """What reading a table may take."""

    folder: Path  # where relative paths start: the node's folder
    memory_mb: int  # of the embedded engine
    count_s: float  # after which the engine is told to stop


@dataclass(frozen=True, slots=True)
class Opened:
    """A table and the connection that reads it."""

    connection: Any  # of an ibis backend
    table: Any  # an ibis expression
    matches: Callable[[Any, str], Any]  # whether text has a form, a regular expression over ASCII
    merged: Any = None  # own ids of children that have several, as `own`, and the child's number, as `number`


@contextlib.contextmanager
def open_table(
    section: TableSection, within: Within, merged: Sequence[tuple[str, int]] | None = None
) -> Iterator[Opened]:
    """Open one table.

    Args:
        section: its mapping.
        within: bounds.
        merged: ids of children that have more than one, each with the number of its child. They are handed to
            the engine as a table of this session alone, also when there are none: a role of a server needs
            TEMPORARY for that, and whether it is refused must not tell of children. None: ids are not merged.

    Raises:
        LibraryMissing: ibis, or the driver of this kind of database, is not installed.
        Exception: whatever engine and driver have; their words may quote cells, so nobody repeats them.
    """
    try:
        import ibis
    except ImportError:
        raise LibraryMissing("ibis-framework[duckdb]", "studies") from None
    with contextlib.ExitStack() as ends:
        if section.url:
            connection = _postgres(section, within)
            ends.callback(connection.disconnect)
            table, matches = _postgres_table(connection, section), _matches
            known = _hand_over(connection, merged)
            connection.con.execute("SET default_transaction_read_only = on")
            connection.con.commit()
        elif section.file.endswith(".sqlite"):
            connection = ibis.sqlite.connect(_existing(within.folder / section.file))
            ends.callback(connection.disconnect)
            connection.con.create_function(_MATCHES, 2, _has_form, deterministic=True)
            table, matches = _sqlite_text(connection, section), _matches_in_sqlite
            known = _hand_over(connection, merged)
            connection.raw_sql("PRAGMA query_only = on")
            ends.enter_context(_ended_after(within.count_s, connection.con.interrupt))
        else:
            connection = _duckdb(within.memory_mb, ends.enter_context(_spill(within.folder)))
            ends.callback(connection.disconnect)
            path = _existing(within.folder / section.file)
            is_parquet = path.suffix == ".parquet"
            table = connection.read_parquet(path) if is_parquet else _csv(connection, path, section)
            matches = _matches
            known = _hand_over(connection, merged)
            ends.enter_context(_ended_after(within.count_s, connection.con.interrupt))
        yield Opened(connection, table, matches, known)


@contextlib.contextmanager
def _ended_after(seconds: float, interrupt: Callable[[], object]) -> Iterator[None]:
    """Have an engine of this process stop what it does, so that no count holds a thread for good."""
    is_over = threading.Event()

    def watch() -> None:
        wait_s = seconds
        while not is_over.wait(wait_s):
            interrupt()  # one that falls between two statements is lost
            wait_s = AGAIN_S

    watcher = threading.Thread(target=watch, name="count-ends", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def _postgres(section: TableSection, within: Within) -> Any:
    """A session with a server, which ends by itself what takes too long, waiting for locks included."""
    import ibis

    given = parameters(urlsplit(section.url))
    if section.password_file:
        given["password"] = read_secret(within.folder / section.password_file).decode().rstrip("\r\n")
    connection = ibis.postgres.connect(**given, connect_timeout=CONNECT_S)
    connection.con.execute("SET TimeZone = 'UTC'")
    connection.con.execute(f"SET statement_timeout = {round(1000 * within.count_s)}")
    return connection


def _postgres_table(connection: Any, section: TableSection) -> Any:
    """The table, with columns of types that people made, enumerations above all, as text."""
    schema, _, name = section.table.rpartition(".")
    table = connection.table(name, database=schema or None)
    found = connection.con.execute(
        "SELECT column_name FROM information_schema.columns WHERE data_type = 'USER-DEFINED' "
        "AND table_name = %s AND table_schema = coalesce(nullif(%s, ''), current_schema())",
        (name, schema),
    ).fetchall()
    if not found:
        return table
    made = {column for (column,) in found}
    cells = ", ".join(
        f"CAST({_quoted(one)} AS text) AS {_quoted(one)}" if one in made else _quoted(one)
        for one in table.columns
    )
    place = f"{_quoted(schema)}.{_quoted(name)}" if schema else _quoted(name)
    types = {one: "string" if one in made else kind for one, kind in table.schema().items()}
    return connection.sql(f"SELECT {cells} FROM {place}", schema=types)  # noqa: S608 - quoted


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
    named = section.named()
    taken = sorted(named if named <= there else there)  # all of them, for whoever asks what there is
    cells = ", ".join(f"CAST({_quoted(name)} AS TEXT) AS {_quoted(name)}" for name in taken)
    schema = dict.fromkeys(taken, "string")
    return connection.sql(f"SELECT {cells} FROM {_quoted(section.table)}", schema=schema)  # noqa: S608


def _existing(path: Path) -> Path:
    """A file that is there: SQLite would make an empty one. Raises FileNotFoundError."""
    if not path.exists():
        raise FileNotFoundError("expected a file")
    return path


def _quoted(name: str) -> str:
    """A name in SQL, as the standard quotes it."""
    return '"' + name.replace('"', '""') + '"'


def _hand_over(connection: Any, merged: Sequence[tuple[str, int]] | None) -> Any:
    """Give the engine the ids that mean one child, in a table of this session."""
    if merged is None:
        return None
    import ibis
    import pyarrow as pa

    own, numbers = [one for one, _ in merged], [f"\x01{number}" for _, number in merged]
    rows = pa.table({"own": pa.array(own, pa.string()), "number": pa.array(numbers, pa.string())})
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
        header = next(csv.reader(file, delimiter=section.delimiter), [])
    if not header:
        raise NoHeader
    # A header that ends with its delimiter has a column without a name. Of two with one name nobody knows
    # which is meant, so neither can be mapped; the engine's names do not differ by case alone.
    often = Counter(name.casefold() for name in header)
    names = [
        name if name and often[name.casefold()] == 1 else f"{name or 'unnamed'} ({place})"
        for place, name in enumerate(header, 1)
    ]
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
