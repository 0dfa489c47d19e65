"""What of a mapping does not fit the agency's own table: counts, and never a value.

Sees:     the agency's rows, where they lie; only counts of rows come back.
Promises: whoever reads the findings learns how many rows count nowhere and why, and no cell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from elsewhere.canonical import Json
from elsewhere.research.builder import Draft
from elsewhere.research.dictionary import UNKNOWN, Column, Kind, Table, dictionary
from elsewhere.research.question import FIRST_YEAR, LAST_YEAR
from node.caseload.headers import describe_header
from node.errors import LibraryMissing
from node.studies.tables.counting import child_of, count, day_of, has_code, is_day, number_of, own_codes
from node.studies.tables.engines import Opened, open_table
from node.studies.tables.reading import within
from node.studies.tables.reasons import why_unread
from node.studies.tables.sections import ColumnSection, ResearchSection, TableSection

PATIENCE: Final = 20  # times research.count_s
_ROWS: Final = "rows"
_COUNTED: Final = "with both"


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


def examine(
    section: ResearchSection,
    folder: Path,
    loaded: Collection[str] = (),
    timer: Callable[[], float] = time.monotonic,
) -> Iterator[Finding]:
    """Look at every mapped table, and count it once as a study would.

    Args:
        section: of the node's settings.
        folder: the node's.
        loaded: the sources of its caseload.
        timer: seconds, from any start.

    Raises:
        LibraryMissing: no engine is installed that could.
    """
    # All that is looked at takes longer than the one count of a study.
    patient = replace(within(section, folder), count_s=PATIENCE * section.count_s)
    for name, mapped in section.tables.items():
        table = dictionary().tables[name]
        lacking = [column for column in table.columns if column not in mapped.columns]
        try:
            with open_table(mapped, patient, [] if mapped.caseload else None) as opened:
                missing = list(_missing(opened, mapped, table))
                yield from missing or _look(opened, mapped, table)
                if not missing:
                    yield from _time(opened, mapped, table, section.count_s, timer)
        except LibraryMissing:
            raise
        except Exception as err:
            # Engines and drivers quote cells in their errors.
            yield Finding(name, f"cannot be read: {why_unread(err)}", is_fault=True)
            continue
        if mapped.caseload and mapped.caseload not in loaded:
            what = f"caseload names {mapped.caseload}, which was never loaded, so every question is refused"
            yield Finding(name, what, is_fault=True)
        if lacking:
            yield Finding(name, f"not mapped, so questions about them are refused: {', '.join(lacking)}")


def _missing(opened: Opened, section: TableSection, table: Table) -> Iterator[Finding]:
    """Name the mapped columns that the table has not."""
    named, there = section.named(), opened.table.columns
    if missing := sorted(named - set(there)):
        # The first row of an export without a header is a child's.
        what = f"has no column {', '.join(missing)}{describe_header(there, sorted(named))}"
        yield Finding(table.id, what, is_fault=True)


def _look(opened: Opened, section: TableSection, table: Table) -> Iterator[Finding]:
    """Count what does not fit, column by column, so that one that cannot be read is named."""
    yield from _of_rows(opened, section, table)
    for name in section.columns:
        try:
            counts = _of_column(opened, section.column(name), table.columns[name])
            yield from _counted(opened, table, counts)
        except Exception as err:
            yield Finding(table.id, f"{name}: cannot be read: {why_unread(err)}", is_fault=True)


def _of_rows(opened: Opened, section: TableSection, table: Table) -> Iterator[Finding]:
    """Count rows, children, days and row ids."""
    rows = opened.table
    child, day = child_of(rows, section), day_of(rows, section)
    has_child, has_day = child.notnull(), is_day(opened, day).fill_null(False)
    row = rows[section.row]
    counts = {
        _ROWS: rows.count(),
        "children": child.nunique(),
        "without a child's id, which count nowhere": rows.count(where=~has_child),
        "without a day that can be read, which count nowhere": rows.count(where=~has_day),
        "with a row id that is missing or another row's, so that chance decides which of a day come first": (
            rows.count() - row.nunique()
        ),
        _COUNTED: rows.count(where=has_child & has_day),
    }
    found = {one.what: one for one in _counted(opened, table, counts)}
    if _COUNTED not in found and found[_ROWS].rows:
        yield Finding(
            table.id, "no row has both a child's id and a day: nothing can be counted", is_fault=True
        )
    yield from (one for what, one in found.items() if what != _COUNTED)
    years = _beyond_clamp(opened, section, table)
    if years:
        what = f"beyond the first {table.clamp} of their child and year, which count nowhere"
        yield Finding(table.id, what, years)


def _beyond_clamp(opened: Opened, section: TableSection, table: Table) -> int:
    """How many rows the clamp leaves out, in calendar years; a school year cuts a little otherwise."""
    dated = _dated(opened, section)
    per_child = dated.group_by(["child", "year"]).aggregate(n=dated.count())
    beyond = (per_child["n"] - table.clamp).clip(lower=0).sum().fill_null(0)
    (row,) = opened.connection.to_pyarrow(per_child.aggregate(beyond=beyond)).to_pylist()
    return int(row["beyond"])


def _dated(opened: Opened, section: TableSection) -> Any:
    """The child and the calendar year of the rows that have both."""
    rows = opened.table
    child, day = child_of(rows, section), day_of(rows, section)
    year = day.substr(0, 4) if day.type().is_string() else day.year()
    return rows.filter(child.notnull(), is_day(opened, day)).select(child=child, year=year)


def _time(
    opened: Opened, section: TableSection, table: Table, most_s: float, timer: Callable[[], float]
) -> Iterator[Finding]:
    """Count the year with most rows against the clock."""
    import ibis

    dated = _dated(opened, section)
    years = dated.group_by("year").aggregate(n=dated.count()).order_by(ibis.desc("n")).limit(1)
    for row in opened.connection.to_pyarrow(years).to_pylist():
        year = min(max(int(row["year"]), FIRST_YEAR), LAST_YEAR)
        began = timer()
        count(opened, section, Draft(table.id, year).count())
        took_s = timer() - began
        if took_s > most_s / 2:
            what = f"one count takes {took_s:.0f} s; a study ends it after research.count_s, {most_s:g} s"
            yield Finding(table.id, what, is_fault=took_s > most_s)


def _counted(opened: Opened, table: Table, counts: Mapping[str, Any]) -> Iterator[Finding]:
    """Have the engine count, in one pass; what is nothing is not said, but for the rows."""
    keys = {what: f"n{place}" for place, what in enumerate(counts)}
    found = opened.table.aggregate(**{key: counts[what] for what, key in keys.items()})
    (row,) = opened.connection.to_pyarrow(found).to_pylist()
    for what, key in keys.items():
        if row[key] or what == _ROWS:
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
