"""A store opens for its owner and its own version only, and a write is all or nothing."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError

from elsewhere.database import kinds
from elsewhere.database.revisions import StoreVersionWrong
from elsewhere.errors import ConfigInvalid, StoreBusy, StoreUnavailable
from elsewhere.keyfiles import StoreExposed
from node.caseload.workplace import hold_right_to_load
from node.errors import LoadRunning
from node.store.engine import Store, open_store
from node.store.schema import meta, metadata
from tests.caseload import path_of


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.sqlite'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


def test_a_new_store_belongs_to_its_owner_alone(store: Store) -> None:
    with store.write() as conn:
        conn.execute(meta.insert().values(name="a", value="b"))

    for path in path_of(store).parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_a_store_that_others_can_read_is_refused(store: Store, url: str) -> None:
    path_of(store).chmod(0o640)

    with pytest.raises(StoreExposed):
        open_store(url)


@pytest.mark.parametrize("version", ["0001", "9999", "x"])
def test_another_schema_version_is_refused_and_named(store: Store, url: str, version: str) -> None:
    with store.write() as conn:
        conn.execute(text(f"UPDATE alembic_version SET version_num = '{version}'"))

    with pytest.raises(StoreVersionWrong, match=f"version {version}"):
        open_store(url)


def test_a_store_opens_again_with_what_was_written(store: Store, url: str) -> None:
    with store.write() as conn:
        conn.execute(meta.insert().values(name="a", value="b"))
    store.close()

    again = open_store(url)
    with again.read() as conn:
        assert conn.execute(select(meta.c.value).where(meta.c.name == "a")).scalar_one() == "b"
    again.close()


@pytest.mark.parametrize(
    "bad", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://u:p4ss@h/d", "nosuch://u:p4ss@h/d"]
)
def test_a_url_of_another_kind_is_refused_without_quoting_it(bad: str) -> None:
    with pytest.raises(ConfigInvalid) as refusal:
        open_store(bad)

    assert "p4ss" not in str(refusal.value)


def test_a_missing_folder_a_foreign_database_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    foreign, damaged = tmp_path / "foreign.sqlite", tmp_path / "damaged.sqlite"
    with sqlite3.connect(foreign) as raw:
        raw.execute("CREATE TABLE other (a)")
    damaged.write_bytes(b"no database " * 400)
    for path in (foreign, damaged):
        path.chmod(0o600)

    for path in (tmp_path / "no" / "store.sqlite", foreign, damaged):
        with pytest.raises(StoreUnavailable):
            open_store(f"sqlite:///{path}")


def test_a_write_that_raises_changes_nothing(store: Store) -> None:
    def fail_half_way() -> None:
        with store.write() as conn:
            conn.execute(meta.insert().values(name="a", value="b"))
            raise KeyError

    with pytest.raises(KeyError):
        fail_half_way()

    with store.read() as conn:
        assert conn.execute(select(meta.c.name).where(meta.c.name == "a")).first() is None


def test_a_reader_sees_one_state_while_another_writes(store: Store) -> None:
    with store.read() as reader:
        before = reader.execute(select(meta.c.name)).all()
        with store.write() as conn:
            conn.execute(meta.insert().values(name="a", value="b"))
        assert reader.execute(select(meta.c.name)).all() == before


def test_a_writer_kept_waiting_too_long_is_told_so(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "BUSY_TIMEOUT_MS", 1)
    impatient = open_store(url)

    with store.write(), pytest.raises(StoreBusy), impatient.write():
        pass
    impatient.close()


def test_only_one_load_works_in_a_folder_at_a_time(tmp_path: Path) -> None:
    with hold_right_to_load(tmp_path), pytest.raises(LoadRunning), hold_right_to_load(tmp_path):
        pass
    with hold_right_to_load(tmp_path):
        pass


def test_a_store_damaged_while_in_use_is_unavailable_to_readers_and_writers(store: Store) -> None:
    store.close()  # nothing of it stays in memory
    path_of(store).write_bytes(b"no database " * 400)
    for side in ("-wal", "-shm"):
        path_of(store).with_name(f"store.sqlite{side}").unlink(missing_ok=True)
    with pytest.raises(StoreUnavailable), store.read() as conn:
        conn.execute(select(meta.c.name))
    with pytest.raises(StoreUnavailable), store.write() as conn:
        conn.execute(meta.insert().values(name="a", value="b"))


def test_every_constraint_and_index_has_a_name(store: Store) -> None:
    rules: list[Any] = [
        rule for table in metadata.sorted_tables for rule in (*table.constraints, *table.indexes)
    ]
    named = [rule.name for rule in rules if list(rule.columns)]

    assert len(named) > 20
    assert all(named)
    with store.read() as conn:
        keys = inspect(conn).get_foreign_keys("source")
    assert [key["name"] for key in keys] == ["fk_source_load_id"]


def test_durability_and_foreign_keys_are_on(store: Store) -> None:
    with store.read() as conn:
        found = {
            name: conn.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }

    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_an_error_of_the_database_does_not_quote_what_was_written(store: Store) -> None:
    def write_canary() -> None:
        with store.write() as conn:
            conn.execute(meta.insert().values(name="a", value="CANARY"))

    write_canary()
    with pytest.raises(IntegrityError) as refusal:
        write_canary()

    assert "CANARY" not in str(refusal.value)
