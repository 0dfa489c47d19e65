"""A question as one expression that the agency's own engine computes: exact, each child within the clamp.

Sees:     the agency's rows, where they lie; only counts and sums by public keys come back.
Promises: rows of one child are cut to the clamp - the earliest by day, ties by row id - before any filter, so
          that all questions about a year count the same rows. A code that is unknown or missing counts as U
          where the column has that, else in no group. Numbers are brought within the dictionary's bounds.
Source:   docs/research.md, "What is counted".
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from elsewhere.research.dictionary import UNKNOWN, Column, Kind, dictionary
from elsewhere.research.question import Question
from node.studies.tables.engines import Opened
from node.studies.tables.sections import ColumnSection, TableSection

_CHILD, _DAY, _ROW, _AT, _BIN = "__child", "__day", "__row", "__at", "__bin"
_NUMBER: Final = r"^\s*[-+]?[0-9]+([.][0-9]+)?\s*$"


def count(opened: Opened, section: TableSection, question: Question) -> list[int]:
    """Count.

    Args:
        opened: the table.
        section: its mapping.
        question: what is asked.

    Returns: `question.width` whole numbers, group by group.
    """
    rows = _within_clamp(_own_rows(opened, section, question), question)
    rows = _filtered(rows, section, question)
    if question.metric.kind == "distribution":
        return _distribution(opened, rows, question)
    found = _grouped(rows, section, question)
    numbers = [0] * question.width
    for row in opened.connection.to_pyarrow(found).to_pylist():
        _put(numbers, row, question)
    return numbers


def _own_rows(opened: Opened, section: TableSection, question: Question) -> Any:
    """Rows of the year: the child, its day and row, and what the question looks at, as small as it can be.

    Engines sort these rows, so a number in the place of a text is worth it. Where several ids mean one child,
    its number stands in their place.
    """
    import ibis

    table = opened.table
    day = day_of(table[section.date])
    first, end = (_literal(one, day) for one in question.days())
    looked_at = {name: _value(table, section, question, name) for name in _names(question)}
    rows = table.filter(table[section.child].notnull(), day >= first, day < end).select(
        **{_CHILD: table[section.child].cast("string"), _DAY: day, _ROW: table[section.row], **looked_at}
    )
    known = opened.merged
    if known is None:
        return rows
    joined = rows.left_join(known, rows[_CHILD] == known["own"])
    return joined.mutate(**{_CHILD: ibis.coalesce(joined["number"], joined[_CHILD])})


def _names(question: Question) -> list[str]:
    """The dictionary's columns that a question looks at."""
    named = [*question.by, *(name for name, _ in question.where), question.metric.column]
    return list(dict.fromkeys(name for name in named if name))


def _value(table: Any, section: TableSection, question: Question, name: str) -> Any:
    """What a question looks at in one column: the number of a key, a number, or the text of several keys."""
    column, own = dictionary().table(question.table).columns[name], section.column(name)
    if column.kind is Kind.NUMBER:
        return number_of(table, own, column)
    return table[own.column].cast("string") if column.kind is Kind.MULTI else code_of(table, own, column)


def day_of(column: Any) -> Any:
    """A day, or text like 2026-09-30, which sorts as days do; text of another form is in no year."""
    return column.substr(0, 10) if column.type().is_string() else column.cast("date")


def _literal(day: date, column: Any) -> Any:
    """A day to compare a column with."""
    return day.isoformat() if column.type().is_string() else day


def _within_clamp(rows: Any, question: Question) -> Any:
    """The rows that count: of each child the earliest, up to the clamp."""
    import ibis

    window = ibis.window(group_by=rows[_CHILD], order_by=[rows[_DAY], rows[_ROW]])
    numbered = rows.mutate(**{_AT: ibis.row_number().over(window)})
    return numbered.filter(numbered[_AT] < question.clamp)


def _filtered(rows: Any, section: TableSection, question: Question) -> Any:
    """The rows that a question is about."""
    table = dictionary().table(question.table)
    for name, keys in question.where:
        column = table.columns[name]
        wanted = {column.keys.index(key) for key in keys}
        if column.kind is Kind.MULTI:
            has = [_has(rows[name], section.column(name), column, place) for place in sorted(wanted)]
            rows = rows.filter(_any(has))
        else:
            rows = rows.filter(rows[name].isin(sorted(wanted)))
    return rows


def _any(terms: Sequence[Any]) -> Any:
    """Whether one of some conditions holds."""
    found = terms[0]
    for term in terms[1:]:
        found = found | term
    return found


def own_codes(section: ColumnSection, column: Column) -> dict[str, int]:
    """The agency's own codes, and the number of the key that each stands for."""
    found = {key: place for place, key in enumerate(column.keys)}
    return found | {own: column.keys.index(key) for own, key in section.codes.items()}


def code_of(rows: Any, section: ColumnSection, column: Column) -> Any:
    """The number of a row's key; the number of U, or nothing, for any other code."""
    import ibis

    own = rows[section.column].cast("string")
    other = column.keys.index(UNKNOWN) if UNKNOWN in column.keys else ibis.null("int64")
    cases = [(own == code, place) for code, place in own_codes(section, column).items()]
    return ibis.cases(*cases, else_=other)


def _has(text: Any, section: ColumnSection, column: Column, place: int) -> Any:
    """Whether a row of several keys has one of them."""
    around = section.separator
    text = (around + text.replace(" ", "") + around).fill_null("")
    return _any(
        [
            text.contains(around + own + around)
            for own, at in own_codes(section, column).items()
            if at == place
        ]
    )


def number_of(rows: Any, section: ColumnSection, column: Column, *, is_clipped: bool = True) -> Any:
    """A whole number, brought within the bounds; nothing for a cell that is no number."""
    import ibis

    own = rows[section.column]
    if own.type().is_string():
        own = ibis.cases((own.re_search(_NUMBER), own), else_=ibis.null("string")).cast("float64")
    whole = own.cast("float64").round()
    return (whole.clip(lower=column.low, upper=column.high) if is_clipped else whole).cast("int64")


def _grouped(rows: Any, section: TableSection, question: Question) -> Any:
    """One row a group that has any: the numbers of its keys, and what is computed."""
    table = dictionary().table(question.table)
    single = [name for name in question.by if table.columns[name].kind is not Kind.MULTI]
    multi = next((name for name in question.by if name not in single), None)
    rows = rows.filter(*(rows[name].notnull() for name in single)) if single else rows
    if question.metric.column:
        rows = rows.filter(rows[question.metric.column].notnull())
    if question.edges:
        rows = rows.mutate(**{_BIN: _bin(rows[question.metric.column], question.edges)})
        rows = rows.filter(rows[_BIN].notnull())
    if question.unit == "children":
        rows = _few_bins(rows, single, question.at_most)
    keys = [*single, *([_BIN] if question.edges else [])]
    if multi is None:
        return _aggregate(rows, keys, question, {"": None})
    rows, flags = _flagged(rows, multi, section.column(multi), table.columns[multi])
    return _aggregate(rows, keys, question, flags)


def _aggregate(rows: Any, keys: Sequence[str], question: Question, flags: Mapping[str, str | None]) -> Any:
    """Count and add up in each group; with flags, once for each of them where it is set."""
    found = {}
    for suffix, flag in flags.items():
        where = rows[flag] if flag is not None else None
        found[f"n{suffix}"] = rows.count(where=where)
        if question.metric.kind in ("sum", "mean"):
            found[f"s{suffix}"] = rows[question.metric.column].sum(where=where).fill_null(0)
    return rows.aggregate(by=list(keys), **found) if keys else rows.aggregate(**found)


def _flagged(
    rows: Any, name: str, section: ColumnSection, column: Column
) -> tuple[Any, dict[str, str | None]]:
    """For each key of a column of several: whether it is among the first keys of the row that count."""
    names = {place: f"h_{place}" for place in range(len(column.keys))}
    import ibis

    rows = rows.mutate(
        **{
            flag: ibis.cases((_has(rows[name], section, column, place), 1), else_=0)
            for place, flag in names.items()
        }
    )
    flags: dict[str, Any] = {}
    so_far = None
    for place, flag in names.items():
        so_far = rows[flag] if so_far is None else so_far + rows[flag]
        flags[f"f_{place}"] = (rows[flag] == 1) & (so_far <= column.most)
    return rows.mutate(**flags), {f"_{place}": f"f_{place}" for place in names}


def _few_bins(rows: Any, keys: Sequence[str], most: int) -> Any:
    """One row for each child and group, and for each child only the groups that it was in first."""
    import ibis

    firsts = rows.group_by([_CHILD, *keys]).aggregate(first=rows[_AT].min())
    window = ibis.window(group_by=firsts[_CHILD], order_by=firsts["first"])
    ranked = firsts.mutate(rank=ibis.row_number().over(window))
    return ranked.filter(ranked["rank"] < most)


def _bin(value: Any, edges: Sequence[int]) -> Any:
    """The number of the bin that holds a value: its lower edge is in it, and the last upper one."""
    import ibis

    last = len(edges) - 2
    cases = []
    for place, (low, high) in enumerate(itertools.pairwise(edges)):
        is_below = value <= high if place == last else value < high
        cases.append(((value >= low) & is_below, place))
    return ibis.cases(*cases, else_=ibis.null("int64"))


def _distribution(opened: Opened, rows: Any, question: Question) -> list[int]:
    """How many children have how many rows."""
    most = question.metric.most
    per_child = rows.group_by(_CHILD).aggregate(rows=rows.count())
    capped = per_child.mutate(rows=per_child["rows"].clip(upper=most))
    found = capped.group_by("rows").aggregate(n=capped.count())
    numbers = [0] * most
    for row in opened.connection.to_pyarrow(found).to_pylist():
        numbers[int(row["rows"]) - 1] = int(row["n"])
    return numbers


def _put(numbers: list[int], row: Mapping[str, Any], question: Question) -> None:
    """Put one group's result into its places."""
    table = dictionary().table(question.table)
    slots = len(question.slots)
    for multi_place in _multi_places(question):
        at = 0
        for name in question.by:
            column = table.columns[name]
            place = multi_place if column.kind is Kind.MULTI else int(row[name])
            at = at * len(column.keys) + (place or 0)
        suffix = "" if multi_place is None else f"_{multi_place}"
        n, total = int(row[f"n{suffix}"]), int(row.get(f"s{suffix}") or 0)
        start = at * slots
        if question.metric.kind == "mean":
            numbers[start], numbers[start + 1] = total, n
        elif question.metric.kind == "sum":
            numbers[start] = total
        else:
            numbers[start + (int(row[_BIN]) if question.edges else 0)] = n


def _multi_places(question: Question) -> Iterable[int | None]:
    """The places of the keys of which a row has several; one None if no such column groups."""
    table = dictionary().table(question.table)
    for name in question.by:
        if table.columns[name].kind is Kind.MULTI:
            return range(len(table.columns[name].keys))
    return (None,)
