"""One process at a time changes keys, and one loads: on one machine, and on several that share a server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import select

from elsewhere.database import kinds
from elsewhere.errors import StoreBusy, StoreUnavailable
from node.errors import LoadRunning
from node.processes import rights
from node.processes.rights import hold_right_to_keys, hold_right_to_load
from node.store.engine import Store, open_store
from node.store.schema import meta
from tests.postgres_server import Server


@pytest.fixture
def store(store_url: str) -> Store:
    return open_store(store_url)


def test_only_one_load_works_in_a_folder_at_a_time(tmp_path: Path, store: Store) -> None:
    with (
        hold_right_to_load(tmp_path, store),
        pytest.raises(LoadRunning),
        hold_right_to_load(tmp_path, store),
    ):
        pass
    with hold_right_to_load(tmp_path, store), hold_right_to_keys(tmp_path, store):
        pass


def test_who_changes_keys_waits_for_the_one_before(tmp_path: Path, store: Store) -> None:
    came: list[str] = []

    def change() -> None:
        with hold_right_to_keys(tmp_path, store):
            came.append("second")

    second = threading.Thread(target=change)
    with hold_right_to_keys(tmp_path, store):
        second.start()
        second.join(0.1)
        came.append("first")
    second.join(30)

    assert came == ["first", "second"]


def test_who_waits_for_a_process_that_hangs_is_told_so(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "PATIENCE_S", 0.05)

    with hold_right_to_keys(tmp_path, store), pytest.raises(StoreBusy), hold_right_to_keys(tmp_path, store):
        pass


@pytest.mark.needs("postgres")
def test_machines_whose_folders_do_not_lock_each_other_out_are_kept_apart_by_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(kinds, "BUSY_TIMEOUT_MS", 200)
    url = request.getfixturevalue("postgres").new_database()
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    one, other = open_store(url), open_store(url)

    with hold_right_to_load(here, one), pytest.raises(LoadRunning), hold_right_to_load(there, other):
        pass
    with hold_right_to_keys(here, one), pytest.raises(StoreBusy), hold_right_to_keys(there, other):
        pass
    with hold_right_to_keys(there, other), hold_right_to_load(there, other):
        pass
    for store in (one, other):
        store.close()


@pytest.mark.needs("postgres")
@pytest.mark.parametrize("hold", [hold_right_to_load, hold_right_to_keys])
def test_who_loses_a_right_with_its_session_writes_nothing_more_and_is_told(
    tmp_path: Path, hold: Callable[[Path, Store], AbstractContextManager[None]], postgres: Server
) -> None:
    url = postgres.new_database()
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    one, other = open_store(url), open_store(url)

    def end_sessions_of_rights() -> None:
        with postgres.admin() as admin:
            admin.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory'")

    def write(store: Store, name: str) -> None:
        with store.write() as connection:
            connection.execute(meta.insert().values(name=name, value=""))

    def work() -> None:
        with hold(here, one):
            write(one, "before")
            end_sessions_of_rights()
            with hold(there, other):
                with pytest.raises(StoreUnavailable, match="right"):
                    write(one, "after")
                write(other, "others")

    with pytest.raises(StoreUnavailable):
        work()
    write(one, "outside")
    with one.read() as connection:
        names = set(connection.execute(select(meta.c.name)).scalars())
    assert {"before", "others", "outside"} <= names
    assert "after" not in names
    for store in (one, other):
        store.close()
