"""Writes one agency's export as a Parquet file: the columns of its CSV file, as text.

Promises: rows in the order given, ten thousand to a group; memory does not grow with the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO

from elsewhere.demo.exports import Shape
from elsewhere.demo.records import Record


class ParquetWriter:
    """Writes an agency's file batch by batch. Needs pyarrow, which comes with the extra `tables`."""

    first_row = 1  # a Parquet file has no header

    def __init__(self, file: BinaryIO, shape: Shape) -> None:
        self._file, self._shape = file, shape
        self._writer: Any = None
        self.rows = 0

    def add(self, records: Iterable[Record]) -> None:
        """Write some records as one group of rows."""
        import pyarrow as pa
        from pyarrow import parquet

        rows = [self._shape.row(record) for record in records]
        if not rows:
            return
        schema = pa.schema([(name, pa.string()) for name in rows[0]])
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._file, schema, compression="zstd")
        self._writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        self.rows += len(rows)

    def close(self) -> None:
        """Write the file's end."""
        if self._writer is not None:
            self._writer.close()
