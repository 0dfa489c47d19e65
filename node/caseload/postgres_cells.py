"""Rows of a PostgreSQL table as its driver reads them; Arrow's columns in between would refuse many types.

Promises: a date that Python has none for, such as `infinity` or one before Christ, is the text that the
          server writes, which is then noted as no date; one statement; memory does not grow with the table.
Source:   psycopg 3, "Data adaptation configuration", server-side cursors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from node.caseload.cells import BATCH_ROWS

if TYPE_CHECKING:
    import psycopg


def postgres_batches(con: psycopg.Connection[Any], query: str) -> Iterator[Sequence[Sequence[object]]]:
    """Yield the columns of some rows at a time, by a cursor of the server.

    Args:
        query: one SELECT.
    """
    _take_odd_dates(con)
    with con.transaction(), con.cursor(name="elsewhere") as cursor:
        cursor.execute(query.encode())
        while rows := cursor.fetchmany(BATCH_ROWS):
            yield list(zip(*rows, strict=True))


def _take_odd_dates(con: psycopg.Connection[Any]) -> None:
    """Have this connection give dates as text that Python has no date for."""
    from psycopg import DataError
    from psycopg.types.datetime import DateLoader, TimestampLoader

    class OddDate(DateLoader):
        def load(self, data: Any) -> Any:
            try:
                return super().load(data)
            except DataError:
                return bytes(data).decode()

    class OddTimestamp(TimestampLoader):
        def load(self, data: Any) -> Any:
            try:
                return super().load(data)
            except DataError:
                return bytes(data).decode()

    con.adapters.register_loader("date", OddDate)
    con.adapters.register_loader("timestamp", OddTimestamp)
