"""Reads a Parquet file batch by batch: mapped columns only, in the order of the file.

Refuses:  what is no Parquet file, or a damaged one; cells over MAX_FIELD characters, and columns that take
          more room when unpacked than any export of ours: a file of 700 bytes can unpack to terabytes.
Promises: memory does not grow with the file. It believes the sizes in the file's own table of contents; one
          made by hand to lie there, or damaged there, can end a load in the middle: nothing is changed then.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from node.caseload.cells import BATCH_ROWS, TableSource, check_types, pick_columns
from node.caseload.csv_source import MAX_FIELD
from node.caseload.mapping import SourceMapping
from node.errors import ColumnMissing, LibraryMissing, SourceUnreadable

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

MAX_COLUMN_BYTES: Final = 256 * 2**20  # of one column of a row group, unpacked
MAX_LISTED: Final = 4_000_000  # values in lists, in one column of a row group
ODD_DAY: Final = "outside of the years 1 to 9999"  # stands for such a day, and is noted as no date
MAX_BATCH_BYTES: Final = 64 * 2**20  # of text in one column of BATCH_ROWS rows
_BUFFER = 1024 * 1024


@contextlib.contextmanager
def open_parquet(path: Path, mapping: SourceMapping) -> Iterator[TableSource]:
    """Open a file.

    Raises:
        SourceUnreadable: it cannot be opened, is no Parquet file, or a mapped column has no text.
        ColumnMissing: a mapped column is there twice.
        LibraryMissing: pyarrow is not installed.
    """
    try:
        from pyarrow import parquet
    except ImportError:
        raise LibraryMissing("pyarrow", "Parquet files") from None
    with contextlib.ExitStack() as stack:
        try:
            made = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
            with parquet.ParquetFile(path) as found:
                texts = _texts(found)
            # As dictionaries: a text that stands in every row is then there once until its length is known.
            file = stack.enter_context(
                parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False, read_dictionary=texts)
            )
            names = _pick(file, mapping)
        except (SourceUnreadable, ColumnMissing):
            raise
        except OSError as err:
            raise SourceUnreadable(f"expected a readable file: {err.strerror or 'no Parquet file'}") from None
        except Exception:  # for a damaged file the library has errors of many kinds, which may quote it
            raise SourceUnreadable("expected a Parquet file; this is none, or a damaged one") from None

        def batches() -> Iterator[Sequence[Sequence[object]]]:
            for batch in file.iter_batches(BATCH_ROWS, columns=names, use_threads=False):
                yield [_values(name, batch.column(name)) for name in names]

        yield TableSource(mapping, names, batches, made, file.metadata.num_rows)


def _pick(file: parquet.ParquetFile, mapping: SourceMapping) -> list[str]:
    """The mapped columns that the file has, each of which can be read."""
    import pyarrow as pa

    there = file.schema_arrow.names
    names = pick_columns(mapping, there)
    if repeated := tuple(name for name in names if there.count(name) > 1):
        raise ColumnMissing(repeated, repeated=True)
    check_types(mapping, pa.schema([file.schema_arrow.field(name) for name in names]))
    _check_sizes(file, names)
    return names


def _texts(file: parquet.ParquetFile) -> list[str]:
    """The paths of the columns, or of what their lists hold, that are text."""
    columns = [file.schema.column(number) for number in range(len(file.schema))]
    return [column.path for column in columns if column.logical_type.type == "STRING"]


def _check_sizes(file: parquet.ParquetFile, names: Sequence[str]) -> None:
    """Return only if no column that is read would fill the memory, by what the file says of itself."""
    paths = {number: file.schema.column(number).path for number in range(len(file.schema))}
    read = [
        number
        for number, path in paths.items()
        if any(path == name or path.startswith(name + ".") for name in names)
    ]
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group)
        for number in read:
            column = rows.column(number)
            is_listed = column.num_values > rows.num_rows
            if column.total_uncompressed_size > MAX_COLUMN_BYTES or (
                is_listed and column.num_values > MAX_LISTED
            ):
                name = paths[number].split(".")[0]
                raise SourceUnreadable(
                    f"column {name!r}: expected at most {MAX_COLUMN_BYTES // 2**20} MiB and {MAX_LISTED} "
                    "values in lists in one row group; write smaller row groups"
                )


def _values(name: str, column: pa.Array) -> list[Any]:
    """The cells of one column of a batch, once it is known how long they are."""
    from pyarrow import compute, types

    text = column
    while types.is_list(text.type) or types.is_large_list(text.type):
        text = text.flatten()
    if types.is_date(column.type) or types.is_timestamp(column.type):
        return _days(column)
    if not types.is_dictionary(text.type):
        try:
            return list(column.to_pylist())
        except Exception as err:  # its words may quote a cell
            raise SourceUnreadable(
                f"column {name!r}: expected values that have a text: {type(err).__name__}"
            ) from None
    used = text.indices.value_counts()
    sizes = compute.binary_length(text.dictionary.take(used.field("values")))
    if (compute.max(sizes).as_py() or 0) > MAX_FIELD:
        raise SourceUnreadable(f"column {name!r}: expected cells of at most {MAX_FIELD} bytes; one is longer")
    if (compute.sum(compute.multiply(sizes, used.field("counts"))).as_py() or 0) > MAX_BATCH_BYTES:
        raise SourceUnreadable(
            f"column {name!r}: expected at most {MAX_BATCH_BYTES // 2**20} MiB in {BATCH_ROWS} rows"
        )
    return list((text.dictionary_decode() if text is column else column).to_pylist())


def _days(column: pa.Array) -> list[datetime.date | str | None]:
    """The days of a column, without their times: Python has dates of four-digit years only."""
    import pyarrow as pa

    counts = column.cast(pa.date32(), safe=False).cast(pa.int32()).to_pylist()
    epoch, last = datetime.date(1970, 1, 1).toordinal(), datetime.date.max.toordinal()
    return [
        None if n is None else datetime.date.fromordinal(n + epoch) if 1 <= n + epoch <= last else ODD_DAY
        for n in counts
    ]
