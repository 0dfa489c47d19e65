"""A ready statement gives, refuses and shows what SQLAlchemy's own way does."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    event,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from elsewhere.database.engine import Database, open_database
from elsewhere.database.ready import Ready
from elsewhere.errors import StoreUnavailable
from tests.stores import PLACES

THING = Table(
    "thing",
    MetaData(),
    Column("id", Integer, primary_key=True, default=text("(SELECT coalesce(max(id), 0) + 1 FROM thing)")),
    Column("name", String(20), nullable=False, unique=True),
    Column("day", Date),
    Column("is_kept", Boolean, nullable=False),
    Column("data", LargeBinary),
)
ADD = Ready(insert(THING), "name", "day", "is_kept", "data")
ROW = {"name": "one", "day": datetime.date(2026, 3, 2), "is_kept": True, "data": b"\0\xff"}
BY_NAME = select(THING).where(THING.c.name == bindparam("name"))


@pytest.fixture
def database(tmp_path: Path, each_engine: None) -> Iterator[Database]:
    opened = open_database(PLACES.url(tmp_path))
    with opened.write() as connection:
        THING.metadata.create_all(connection)
    yield opened
    opened.close()


def test_rows_have_the_types_and_names_of_the_statement(database: Database) -> None:
    with database.write() as connection:
        assert ADD.change(connection, ROW) == 1
        found = Ready(BY_NAME).row(connection, {"name": "one"})
        assert found == tuple(connection.execute(BY_NAME, {"name": "one"}).one())
    assert found._asdict() == {"id": 1, **ROW}
    assert type(found.is_kept) is bool


def test_nothing_found_is_none_and_nothing_changed_is_0(database: Database) -> None:
    change = update(THING).where(THING.c.name == bindparam("old")).values(name=bindparam("new"))
    with database.write() as connection:
        assert Ready(BY_NAME).row(connection, {"name": "one"}) is None
        assert Ready(change).change(connection, {"old": "one", "new": "two"}) == 0


@pytest.mark.parametrize("values", [{}, {"name": "one", "other": 1}])
def test_a_value_missing_or_too_many_is_refused(database: Database, values: dict[str, Any]) -> None:
    with database.read() as connection, pytest.raises(ValueError, match="expected values for"):
        Ready(BY_NAME).rows(connection, values)


def test_a_rule_broken_is_the_error_it_always_is_and_quotes_nothing(database: Database) -> None:
    with database.write() as connection:
        ADD.change(connection, ROW)
    with pytest.raises(IntegrityError) as caught, database.write() as connection:
        ADD.change(connection, ROW)
    assert "one" not in str(caught.value)
    with database.read() as connection:
        assert len(Ready(select(THING)).rows(connection)) == 1


def test_a_failing_database_is_told_as_such(database: Database) -> None:
    gone = Table("gone", MetaData(), Column("id", Integer))
    with pytest.raises(StoreUnavailable), database.read() as connection:
        Ready(select(gone)).rows(connection)
    with database.read() as connection:
        assert Ready(select(THING)).rows(connection) == []


def test_listeners_hear_of_it(database: Database) -> None:
    heard: list[str] = []
    with database.read() as connection:
        event.listen(connection, "before_cursor_execute", lambda _1, _2, words, *_: heard.append(words))
        Ready(BY_NAME).rows(connection, {"name": "one"})
        connection.execute(BY_NAME, {"name": "one"})
    assert heard[0] == heard[1]
