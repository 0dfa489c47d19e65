"""A PostgreSQL server that is restarted, lost while it commits, or would not keep what it is given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from sqlalchemy import Connection, select, text

from elsewhere.clock import from_ms
from elsewhere.database import kinds, postgresql
from elsewhere.errors import LogUnavailable, StoreBusy, StoreUnavailable
from node.ledger import book
from node.store.engine import Store, open_store
from node.store.exchange import log
from node.store.schema import meta
from node.store.writer import Writer
from tests.postgres_server import Server

pytestmark = pytest.mark.needs("postgres")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of this file's own, as its tests break it."""
    made = Server()
    made.start()
    yield made
    made.stop("immediate")
    made.remove()


@pytest.fixture
def store(server: Server) -> Iterator[Store]:
    opened = open_store(server.new_database())
    yield opened
    opened.close()


@pytest.fixture
def writer(store: Store) -> Iterator[Writer]:
    made = Writer(store)
    yield made
    made.close()


def entry(number: int) -> Callable[[Connection], int]:
    """A change that appends an entry known by its time."""

    def append(conn: Connection) -> int:
        book.append(conn, book.make_entry("asked", {}, from_ms(number)))
        return number

    return append


def logged(store: Store) -> list[tuple[int, int]]:
    """Number and time of every entry."""
    with store.read() as conn:
        rows = conn.execute(select(log.c.seq, log.c.time_ms).order_by(log.c.seq)).all()
    return [(row.seq, row.time_ms) for row in rows]


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that other processes do."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def others(server: Server, store: Store) -> list[tuple[int, str]]:
    """The server's processes that work for a store, and what each waits for."""
    with store.read() as conn:
        name = conn.engine.url.database
    with server.admin() as admin:
        query = "SELECT pid, coalesce(wait_event, '') FROM pg_stat_activity WHERE datname = %s"
        return [(int(row[0]), str(row[1])) for row in admin.execute(query, (name,)).fetchall()]


def test_over_a_crash_of_the_server_what_was_confirmed_is_there_and_writing_goes_on(
    server: Server, store: Store, writer: Writer
) -> None:
    confirmed: list[int] = []
    refused: list[int] = []
    ended = threading.Event()

    def write() -> None:
        number = 0
        while not ended.is_set():
            batch: list[Future[int]] = [writer.submit(entry(number + more)) for more in range(8)]
            for more, one in enumerate(batch):
                try:
                    confirmed.append(one.result(30))
                except LogUnavailable:
                    refused.append(number + more)
            number += 8

    thread = threading.Thread(target=write)
    thread.start()
    until(lambda: len(confirmed) > 100)
    server.stop("immediate")
    until(lambda: len(refused) > 8)
    server.start()
    before = len(confirmed)
    until(lambda: len(confirmed) > before + 100)
    ended.set()
    thread.join()

    found = logged(store)
    assert [seq for seq, _ in found] == list(range(1, len(found) + 1))
    times = [time_ms for _, time_ms in found]
    assert len(times) == len(set(times))
    assert set(confirmed) <= set(times)
    # What was refused is not there, but for one transaction whose commit nobody heard of.
    assert len(set(times) - set(confirmed)) <= 8


def test_a_restart_while_nobody_asked_is_not_noticed(server: Server, store: Store) -> None:
    with store.read() as one, store.read() as other:  # two connections to be idle
        assert logged(store) == []
        assert one is not other
    server.stop()
    server.start()

    assert logged(store) == []
    with store.write() as conn:
        entry(1)(conn)
    assert logged(store) == [(1, 1)]


def test_a_commit_that_nobody_heard_of_is_reported_as_failed(
    server: Server, store: Store, writer: Writer
) -> None:
    """The server has written the row and waits for a standby when its process is ended."""
    assert writer.submit(entry(1)).result(30) == 1
    with server.admin() as admin:
        admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        admin.execute("SELECT pg_reload_conf()")
    try:
        until(lambda: _standbys(store) == "nobody")
        unheard = writer.submit(entry(2))
        waiting: list[int] = []

        def is_waiting() -> bool:
            waiting[:] = [pid for pid, event in others(server, store) if event == "SyncRep"]
            return bool(waiting)

        until(is_waiting)
        assert not unheard.done()
        with server.admin() as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", (waiting[0],))
        with pytest.raises(LogUnavailable):
            unheard.result(30)
    finally:
        with server.admin() as admin:
            admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
            admin.execute("SELECT pg_reload_conf()")
    until(lambda: _standbys(store) == "")

    assert writer.submit(entry(3)).result(30) == 3
    assert logged(store) == [(1, 1), (2, 2), (3, 3)]  # more was logged than was released, never less


def _standbys(store: Store) -> str:
    """The setting as a new transaction of the store's sees it."""
    with store.read() as conn:
        return str(conn.execute(text("SHOW synchronous_standby_names")).scalar_one())


def test_a_writer_that_stands_still_is_thrown_out_and_the_next_one_writes(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.new_database()
    open_store(url).close()
    monkeypatch.setattr(postgresql, "IDLE_MS", 300)
    still, next_one = open_store(url), open_store(url)

    def stand_still() -> None:
        with still.write() as conn:
            conn.execute(meta.insert().values(name="still", value="b"))
            with next_one.write() as other:  # waits until the first one is gone
                other.execute(meta.insert().values(name="next", value="b"))

    with pytest.raises(StoreUnavailable):
        stand_still()
    with next_one.read() as conn:
        names = conn.execute(select(meta.c.name)).scalars().all()
    assert "next" in names
    assert "still" not in names
    still.close()
    next_one.close()


def test_a_lock_that_is_not_to_be_had_is_busy_and_leaves_the_connection_whole(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "BUSY_TIMEOUT_MS", 50)
    store = open_store(server.new_database())
    for _ in range(3):
        with store.write(), pytest.raises(StoreBusy), store.write():
            pass
    with store.write() as conn:
        conn.execute(meta.insert().values(name="a", value="b"))
    store.close()


def test_tables_are_rebuilt_once_everybody_else_has_left_and_not_before(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.new_database()
    store, other = open_store(url), open_store(url)
    with other.read() as conn:
        conn.execute(select(meta.c.name)).all()
        with monkeypatch.context() as hasty:
            hasty.setattr(postgresql, "LEAVING_MS", 100)
            with pytest.raises(StoreBusy, match="1 are"), store.rebuild():
                pass
    leaves = threading.Timer(0.3, other.close)  # a closed connection is listed until its process has ended
    leaves.start()
    with store.rebuild() as conn:
        assert not conn.exec_driver_sql(postgresql._OTHERS).scalar_one()
    leaves.join()
    store.close()


def test_a_server_that_does_not_wait_for_its_disk_is_refused(server: Server) -> None:
    url = server.new_database()
    open_store(url).close()
    server.stop()
    server.start("fsync=off")
    try:
        with pytest.raises(StoreUnavailable, match="fsync"):
            open_store(url)
    finally:
        server.stop()
        server.start()
    open_store(url).close()
