"""The tree over a node's log: what it proves is what the log holds, on both engines, however entries came."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, select, update

from elsewhere.transparency.merkle import (
    check_consistency,
    check_inclusion,
    prove_consistency,
    prove_inclusion,
    root_of,
)
from node.errors import LedgerDamaged
from node.ledger import book
from node.ledger.tree import Place, StoredTree, grow, keep_tiles, read_edge
from node.store.engine import Store, open_store
from node.store.exchange import log
from node.store.ledger import tile

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


def add(store: Store, count: int, first: int = 0) -> list[Place]:
    places = []
    with store.write() as connection:
        for number in range(first, first + count):
            entry = book.make_entry("asked", {"number": number}, NOW)
            places.append(book.append(connection, entry))
    return places


def add_and_fail(store: Store) -> None:
    with store.write() as connection:
        book.append(connection, book.make_entry("asked", {}, NOW))
        raise RuntimeError("before the end")


def test_each_entry_is_proved_at_once_and_under_every_later_tree(store: Store) -> None:
    places = add(store, 700)
    with store.write() as connection:
        assert keep_tiles(connection) == 2
        assert keep_tiles(connection) == 0
    with store.read() as connection:
        kept, edge = StoredTree(connection), read_edge(connection)
        leaves = connection.execute(select(log.c.digest).order_by(log.c.seq)).scalars().all()
        assert edge.root == root_of(kept, 700) == places[-1].tree.root
        for place in random.Random(1).sample(places, 40):
            leaf, size = leaves[place.index], place.tree.size
            check_inclusion(leaf, place.index, size, place.path, place.tree.root)
            check_inclusion(leaf, place.index, 700, prove_inclusion(kept, place.index, 700), edge.root)
            check_consistency(size, 700, place.tree.root, edge.root, prove_consistency(kept, size, 700))


def test_what_is_not_committed_is_in_neither_log_nor_tree(store: Store) -> None:
    add(store, 3)
    with pytest.raises(RuntimeError, match="before the end"):
        add_and_fail(store)
    with store.read() as connection:
        assert read_edge(connection).size == 3
    assert [place.index for place in add(store, 2)] == [3, 4]


def test_appends_of_many_threads_leave_no_gap(store: Store) -> None:
    threads = [threading.Thread(target=add, args=(store, 1, number)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with store.read() as connection:
        numbers = connection.execute(select(log.c.seq).order_by(log.c.seq)).scalars().all()
        assert list(numbers) == list(range(1, 25))
        assert read_edge(connection).root == root_of(StoredTree(connection), 24)


def test_a_removed_entry_or_hash_is_noticed(store: Store) -> None:
    add(store, 600)
    with store.write() as connection:
        keep_tiles(connection)
        connection.execute(delete(log).where(log.c.seq == 599))
    with store.read() as connection, pytest.raises(LedgerDamaged, match="level 0"):
        root_of(StoredTree(connection), 600)
    with store.write() as connection:
        connection.execute(delete(tile).where(tile.c.place == 0))
    with store.read() as connection, pytest.raises(LedgerDamaged, match="level 8"):
        root_of(StoredTree(connection), 512)


def test_an_altered_entry_leads_to_another_root(store: Store) -> None:
    add(store, 20)
    with store.write() as connection:
        connection.execute(update(log).where(log.c.seq == 7).values(digest=bytes(32)))
    with store.read() as connection:
        assert root_of(StoredTree(connection), 20) != read_edge(connection).root


def test_the_tree_does_not_grow_without_an_entry(store: Store) -> None:
    with store.write() as connection:
        first, second = grow(connection, bytes(32)), grow(connection, bytes(32))
    assert (first.index, second.index) == (0, 1)
