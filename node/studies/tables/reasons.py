"""Why a table cannot be read, in words of this program: those of engines and drivers quote cells.

Sees:     an engine's error, which may hold a child's row.
Promises: nothing of it is repeated but the number of a line and the name of the error's kind.
Source:   DuckDB 2, "Reading Faulty CSV Files": where a CSV error names its line.
"""

from __future__ import annotations

import re
from typing import Final

from elsewhere.errors import ElsewhereError

# Stands before the line itself, so nothing that a cell says is found first.
_LINE: Final = re.compile(r"\AInvalid Input Error: CSV Error on Line: ([0-9]+)\n")
_NO_ROW: Final = (
    "other cells than the header's, a stray quote, bytes that are not UTF-8, or more than two megabytes"
)
_WORDS: Final = {
    "FileNotFoundError": "there is no such file; paths start at the node's folder",
    "IsADirectoryError": "it is a folder",
    "PermissionError": "this account may not read the file",
    "UnicodeDecodeError": "it is not UTF-8; export it as UTF-8, or as Parquet",
    "NoHeader": "its first line names no columns",
    "TableNotFound": "the database has no such table, or this role may not see it",
    "InterruptException": "it took longer than research.count_s",
    "QueryCanceled": "it took longer than research.count_s",
    "InvalidInputException": "it is no file of the kind that its name says",
    "DatabaseError": "it is no file of the kind that its name says",
    "OperationalError": "the database cannot be reached, or refuses; its own log says why",
    "InsufficientPrivilege": "this role may not read it, or lacks the right TEMPORARY that caseload needs",
    "IOException": "the file, or the disk for what does not fit research.memory_mb, cannot be used",
    "OutOfMemoryException": "it does not fit research.memory_mb and the disk",
}


class NoHeader(Exception):
    """A CSV file that is empty."""


def why_unread(err: Exception) -> str:
    """Say it.

    Args:
        err: of an engine, a driver, the file system, or this program.

    Returns: words that hold nothing of a row.
    """
    if isinstance(err, ElsewhereError):
        return str(err)
    kind = type(err).__name__
    if found := _LINE.match(str(err)):
        return f"line {found[1]} is no row of a CSV file: {_NO_ROW}"
    if kind == "OperationalError" and str(err) == "interrupted":  # SQLite's word
        return _WORDS["InterruptException"]
    return _WORDS.get(kind, kind)
