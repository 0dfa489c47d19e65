"""A store opens for its owner and its own version only, and a write is all or nothing."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
import subprocess
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import IntegrityError

from elsewhere.database import kinds
from elsewhere.database.revisions import StoreVersionWrong
from elsewhere.errors import ConfigInvalid, StoreBusy, StoreUnavailable
from elsewhere.keyfiles import StoreExposed
from node.ledger.book import append, make_entry
from node.store.bulk import insert_rows
from node.store.caseload import tag
from node.store.engine import Store, open_store
from node.store.exchange import log
from node.store.schema import meta, metadata
from tests.caseload import path_of


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def in_file(tmp_path: Path) -> Iterator[Store]:
    """A store on SQLite, for what only files have."""
    opened = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    yield opened
    opened.close()


def test_a_new_store_belongs_to_its_owner_alone(in_file: Store) -> None:
    with in_file.write() as conn:
        conn.execute(meta.insert().values(name="a", value="b"))

    for path in path_of(in_file).parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_a_store_that_others_can_read_is_refused(in_file: Store) -> None:
    path_of(in_file).chmod(0o640)

    with pytest.raises(StoreExposed):
        open_store(f"sqlite:///{path_of(in_file)}")


@pytest.mark.parametrize("version", ["0001", "9999", "x"])
def test_another_schema_version_is_refused_and_named(store: Store, store_url: str, version: str) -> None:
    with store.write() as conn:
        conn.execute(text(f"UPDATE alembic_version SET version_num = '{version}'"))

    with pytest.raises(StoreVersionWrong, match=f"version {version}"):
        open_store(store_url)


def test_a_store_opens_again_with_what_was_written(store: Store, store_url: str) -> None:
    with store.write() as conn:
        conn.execute(meta.insert().values(name="a", value="b"))
    store.close()

    again = open_store(store_url)
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
    store_url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "BUSY_TIMEOUT_MS", 1)
    impatient = open_store(store_url)

    with store.write(), pytest.raises(StoreBusy), impatient.write():
        pass
    impatient.close()


def test_a_store_damaged_while_in_use_is_unavailable_to_readers_and_writers(in_file: Store) -> None:
    store = in_file
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


def test_durability_and_foreign_keys_are_on(in_file: Store) -> None:
    with in_file.read() as conn:
        found = {
            name: conn.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }

    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_an_error_of_the_database_does_not_quote_what_was_written(store: Store) -> None:
    def write_canary() -> None:
        with store.write() as conn:
            conn.execute(meta.insert().values(name="CANARY", value="CANARY"))

    write_canary()
    with pytest.raises(IntegrityError) as refusal:
        write_canary()

    assert "CANARY" not in "".join(traceback.format_exception(refusal.value)).replace('"CANARY"', "")


def test_rows_in_bulk_are_inserted_and_what_breaks_a_rule_is_not_quoted(store: Store) -> None:
    rows = [(1, b"CANARY-%d" % number + bytes(23), 2**40 + number, 3) for number in range(500)]
    with store.write() as conn:
        insert_rows(conn, tag, [])
        insert_rows(conn, tag, rows)
    with store.read() as conn:
        assert sorted(conn.execute(select(tag)).all()) == sorted(rows)

    with pytest.raises((StoreUnavailable, IntegrityError)) as refusal, store.write() as conn:
        insert_rows(conn, tag, rows[7:8])
    assert "CANARY" not in "".join(traceback.format_exception(refusal.value))
    with store.read() as conn:
        assert len(conn.execute(select(tag)).all()) == 500


def test_the_log_is_numbered_without_gaps_whatever_is_undone(store: Store) -> None:
    entry = make_entry("asked", {}, datetime(2026, 3, 2, tzinfo=UTC))

    def undo(conn: Connection) -> None:
        with conn.begin_nested():
            append(conn, entry)
            raise KeyError

    for _ in range(3):
        with store.write() as conn:
            append(conn, entry)
            with pytest.raises(KeyError):
                undo(conn)
        with contextlib.suppress(KeyError), store.write() as conn:
            append(conn, entry)
            raise KeyError

    with store.read() as conn:
        assert conn.execute(select(log.c.seq).order_by(log.c.seq)).scalars().all() == [1, 2, 3]


def test_writers_of_several_processes_take_turns(store: Store, store_url: str) -> None:
    """Each adds to what it read before, which two at once would overwrite."""
    with store.write() as conn:
        conn.execute(meta.insert().values(name="count", value="0"))
    others = [open_store(store_url) for _ in range(3)]

    def count(mine: Store) -> None:
        for _ in range(20):
            with mine.write() as conn:
                before = conn.execute(select(meta.c.value).where(meta.c.name == "count")).scalar_one()
                conn.execute(meta.update().where(meta.c.name == "count").values(value=str(int(before) + 1)))

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(count, mine) for mine in (store, *others)]:
            done.result(60)
    for other in others:
        other.close()

    with store.read() as conn:
        assert conn.execute(select(meta.c.value).where(meta.c.name == "count")).scalar_one() == "80"


def test_a_store_that_is_opened_twice_by_one_process_keeps_its_journal_from_other_processes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.sqlite"
    first = open_store(f"sqlite:///{path}")
    with first.write() as connection:
        connection.execute(meta.insert().values(name="a", value="1"))
    open_store(f"sqlite:///{path}").close()

    # Whoever closes a store last tidies its journal up. Another process must see that it is not the last.
    other = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM meta'); c.close()"
    )
    subprocess.run([sys.executable, "-c", other, path], check=True)

    assert path.with_name("store.sqlite-wal").exists()
    first.close()
