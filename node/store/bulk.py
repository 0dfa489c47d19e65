"""Many rows into one table at once, by the fastest way each engine has.

Sees:     whatever the rows hold, in one batch.
Source:   PostgreSQL 15, COPY in binary form; SQLite's executemany.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, insert


def insert_rows(conn: Connection, table: Table, rows: Sequence[Sequence[object]]) -> None:
    """Insert rows laid out in the order of a table's columns, past the per-row work of SQLAlchemy.

    Raises (from the transaction):
        StoreUnavailable: the rows break a rule of the table, or the store failed. The message quotes no row.
    """
    if not rows:
        return
    if conn.dialect.name != "postgresql":
        conn.exec_driver_sql(str(insert(table).compile(dialect=conn.dialect)), [tuple(row) for row in rows])
        return
    raw: Any = conn.connection.dbapi_connection
    with (
        raw.cursor() as cursor,
        cursor.copy(
            f"COPY {table.name} ({', '.join(table.columns.keys())}) FROM STDIN (FORMAT BINARY)"
        ) as copy,
    ):
        # Binary rows say no types: 1 would be sent as the shortest integer, whatever the column is.
        copy.set_types([column.type.compile(conn.dialect).lower() for column in table.columns])
        for row in rows:
            copy.write_row(row)
