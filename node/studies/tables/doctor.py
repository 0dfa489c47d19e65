"""What of a mapping does not fit the agency's own table: counts, and never a value.

Sees:     the agency's rows, where they lie; only counts of rows come back.
Promises: whoever reads the findings learns how many rows count nowhere and why, and no cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elsewhere.canonical import Json
from elsewhere.research.dictionary import UNKNOWN, Column, Kind, Table, dictionary
from node.errors import LibraryMissing
from node.studies.tables.counting import child_of, day_of, has_code, is_day, number_of, own_codes
from node.studies.tables.engines import Opened, open_table
from node.studies.tables.sections import ColumnSection, ResearchSection, TableSection


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about one mapped table; `rows` is None for what is no count."""

    table: str
    what: str
    rows: int | None = None
    is_fault: bool = False  # the table cannot be counted at all, or a column not asked about

    def to_json(self) -> dict[str, Json]:
        """Write it."""
        return {"table": self.table, "what": self.what, "rows": self.rows, "fault": self.is_fault}


def examine(section: ResearchSection, folder: Path) -> Iterator[Finding]:
    """Look at every mapped table.

    Raises:
        LibraryMissing: no engine is installed that could.
    """
    for name, mapped in section.tables.items():
        table = dictionary().tables[name]
        lacking = [column for column in table.columns if column not in mapped.columns]
        try:
            with open_table(mapped, folder, section.memory_mb) as opened:
                yield from _look(opened, mapped, table)
        except LibraryMissing:
            raise
        except Exception as err:
            # Engines and drivers quote cells in their errors.
            yield Finding(name, f"cannot be read: {type(err).__name__}", is_fault=True)
            continue
        if lacking:
            yield Finding(name, f"not mapped, so questions about them are refused: {', '.join(lacking)}")


def _look(opened: Opened, section: TableSection, table: Table) -> Iterator[Finding]:
    """Count what does not fit, in one pass."""
    named = {section.child, section.date, section.row}
    named |= {section.column(name).column for name in section.columns}
    if missing := sorted(named - set(opened.table.columns)):
        yield Finding(table.id, f"has no column {', '.join(missing)}", is_fault=True)
        return
    rows = opened.table
    child, day = child_of(rows, section), day_of(rows, section)
    counts = {
        "rows": rows.count(),
        "without a child's id, which count nowhere": rows.count(where=child.isnull()),
        "without a day that can be read, which count nowhere": rows.count(
            where=~is_day(opened, day).fill_null(False)
        ),
    }
    for name in section.columns:
        counts |= _of_column(opened, section.column(name), table.columns[name])
    keys = {what: f"n{place}" for place, what in enumerate(counts)}
    found = rows.aggregate(**{key: counts[what] for what, key in keys.items()})
    (row,) = opened.connection.to_pyarrow(found).to_pylist()
    for what, key in keys.items():
        if row[key] or what == "rows":
            yield Finding(table.id, what, int(row[key]))


def _of_column(opened: Opened, section: ColumnSection, column: Column) -> dict[str, Any]:
    """What to count in one mapped column."""
    rows = opened.table
    text = rows[section.column].cast("string")
    is_there = (text != "").fill_null(False)
    if column.kind is Kind.NUMBER:
        number = number_of(opened, section)
        outside = (number < column.low) | (number > column.high)
        return {
            f"{column.id}: no number, which count in no sum": rows.count(where=is_there & number.isnull()),
            f"{column.id}: outside {column.low} to {column.high}, and brought within": rows.count(
                where=outside
            ),
        }
    if column.kind is Kind.MULTI:
        return _of_several(rows, text, section, column) | {f"{column.id}: empty": rows.count(where=~is_there)}
    known = text.isin(list(own_codes(section, column)))
    becomes = "counts as U" if UNKNOWN in column.keys else "counts in no group"
    return {
        f"{column.id}: a code that is not mapped; {becomes}": rows.count(where=is_there & ~known),
        f"{column.id}: empty; {becomes}": rows.count(where=~is_there),
    }


def _of_several(rows: Any, text: Any, section: ColumnSection, column: Column) -> dict[str, Any]:
    """What to count in a column whose cells hold several codes: fewer that are known than there are parts."""
    import ibis

    known = sum(
        (ibis.cases((has_code(text, section, own), 1), else_=0) for own in own_codes(section, column)),
        start=ibis.literal(0),
    )
    between = text.length() - text.replace(section.separator, "").length()
    parts = between / len(section.separator) + 1
    what = f"{column.id}: with a code that is not mapped, which counts nowhere"
    return {what: rows.count(where=(text != "").fill_null(False) & (known < parts))}
