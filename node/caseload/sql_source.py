"""Reads a table or view of a database through ibis, batch by batch: mapped columns only, in a stable order.

Refuses:  SQL text; what `sql_url` refuses of a URL.
Promises: one statement, so one state of the table; what it asks for is what the mapping names. On PostgreSQL
          the session can change nothing; SQL Server has no such session, there it is the login that may not.
          Memory does not grow with the table. No message quotes a cell or the password.
Source:   ibis 12; psycopg 3, transaction characteristics.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from elsewhere.keyfiles import read_secret
from node.caseload.cells import BATCH_ROWS, NO_TABLE, TableSource, check_types, made_at, pick_columns
from node.caseload.mapping import SourceMapping, SqlForm
from node.caseload.postgres_cells import postgres_batches
from node.caseload.sql_url import parameters
from node.errors import ColumnMissing, LibraryMissing, SourceUnreadable

if TYPE_CHECKING:
    from ibis.expr.types import Table


@contextlib.contextmanager
def open_sql(form: SqlForm, mapping: SourceMapping, folder: Path) -> Iterator[TableSource]:
    """Connect, and look the table up.

    Args:
        folder: where a relative `password_file` starts: the node's folder.

    Raises:
        SourceUnreadable: the URL says what is not allowed, there is no connection or no such table, or a
            mapped column has no text, or the made_column no time.
        ColumnMissing: there is no such made_column.
        LibraryMissing: ibis, or the driver of this kind of database, is not installed.
        KeyFileMissing, KeyFileExposed: the password's file is not there, or can be read by others.
    """
    parts = urlsplit(form.url)
    given = parameters(parts)
    if form.password_file:
        given["password"] = read_secret(folder / form.password_file).decode().rstrip("\r\n")
    con = _connect({"postgresql": "postgres"}.get(parts.scheme, parts.scheme), given)
    try:
        if parts.scheme == "postgresql":
            from psycopg import IsolationLevel

            con.con.isolation_level, con.con.read_only = IsolationLevel.REPEATABLE_READ, True
            con.con.execute("SET default_transaction_read_only = on")  # outside of ibis's transactions too
        try:
            table: Table = con.table(form.table, database=form.schema_name or None)
            names = pick_columns(mapping, table.columns)
        except Exception as err:
            raise SourceUnreadable(NO_TABLE.format(form.table, type(err).__name__)) from None
        # By all columns, so that a row has the same number, and the table the same digest, until it changes.
        wanted = table.select(names).order_by(names)
        check_types(mapping, _schema(wanted))
        made = _made(table, form.made_column) if form.made_column else None

        def batches() -> Iterator[Sequence[Sequence[object]]]:
            if parts.scheme == "postgresql":
                return postgres_batches(con.con, con.compile(wanted))
            return _batches(con, wanted)

        yield TableSource(mapping, names, batches, made)
    finally:
        con.disconnect()


def _schema(wanted: Table) -> Any:
    """The types of the columns."""
    for name, kind in wanted.schema().items():
        if kind.is_json():
            raise SourceUnreadable(f"column {name!r} holds JSON, which has no text: make a view without it")
    return wanted.schema().to_pyarrow()


def _made(table: Table, column: str) -> datetime.datetime:
    """When a table was made."""
    if column not in table.columns:
        raise ColumnMissing((column,))
    try:
        newest = table[column].max().to_pyarrow().as_py()
    except Exception as err:
        raise SourceUnreadable(
            f"expected a day or time in column {column!r}, the made_column: {type(err).__name__}"
        ) from None
    return made_at(newest, column)


def _batches(con: Any, wanted: Table) -> Iterator[Sequence[Sequence[object]]]:
    """Cells as ibis reads them."""
    for batch in con.to_pyarrow_batches(wanted, chunk_size=BATCH_ROWS):
        yield [column.to_pylist() for column in batch.columns]


def _connect(backend: str, given: dict[str, Any]) -> Any:
    try:
        import ibis

        module = getattr(ibis, backend)
    except (ImportError, AttributeError):
        raise LibraryMissing(f"ibis-framework[{backend}]", "database tables") from None
    try:
        return module.connect(**given)
    except ImportError:
        raise LibraryMissing(f"ibis-framework[{backend}]", "database tables") from None
    except Exception as err:
        said = str(err).strip().splitlines()[0:1]
        raise SourceUnreadable(f"expected a connection to the database: {''.join(said)[:200]}") from None
