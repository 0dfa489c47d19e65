"""A statement that is run again and again: worded once for each engine, then handed to the driver itself.

Promises: rows, errors and what an engine's listeners hear are those of `Connection.execute`, which takes
          three to six times as long over a small statement.
Refuses:  to run with a value missing, or with one that the statement has no place for.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update

_Convert = Callable[[Any], Any]
NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement in the words of one engine."""

    words: str
    order: tuple[str, ...] | None  # of the values; None where the driver takes them by name
    wanted: frozenset[str]  # what a caller gives
    fixed: Mapping[str, object]  # what the statement itself holds
    to_driver: tuple[tuple[str, _Convert], ...]
    from_driver: tuple[_Convert | None, ...]  # by column; empty: all come as they are
    make_row: _Convert


class Ready:
    """One statement, for any thread and any connection that is within a transaction.

    Args:
        statement: built once.
        columns: of an insert, those that each run gives.
    """

    def __init__(self, statement: Select[*tuple[Any, ...]] | Insert | Update | Delete, *columns: str) -> None:
        # Inline: a column's default is the engine's to work out, in the same step.
        self.statement = statement.inline() if isinstance(statement, Insert) else statement
        self._columns = list(columns) or None
        self._forms: dict[str, _Form] = {}

    def rows(self, connection: Connection, values: Mapping[str, object] = NOTHING) -> list[Any]:
        """Give what a select finds, each row with its columns by name."""
        form = self._form(connection.dialect)
        cursor = self._run(connection, form, values)
        found = cursor.fetchall()
        cursor.close()
        if form.from_driver:
            found = [_converted(row, form.from_driver) for row in found]
        return [form.make_row(row) for row in found]

    def row(self, connection: Connection, values: Mapping[str, object] = NOTHING) -> Any:
        """Give the first row that a select finds, or None."""
        found = self.rows(connection, values)
        return found[0] if found else None

    def change(self, connection: Connection, values: Mapping[str, object]) -> int:
        """Insert, update or delete; gives the number of rows that were."""
        cursor = self._run(connection, self._form(connection.dialect), values)
        count: int = cursor.rowcount
        cursor.close()
        return count

    def _run(self, connection: Connection, form: _Form, values: Mapping[str, object]) -> Any:
        """Run it; gives the driver's cursor."""
        if values.keys() != form.wanted:
            raise ValueError(f"expected values for {sorted(form.wanted)}, got {sorted(values)}")
        given: Any = {**form.fixed, **values}
        for name, convert in form.to_driver:
            given[name] = convert(given[name])
        if form.order is not None:
            given = [given[name] for name in form.order]
        cursor: Any = connection.connection.cursor()
        for hear in connection.dispatch.before_cursor_execute:
            hear(connection, cursor, form.words, given, None, False)
        try:
            cursor.execute(form.words, given)
        except Exception as err:
            # As `execute` does: an error that tells no values, and no further use of a lost connection.
            connection._handle_dbapi_exception(err, form.words, None, cursor, None)
        return cursor

    def _form(self, dialect: Dialect) -> _Form:
        """The statement in an engine's words, which are found once."""
        form = self._forms.get(dialect.name)
        if form is None:
            form = self._forms[dialect.name] = self._word(dialect)
        return form

    def _word(self, dialect: Dialect) -> _Form:
        compiled: Any = self.statement.compile(dialect=dialect, column_keys=self._columns)
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        to_driver = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds.items()
        }
        columns: Any = self.statement.selected_columns if isinstance(self.statement, Select) else ()
        from_driver = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        ]
        return _Form(
            words=compiled.string,
            order=tuple(compiled.positiontup) if compiled.positional else None,
            wanted=frozenset(name for name, bind in binds.items() if bind.required),
            fixed={name: bind.value for name, bind in binds.items() if not bind.required},
            to_driver=tuple((name, convert) for name, convert in to_driver.items() if convert is not None),
            from_driver=tuple(from_driver) if any(from_driver) else (),
            make_row=_row_of([column.key or "" for column in columns]),
        )


def _row_of(names: Sequence[str]) -> _Convert:
    """What makes a row with these names out of its values."""
    make: Any = namedtuple
    made: _Convert = make("Row", names, rename=True)._make
    return made


def _converted(row: Any, converts: tuple[_Convert | None, ...]) -> list[Any]:
    """A row whose values are what the statement's types say."""
    return [
        value if convert is None else convert(value) for value, convert in zip(row, converts, strict=True)
    ]
