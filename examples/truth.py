"""What is true of the made-up children: counted plainly from the demonstration's files.

Nobody can do this with real agencies: each sees its own rows only, and a researcher none.
"""

from __future__ import annotations

import csv
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from elsewhere.demo.events import TABLES
from elsewhere.demo.tables import table_mapping
from elsewhere.research.dictionary import UNKNOWN, dictionary
from elsewhere.research.question import Question

Row = dict[str, str]  # by the dictionary's columns, in its keys


def truth(folder: Path, question: Question) -> dict[tuple[str, ...], int]:
    """Count a question's groups over all agencies, each child within the table's clamp at each agency.

    Args:
        folder: of the demonstration: it holds `AGENCY-TABLE.csv`.
        question: a count of rows or of children.
    """
    found: Counter[tuple[str, ...]] = Counter()
    for agency, tables in TABLES.items():
        if question.table in tables:
            for rows in _children(folder, agency, question):
                found.update(_groups(rows, question))
    return {keys: found[keys] for keys in question.cells()}


def _children(folder: Path, agency: str, question: Question) -> Iterator[list[Row]]:
    """One agency's rows of the year, child by child: the earliest, up to the clamp."""
    mapping = tomllib.loads(table_mapping(agency))["research"]["tables"][question.table]["columns"]
    path, (first, end) = folder / f"{agency}-{question.table}.csv", question.days()
    by_child: dict[str, list[tuple[str, str, Row]]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if str(first) <= row["day"] < str(end):
                own = {name: _key(question.table, name, column, row) for name, column in mapping.items()}
                by_child[row["person"]].append((row["day"], row["row"], own))
    for rows in by_child.values():
        rows.sort(key=lambda one: one[:2])
        yield [own for _, _, own in rows[: question.clamp]]


def _groups(rows: list[Row], question: Question) -> list[tuple[str, ...]]:
    """The groups in which one child's rows count."""
    wanted = [row for row in rows if all(row[name] in keys for name, keys in question.where)]
    groups = [tuple(row[name] for name in question.by) for row in wanted]
    return list(dict.fromkeys(groups))[: question.at_most] if question.unit == "children" else groups


def _key(table: str, name: str, column: str | dict[str, object], row: Row) -> str:
    """The dictionary's key for an agency's own code."""
    own, codes = (column, {}) if isinstance(column, str) else (str(column["column"]), column["codes"])
    assert isinstance(codes, dict)
    keys, code = dictionary().tables[table].columns[name].keys, row[own]
    key = str(codes.get(code, code))
    return key if key in keys or not keys else UNKNOWN
