"""What a load asks of an export, whatever form it comes in: a header, rows with their numbers, facts.

Refuses:  a header that lacks, or repeats, a column that the mapping names.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from node.caseload.csv_source import open_csv
from node.caseload.headers import describe_header
from node.caseload.mapping import SourceMapping
from node.caseload.parquet_source import open_parquet
from node.caseload.sql_source import open_sql
from node.caseload.sqlite_source import open_sqlite
from node.errors import ColumnMissing, SourceUnreadable


class Source(Protocol):
    """One pass over an export. Every cell is text; the mapping says what it means."""

    @property
    def header(self) -> Sequence[str]:
        """The names of the columns, in order."""

    @property
    def made_utc(self) -> datetime.datetime | None:
        """When the export was made, aware; None if it does not tell."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of all that has been read; of the whole export once `rows` is exhausted."""

    @property
    def progress(self) -> tuple[int, int]:
        """How much is read, and how much there is, in one unit; 0 if that is not known."""

    def rows(self) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield each row with the number a person finds it by.

        Raises:
            SourceUnreadable: the export stops being what its mapping says.
            SourceEmpty: there was no row.
        """


@contextlib.contextmanager
def open_source(path: Path | None, mapping: SourceMapping, folder: Path) -> Iterator[Source]:
    """Open an export in the form that its mapping states.

    Args:
        path: of a file; None where the mapping names a table of a database.
        folder: the node's, where relative paths in the mapping start.

    Raises:
        SourceUnreadable, SourceEmpty: it is not there, not of that form, or has not even a header.
        LibraryMissing: what reads this form is not installed.
    """
    form = mapping.source
    if (path is None) != (form.sql is not None):
        raise SourceUnreadable(
            "expected no file, as the mapping names a table" if path else "expected a file to load"
        )
    with contextlib.ExitStack() as stack:
        if form.sql is not None and form.sql.url.startswith("sqlite:"):
            yield stack.enter_context(open_sqlite(form.sql, mapping, folder))
        elif form.sql is not None:
            yield stack.enter_context(open_sql(form.sql, mapping, folder))
        elif path is not None and form.csv is not None:
            yield stack.enter_context(open_csv(path, form.csv))
        elif path is not None:
            yield stack.enter_context(open_parquet(path, mapping))


def check_columns(source: Source, wanted: Sequence[str]) -> None:
    """Check that each column stands in the header exactly once.

    Raises:
        ColumnMissing: lists those that do not.
    """
    header = list(source.header)
    if missing := tuple(name for name in wanted if name not in header):
        raise ColumnMissing(missing, hint=describe_header(header, wanted))
    if repeated := tuple(name for name in wanted if header.count(name) > 1):
        raise ColumnMissing(repeated, repeated=True)
