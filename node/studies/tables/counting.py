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
from datetime import date, timedelta
from typing import Any, Final

from elsewhere.research.dictionary import UNKNOWN, Column, Kind, dictionary
from elsewhere.research.question import Question
from node.studies.tables.engines import Opened
from node.studies.tables.sections import ColumnSection, TableSection

# A day of the Gregorian calendar: 31, 30 and 28 days, and the 29th of February of leap years.
_CALENDAR: Final = (
    r"^([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    r"|02-(0[1-9]|1[0-9]|2[0-8]))"
    r"|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)$"
)
_CHILD, _DAY, _ROW, _AT, _BIN = "__child", "__day", "__row", "__at", "__bin"
_NUMBER: Final = r"^ *[-+]?[0-9]{1,15}([.][0-9]{1,15})? *$"
_MOST: Final = 10**15  # either way; a number beyond it is none. Engines fail on what does not fit theirs.


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
    looked_at = {name: _value(opened, section, question, name) for name in _names(question)}
    child, day = child_of(table, section), day_of(table, section)
    rows = table.filter(child.notnull(), _is_within(day, *question.days())).select(
        **{_CHILD: child, _DAY: day, _ROW: table[section.row], **looked_at}
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


def _value(opened: Opened, section: TableSection, question: Question, name: str) -> Any:
    """What a question looks at in one column: the number of a key, a number, or the text of several keys."""
    column, own = dictionary().table(question.table).columns[name], section.column(name)
    if column.kind is Kind.NUMBER:
        return whole_of(number_of(opened, own), column)
    text = opened.table[own.column].cast("string")
    return text if column.kind is Kind.MULTI else code_of(opened.table, own, column)


def child_of(rows: Any, section: TableSection) -> Any:
    """The child's id; nothing where it is empty, which would else be one child of all such rows."""
    return rows[section.child].cast("string").nullif("")


def day_of(rows: Any, section: TableSection) -> Any:
    """A day, or text that begins like 2026-09-30, which sorts as days do. `is_day` says whether it is one."""
    column = rows[section.date]
    return column.substr(0, 10) if column.type().is_string() else column.cast("date")


def is_day(opened: Opened, day: Any) -> Any:
    """Whether what `day_of` gives is a day of the calendar."""
    return opened.matches(day, _CALENDAR) if day.type().is_string() else day.notnull()


def _is_within(day: Any, first: date, end: date) -> Any:
    """Whether a day lies in a year. Text must be one of its days, as other texts sort among them."""
    if not day.type().is_string():
        return (day >= first) & (day < end)
    return day.isin([(first + timedelta(days=n)).isoformat() for n in range((end - first).days)])


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
    codes = [own for own, at in own_codes(section, column).items() if at == place]
    return _any([has_code(text, section, own) for own in codes])


def has_code(text: Any, section: ColumnSection, own: str) -> Any:
    """Whether one of the agency's own codes is in a cell of several. Spaces around codes say nothing."""
    around, wanted = section.separator, own
    if around.strip():
        around, wanted, text = around.replace(" ", ""), own.replace(" ", ""), text.replace(" ", "")
    return (around + text + around).fill_null("").contains(around + wanted + around)


def number_of(opened: Opened, section: ColumnSection) -> Any:
    """What a cell says, as it says it; nothing for a cell that is no number, or one beyond all measure."""
    import ibis

    own = opened.table[section.column]
    if own.type().is_string():
        own = ibis.cases((opened.matches(own, _NUMBER), own), else_=ibis.null("string")).cast("float64")
    elif own.type().is_floating():
        # Asked for by name: DuckDB leaves comparisons out that a file's statistics decide, and they skip NaN.
        own = ibis.cases((own.isnan(), ibis.null(own.type())), else_=own)
    # What no engine could bring to a whole number goes first: infinities, what is not a number, 1e300.
    is_one = (own >= -_MOST) & (own <= _MOST)
    return ibis.cases((is_one, own), else_=ibis.null(own.type())).cast("float64")


def whole_of(number: Any, column: Column) -> Any:
    """A number brought within the bounds, then to the nearest whole one, halves up."""
    return (number.clip(lower=column.low, upper=column.high) + 0.5).floor().cast("int64")


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
            numbers[start], numbers[start + 1] = total, n * question.count_weight
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
