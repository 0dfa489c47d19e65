"""Reads a Parquet file batch by batch: mapped columns only, in the order of the file.

Refuses:  what is no Parquet file, or a damaged one.
Promises: memory does not grow with the file.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path

from node.caseload.cells import BATCH_ROWS, TableSource, check_types, pick_columns
from node.caseload.mapping import SourceMapping
from node.errors import LibraryMissing, SourceUnreadable

_BUFFER = 1024 * 1024


@contextlib.contextmanager
def open_parquet(path: Path, mapping: SourceMapping) -> Iterator[TableSource]:
    """Open a file.

    Raises:
        SourceUnreadable: it cannot be opened, is no Parquet file, or a mapped column has no text.
        LibraryMissing: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise LibraryMissing("pyarrow", "Parquet files") from None
    try:
        made = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
        file = parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
    except OSError as err:
        raise SourceUnreadable(f"expected a readable file: {err.strerror or 'no Parquet file'}") from None
    except pa.ArrowException:
        raise SourceUnreadable("expected a Parquet file; this is none, or a damaged one") from None
    with file:
        names = pick_columns(mapping, file.schema_arrow.names)
        check_types(mapping, pa.schema([file.schema_arrow.field(name) for name in names]))

        def batches() -> Iterator[Sequence[Sequence[object]]]:
            for batch in file.iter_batches(BATCH_ROWS, columns=names, use_threads=False):
                yield [batch.column(name).to_pylist() for name in names]

        yield TableSource(mapping, names, batches, made, file.metadata.num_rows)
