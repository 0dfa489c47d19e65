"""The one writer of a node outlives callers that give up and a store that is held by somebody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, func, select

from elsewhere.database import kinds
from elsewhere.errors import LogUnavailable
from node.ledger import book
from node.store.engine import Store, open_store
from node.store.exchange import log
from node.store.writer import Writer

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def store(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(kinds, "BUSY_TIMEOUT_MS", 50)
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def writer(store: Store) -> Iterator[Writer]:
    made = Writer(store)
    yield made
    made.close()


def append(connection: Connection) -> int:
    """Append an entry; gives how many there are."""
    book.append(connection, book.make_entry("asked", {}, NOW))
    return connection.execute(select(func.count()).select_from(log)).scalar_one()


def test_a_change_given_up_before_its_turn_is_not_made_and_the_next_one_is(writer: Writer) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        entered.set()
        leave.wait(30)

    first = writer.submit(hold)
    assert entered.wait(30)
    given_up = writer.submit(append)
    assert given_up.cancel()
    leave.set()

    assert writer.submit(append).result(30) == 1
    assert first.done()
    with pytest.raises(CancelledError):
        given_up.result(0)


def test_a_change_under_way_cannot_be_given_up(writer: Writer) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(connection: Connection) -> int:
        entered.set()
        leave.wait(30)
        return append(connection)

    change = writer.submit(slow)
    assert entered.wait(30)

    assert not change.cancel()
    leave.set()
    assert change.result(30) == 1


def test_a_store_that_another_process_holds_fails_the_change_and_not_the_writer(
    store_url: str, writer: Writer
) -> None:
    other = open_store(store_url)
    with other.write(), pytest.raises(LogUnavailable):
        writer.submit(append).result(30)
    other.close()

    assert writer.submit(append).result(30) == 1
