"""A store goes from any version to any other, whole or not at all, and keeps what it holds."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BLOB, Boolean, Connection, Date, LargeBinary, MetaData, Table, inspect, select, text
from sqlalchemy.types import TypeEngine

import gateway.store
import node.store.caseload
import node.store.exchange
import node.store.ledger
import node.store.owner
import node.store.processes
import node.store.reviewing
import node.store.schema
import node.store.studies
from elsewhere.database.engine import Database, open_database
from elsewhere.database.revisions import FIRST, Schema, StoreVersionWrong, prepare, read_version, revise
from elsewhere.errors import StoreBusy, StoreUnavailable

NODE, GATEWAY = node.store.schema.SCHEMA, gateway.store.SCHEMA
TABLES = {NODE: node.store.schema.metadata, GATEWAY: gateway.store.metadata}
VECTORS = Path(__file__).resolve().parent.parent / "vectors/store"
BOTH = pytest.mark.parametrize("schema", [NODE, GATEWAY], ids=lambda schema: schema.whose)


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    opened = open_database(store_url)
    yield opened
    opened.close()


@pytest.fixture
def old(schema: Schema, tmp_path: Path) -> Iterator[Database]:
    """A store as version 0.1.0 made it, with a row in every table."""
    path = tmp_path / "old.sqlite"
    path.touch(0o600)
    with sqlite3.connect(path) as raw:
        raw.executescript((VECTORS / f"{schema.whose}-0.1.0.sql").read_text("utf-8"))
    raw.close()
    opened = open_database(f"sqlite:///{path}")
    fill(opened)
    yield opened
    opened.close()


def shape(conn: Connection) -> dict[str, Any]:
    """Everything that makes up the tables, whatever the order and the words it was made in."""
    found: dict[str, Any] = {}
    about = inspect(conn)
    for name in set(about.get_table_names()) - {"alembic_version"}:
        found[name] = {
            "columns": {one["name"]: [str(one["type"]), *_rest(one)] for one in about.get_columns(name)},
            "key": about.get_pk_constraint(name),
            "references": _by_name(about.get_foreign_keys(name)),
            "unique": _by_name(about.get_unique_constraints(name)),
            "indexes": _by_name(about.get_indexes(name)),
        }
    if conn.dialect.name == "sqlite":
        for row in conn.execute(text("PRAGMA table_list")).mappings():
            if row["name"] in found:
                found[row["name"]] |= {"wr": row["wr"], "strict": row["strict"]}
        for name, sql in conn.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")):
            if name in found:
                found[name]["never_again"] = "AUTOINCREMENT" in sql
    return found


def _rest(one: Any) -> list[object]:
    return [one["nullable"], one.get("default"), one.get("autoincrement")]


def _by_name(found: list[Any]) -> dict[str, str]:
    return {one["name"]: str(sorted(_plain(one).items())) for one in found}


def _plain(found: Any) -> dict[str, object]:
    """Options as text: the condition of a partial index is an expression."""
    return {key: _plain(value) if isinstance(value, dict) else str(value) for key, value in found.items()}


def fill(database: Database) -> None:
    """Put one row into every table that has none."""
    with database.write() as conn:
        for table in held_tables(conn):
            if conn.execute(select(table)).first() is None:
                conn.execute(table.insert().values({one.name: a_value(one.type) for one in table.c}))


def a_value(kind: TypeEngine[Any]) -> object:
    """Some value of a type."""
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, Date):
        return datetime.date(2026, 3, 2)
    if isinstance(kind, BLOB | LargeBinary):
        return bytes(range(32))
    return "1" if kind.python_type is str else 1


def held_tables(conn: Connection) -> list[Table]:
    """The tables there are, those that others refer to first."""
    reflected = MetaData()
    reflected.reflect(conn)
    return [table for table in reflected.sorted_tables if table.name != "alembic_version"]


def everything(database: Database) -> dict[str, list[Any]]:
    """Every row of every table."""
    with database.read() as conn:
        return {table.name: sorted(conn.execute(select(table)).all()) for table in held_tables(conn)}


def version(database: Database, schema: Schema) -> str | None:
    with database.read() as conn:
        return read_version(conn, schema)


@BOTH
def test_all_revisions_together_make_the_tables_the_code_works_with(
    schema: Schema, database: Database
) -> None:
    with database.write() as conn:
        TABLES[schema].create_all(conn)
        wanted = shape(conn)
        TABLES[schema].drop_all(conn)
    prepare(database, schema)

    with database.read() as conn:
        assert shape(conn) == wanted
    assert version(database, schema) == schema.head


@BOTH
def test_going_back_to_the_first_revision_and_on_again_keeps_every_row(
    schema: Schema, database: Database
) -> None:
    revise(database, schema, FIRST)  # of an empty database
    fill(database)
    before = everything(database)
    with database.read() as conn:
        first = shape(conn)
    revise(database, schema, schema.head)
    with database.read() as conn:
        last = shape(conn)

    revise(database, schema, FIRST)
    assert everything(database) == before
    with database.read() as conn:
        assert shape(conn) == first
    revise(database, schema, schema.head)
    with database.read() as conn:
        assert shape(conn) == last
    prepare(database, schema)


@BOTH
def test_the_first_revision_is_what_0_1_0_made_and_its_stores_are_known(
    schema: Schema, old: Database, tmp_path: Path
) -> None:
    made = open_database(f"sqlite:///{tmp_path / 'made.sqlite'}")
    revise(made, schema, FIRST)
    with made.read() as conn, old.read() as other:
        assert shape(conn) == shape(other)
    made.close()
    before = everything(old)

    with pytest.raises(StoreVersionWrong, match=f"elsewhere {schema.whose} upgrade"):
        prepare(old, schema)
    assert everything(old) == before
    revise(old, schema, schema.head)
    prepare(old, schema)
    revise(old, schema, FIRST)
    assert everything(old) == before


@BOTH
def test_0_1_0_refuses_a_store_of_a_later_version(schema: Schema, database: Database) -> None:
    prepare(database, schema)

    assert everything(database)[schema.mark][0][-1] not in ("1", 1)


def test_a_store_of_a_later_version_is_refused_and_left_alone(database: Database) -> None:
    prepare(database, NODE)
    with database.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(StoreVersionWrong, match="--to"):
        prepare(database, NODE)
    with pytest.raises(StoreVersionWrong, match="version 9999"):
        revise(database, NODE, FIRST)
    assert version(database, NODE) == "9999"


def test_tables_are_not_changed_while_somebody_else_is_connected(database: Database, store_url: str) -> None:
    prepare(database, NODE)
    other = open_database(store_url)
    with other.read() as conn:
        read_version(conn, NODE)

    with pytest.raises(StoreBusy):
        revise(database, NODE, FIRST)
    other.close()
    revise(database, NODE, FIRST)
    assert version(database, NODE) == FIRST


def test_a_revision_that_fails_half_way_changes_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(database, NODE)
    before = everything(database)
    from elsewhere.database import revisions as module

    real = module.revisions

    def broken(schema: Schema) -> list[module.Revision]:
        line = real(schema)

        def downgrade() -> None:
            from alembic import op

            op.drop_table("log")
            raise StoreUnavailable("as if the disk were full")

        line[-1].module.downgrade = downgrade  # type: ignore[attr-defined]
        return line

    monkeypatch.setattr(module, "revisions", broken)
    with pytest.raises(StoreUnavailable, match="as if"):
        revise(database, NODE, FIRST)

    assert everything(database) == before
    assert version(database, NODE) == NODE.head


def test_somebody_elses_tables_are_left_alone(database: Database) -> None:
    with database.write() as conn:
        conn.execute(text("CREATE TABLE others (a INTEGER)"))

    with pytest.raises(StoreUnavailable, match="other tables"):
        prepare(database, NODE)
    with pytest.raises(StoreUnavailable, match="other tables"):
        revise(database, NODE, NODE.head)
