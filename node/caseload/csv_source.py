"""Reads a CSV export row by row, in the encoding its mapping states, or says at which line it cannot.

Sees:     every field of the export. Errors name lines and columns of the header, never a value.
Refuses:  bytes that are not of the encoding, NUL, lines and rows over MAX_LINE characters, fields over
          MAX_FIELD, broken quoting, a file without rows.
Promises: memory does not grow with the file; the digest is of the very bytes that were read.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import datetime
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from node.caseload.mapping import CsvForm
from node.errors import SourceEmpty, SourceUnreadable

MAX_LINE = 1024 * 1024  # characters
MAX_FIELD = 131_072  # characters: the csv module's own limit
_CHUNK = 256 * 1024
# The end of a line; a carriage return at the end of a chunk may be half of one. Matching whole lines instead
# would take quadratic time over a line without an end.
_LINE_END = re.compile(r"\r\n|\n|\r(?!\Z)")


@contextlib.contextmanager
def open_csv(path: Path, form: CsvForm) -> Iterator[CsvSource]:
    """Open a file and read its header.

    Raises:
        SourceUnreadable, SourceEmpty: it cannot be opened, or as `CsvSource`.
    """
    try:
        file = path.open("rb")
    except OSError as err:
        raise SourceUnreadable(f"expected a readable file: {err.strerror}") from None
    with file:
        facts = os.fstat(file.fileno())
        made = datetime.datetime.fromtimestamp(facts.st_mtime, datetime.UTC)
        yield CsvSource(file, form, size_bytes=facts.st_size, made_utc=made)


class CsvSource:
    """One pass over a CSV file. Row numbers count as a spreadsheet does: its first line is row 1."""

    def __init__(
        self,
        file: BinaryIO,
        form: CsvForm,
        *,
        size_bytes: int = 0,
        made_utc: datetime.datetime | None = None,
    ) -> None:
        """Read the header.

        Args:
            file: opened for reading bytes; the caller closes it.
            size_bytes: of the whole file, 0 if nobody knows.
            made_utc: when it was written, aware; None if nobody knows.

        Raises:
            SourceEmpty: there is not even a header.
            SourceUnreadable: as `rows`.
        """
        self._file, self._form = file, form
        self._hash = hashlib.sha256()
        self._bytes_read, self._size = 0, size_bytes
        self._row_size = 0  # characters of the lines of the row that is being read
        self.made_utc = made_utc
        self._reader = csv.reader(
            self._lines(),
            delimiter=form.delimiter,
            quotechar=form.quote or None,
            quoting=csv.QUOTE_MINIMAL if form.quote else csv.QUOTE_NONE,
            strict=True,
        )
        self._number = 0  # of the row read last
        self.header: tuple[str, ...] = ()
        for fields in self._records():
            self._number += 1
            if any(map(str.strip, fields)):  # blank lines may stand before it
                self.header = tuple(map(str.strip, fields))
                break
        if not self.header:
            raise SourceEmpty("expected a header and rows; the file is empty")

    @property
    def digest(self) -> bytes:
        """SHA-256 of what has been read; of the whole file once `rows` is exhausted."""
        return self._hash.digest()

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes read, and bytes there are."""
        return self._bytes_read, self._size

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row with its number; a row may be shorter or longer than the header.

        Raises:
            SourceUnreadable: `.line` says where the file stops being what the mapping says.
            SourceEmpty: there was no row.
        """
        found = False
        for fields in self._records():
            self._number += 1
            if fields:  # a blank line is no row, yet a spreadsheet counts it
                found = True
                yield self._number, fields
        if not found:
            raise SourceEmpty("expected rows below the header; there is none")

    def _records(self) -> Iterator[list[str]]:
        """Run the CSV parser, whose messages are replaced by ours."""
        while True:
            self._row_size = 0
            try:
                fields = next(self._reader)
            except StopIteration:
                return
            except csv.Error as err:
                raise SourceUnreadable(_explain(str(err)), line=max(self._reader.line_num, 1)) from None
            yield fields

    def _lines(self) -> Iterator[str]:
        """Yield decoded lines with their ends: CR, LF or both."""
        decoder = codecs.getincrementaldecoder(_with_bom(self._form.encoding))("strict")
        pending, line = "", 1
        while True:
            chunk = self._file.read(_CHUNK)
            self._hash.update(chunk)
            self._bytes_read += len(chunk)
            pending += self._decode(decoder, chunk, line + pending.count("\n"))
            if "\0" in pending:
                line += pending.count("\n", 0, pending.index("\0"))
                raise SourceUnreadable(
                    "expected text; a NUL character came: is it another encoding?", line=line
                )
            used = 0
            for end in _LINE_END.finditer(pending):
                self._check_length(end.end() - used, line)
                text, used, line = pending[used : end.end()], end.end(), line + 1
                # Quotes can join any number of lines to one row.
                self._row_size += len(text)
                self._check_length(self._row_size, line - 1)
                yield text
            pending = pending[used:]
            self._check_length(len(pending), line)
            if not chunk:
                if pending:
                    yield pending
                return

    def _decode(self, decoder: codecs.IncrementalDecoder, chunk: bytes, line: int) -> str:
        """Decode a chunk; on failure count the lines before the bad byte."""
        try:
            return decoder.decode(chunk, final=not chunk)
        except UnicodeError as err:
            if isinstance(err, UnicodeDecodeError):
                line += err.object[: err.start].count(b"\n")
            raise SourceUnreadable(
                f"expected {self._form.encoding}; a byte came that is none: is it another encoding?",
                line=line,
            ) from None

    @staticmethod
    def _check_length(size: int, line: int) -> None:
        """Refuse a line that no export has; it would fill the memory."""
        if size > MAX_LINE:
            raise SourceUnreadable(
                f"expected rows of at most {MAX_LINE} characters; this one is longer", line=line
            )


def _with_bom(encoding: str) -> str:
    """Read UTF-8 with or without its byte order mark."""
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


def _explain(message: str) -> str:
    """Say what a message of the csv module means for the file."""
    if "field limit" in message:
        return f"expected fields of at most {MAX_FIELD} characters; a longer one came: was a quote left open?"
    if "end of data" in message:
        return "expected a closing quote; the file ends inside a quoted field"
    if "new-line" in message:
        return "expected line ends of one kind; a carriage return stands inside a field without quotes"
    return "expected the delimiter after a closing quote; something else came"
