"""What the log says of one child is said of that child alone, and ends for that child alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from node.auditing.subjects import about, erase
from node.errors import RecordUnknown
from node.ledger import book
from node.store.engine import Store, open_store
from node.store.exchange import subject
from tests.stores import PLACES

NOW = datetime(2026, 9, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(PLACES.url(tmp_path))
    yield made
    made.close()


def answered(store: Store, *persons: str) -> None:
    """Log an answer from records of these persons."""
    with store.write() as connection:
        entry = book.make_entry("answered", {"persons": len(persons)}, NOW)
        book.append(
            connection, entry, book.make_subject([("cases", one) for one in persons], lambda n: b"s" * n)
        )


def told(store: Store, person: str) -> int:
    with store.read() as connection:
        return len(about(connection, "cases", person).entries)


def test_an_id_that_differs_in_the_size_of_a_letter_is_another_child(store: Store) -> None:
    answered(store, "P-1A")
    answered(store, "P-1a")
    answered(store, "P-1a")

    assert (told(store, "P-1A"), told(store, "P-1a")) == (1, 2)
    with store.write() as connection:
        assert erase(connection, "cases", "P-1a", NOW) == 2
    assert told(store, "P-1A") == 1


def test_erasing_one_child_leaves_an_entry_that_is_about_another_too(store: Store) -> None:
    answered(store, "P-1", "P-2")

    with store.write() as connection:
        assert erase(connection, "cases", "P-1", NOW) == 1
        row = connection.execute(select(subject.c.records, subject.c.salt)).one()

    assert told(store, "P-2") == 1
    assert "P-1" not in row.records
    assert bytes(row.salt) == bytes(32)  # or a guess at P-1 could be tried against the commitment


def test_a_slip_of_the_pen_is_not_answered_with_nobody(store: Store) -> None:
    answered(store, "P-1")

    for source, person in (("cases", "P-11"), ("case", "P-1"), ("cases", "%")):
        with store.read() as connection, pytest.raises(RecordUnknown):
            about(connection, source, person)
