"""Reads a table or view of a SQLite file row by row: mapped columns only, in a stable order.

Promises: the file is opened for reading only; one statement, so one state of the table; no message quotes a
          cell.
Source:   SQLite, "Uniform Resource Identifiers": mode=ro.
"""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from node.caseload.cells import BATCH_ROWS, NO_TABLE, TableSource, made_at, pick_columns
from node.caseload.mapping import SourceMapping, SqlForm
from node.errors import ColumnMissing, SourceUnreadable


@contextlib.contextmanager
def open_sqlite(form: SqlForm, mapping: SourceMapping, folder: Path) -> Iterator[TableSource]:
    """Open a file, whose relative path starts at the node's folder, and look the table up.

    Raises:
        SourceUnreadable: no such file, no database, or no such table; or the made_column holds no time.
        ColumnMissing: there is no such made_column.
    """
    path = folder / Path(unquote(urlsplit(form.url).path.removeprefix("/")))
    table = _quote(form.table)
    try:
        con = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error:
        raise SourceUnreadable(
            "expected the database file that [source.sql] names; it is not there"
        ) from None
    with contextlib.closing(con):
        con.text_factory = _to_text
        try:
            there = [name for (name, *_) in con.execute(f"SELECT * FROM {table} LIMIT 0").description]  # noqa: S608 - quoted
            made = _made(con, form, there) if form.made_column else None
        except sqlite3.Error as err:
            raise SourceUnreadable(NO_TABLE.format(form.table, type(err).__name__)) from None
        names = pick_columns(mapping, there)
        columns = ", ".join(map(_quote, names))

        def batches() -> Iterator[Sequence[Sequence[object]]]:
            # By all columns, so that a row has the same number until the table changes.
            cursor = con.execute(f"SELECT {columns} FROM {table} ORDER BY {columns}")  # noqa: S608 - quoted
            while rows := cursor.fetchmany(BATCH_ROWS):
                yield list(zip(*rows, strict=True))

        yield TableSource(mapping, names, batches, made)


def _made(con: sqlite3.Connection, form: SqlForm, there: Sequence[str]) -> datetime.datetime:
    """When the table was made: the greatest value of a column; SQLite takes a wrong name for a text."""
    column = form.made_column
    if column not in there:
        raise ColumnMissing((column,))
    (value,) = con.execute(f"SELECT max({_quote(column)}) FROM {_quote(form.table)}").fetchone()  # noqa: S608 - quoted
    return made_at(value, column)


def _to_text(raw: bytes) -> str | bytes:
    """A text, which SQLite does not check; bytes if it is not UTF-8, and then its column is refused."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _quote(name: str) -> str:
    """A name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'
