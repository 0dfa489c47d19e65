"""Typed columns of a Parquet file or a database as the text that a CSV export would hold.

Refuses:  columns that have no one text, by name: times with a zone, whose day depends on who reads them;
          bytes; records within records; lists for which the mapping states no separator.
Promises: a date is written in the mapping's first date format, so that it is read back as it was; a missing
          value, or a number that is none, is an empty cell; no message quotes a cell.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from node.caseload.mapping import Cells, SourceMapping
from node.errors import SourceEmpty, SourceUnreadable

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1000
NO_TABLE = "expected the table or view {!r}, with the columns of [source.sql]: {}"


class TableSource:
    """One pass over typed rows; they are numbered from 1 in the order in which they come."""

    def __init__(
        self,
        mapping: SourceMapping,
        header: Sequence[str],
        batches: Callable[[], Iterable[Sequence[Sequence[object]]]],
        made_utc: datetime.datetime | None,
        total: int = 0,
    ) -> None:
        """Read nothing yet.

        Args:
            header: the columns that are read.
            batches: gives, a batch at a time, the values of each column of `header`.
            made_utc: when the table was made, aware; None if nobody knows.
            total: how many rows there are, 0 if nobody knows.
        """
        self.header = tuple(header)
        self.made_utc = made_utc
        self._batches, self._total, self._read = batches, total, 0
        self._hash = hashlib.sha256(json.dumps(self.header).encode())
        separators = _separators(mapping)
        self._separators = [separators.get(name, "") for name in self.header]
        self._date_format = mapping.source.date_formats[0]

    @property
    def digest(self) -> bytes:
        """SHA-256 of the header and the rows read so far, as text."""
        return self._hash.digest()

    @property
    def progress(self) -> tuple[int, int]:
        """Rows read, and rows there are."""
        return self._read, self._total

    def rows(self) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield each row with its number.

        Raises:
            SourceUnreadable: the table could not be read to its end; the message quotes nothing of it.
            SourceEmpty: there was no row.
        """
        try:
            for columns in self._batches():
                given = zip(self.header, columns, self._separators, strict=True)
                texts = [self._to_texts(*column) for column in given]
                for row in zip(*texts, strict=True):
                    self._read += 1
                    self._hash.update(json.dumps(row).encode())
                    yield self._read, row
        except (SourceUnreadable, GeneratorExit):
            raise
        except Exception as err:  # of whatever driver or library; its words may quote a cell
            raise SourceUnreadable(
                f"expected a table that can be read to its end; after row {self._read}: {_kind(err)}"
            ) from None
        if not self._read:
            raise SourceEmpty("expected rows in the table; there is none")

    def _to_texts(self, name: str, column: Sequence[object], separator: str) -> list[str]:
        """The cells of one column of a batch."""
        try:
            return [self._to_text(value, separator) for value in column]
        except Exception as err:  # its words may quote a cell
            said = str(err) if type(err) is _NoTextError else _kind(err)
            raise SourceUnreadable(
                f"column {name!r}, in the {BATCH_ROWS} rows from row {self._read + 1}: "
                f"expected values that have a text: {said}"
            ) from None

    def _to_text(self, value: object, separator: str) -> str:
        """One cell."""
        if isinstance(value, str):
            return value
        if value is None or (isinstance(value, decimal.Decimal | float) and not math.isfinite(value)):
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, datetime.date):  # a time of day behind it says nothing that a record holds
            return value.strftime(self._date_format)
        if isinstance(value, decimal.Decimal | float) and value == int(value):
            return str(int(value))
        if isinstance(value, decimal.Decimal):
            return format(value, "f")
        if isinstance(value, list | tuple):
            return separator.join(filter(None, (self._to_text(part, "") for part in value)))
        if isinstance(value, bytes):
            raise _NoTextError("bytes came, or text that is not UTF-8")
        if isinstance(value, dict):
            raise _NoTextError("a nested record came")
        return str(value)


class _NoTextError(Exception):
    """A value that has no text; the words are ours. Never leaves this module."""


def check_types(mapping: SourceMapping, schema: pa.Schema) -> None:
    """Check that every column of a table has a text.

    Raises:
        SourceUnreadable: names the column that has none.
    """
    separators = _separators(mapping)
    for field in schema:
        _check_type(field.name, field.type, has_separator=field.name in separators)


def pick_columns(mapping: SourceMapping, names: Iterable[str]) -> list[str]:
    """The columns of a table that the mapping reads; no other is ever asked for."""
    there = frozenset(names)
    return [name for name in mapping.columns() if name in there]


def _separators(mapping: SourceMapping) -> dict[str, str]:
    """What stands between several values of one cell, by column."""
    return {
        column: cells.separator
        for section in (mapping.person, mapping.unborn, mapping.record)
        for _, cells in section
        if isinstance(cells, Cells) and cells.separator
        for column in cells.columns
    }


def _check_type(name: str, kind: pa.DataType, *, has_separator: bool) -> None:
    """Return only for a type whose values have one text."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_list(kind) or types.is_large_list(kind):
        if not has_separator:
            raise SourceUnreadable(
                f"column {name!r} holds lists: give it a separator in the mapping that stands in no value"
            )
        kind = kind.value_type
    if types.is_timestamp(kind) and kind.tz is not None:
        raise SourceUnreadable(
            f"column {name!r} holds times with a zone, whose day depends on the reader: make it a date"
        )
    if types.is_nested(kind) or _is_bytes(kind):
        raise SourceUnreadable(f"column {name!r} holds {kind}, which has no text: make a view without it")


def _is_bytes(kind: pa.DataType) -> bool:
    from pyarrow import types

    kinds = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view)
    return any(is_one(kind) for is_one in kinds)


def _kind(err: Exception) -> str:
    """The class of an error, and the code that a database gave it."""
    code: Any = getattr(err, "sqlstate", None)
    return f"{type(err).__name__} ({code})" if code else type(err).__name__


def made_at(value: object, column: str) -> datetime.datetime:
    """When a table was made, by the newest value of its made_column: a time in UTC, or a day.

    Raises:
        SourceUnreadable: it is neither, or there is none; counted as made now, an old table would look new.
    """
    with contextlib.suppress(ValueError):
        if isinstance(value, str):
            value = datetime.datetime.fromisoformat(value)
        if isinstance(value, datetime.datetime):
            return value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
        if isinstance(value, datetime.date):
            return datetime.datetime.combine(value, datetime.time(), datetime.UTC)
    came = "no row has one" if value is None else f"what came is none ({type(value).__name__})"
    raise SourceUnreadable(
        f"expected a day or time in column {column!r}, the made_column, as a date or a text like "
        f"2026-03-01 or 2026-03-01T04:00:00; {came}"
    )
