"""What the log says of one child is said of that child alone, and ends for that child alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select

from node.auditing.erasing import FILE_NAME, erase, erase_again
from node.auditing.subjects import about
from node.errors import RecordUnknown, StateDamaged
from node.ledger import book
from node.store.engine import Store, open_store
from node.store.exchange import log, subject
from tests.stores import PLACES

pytestmark = pytest.mark.usefixtures("each_engine")
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


def test_an_id_that_differs_in_the_size_of_a_letter_is_another_child(store: Store, tmp_path: Path) -> None:
    answered(store, "P-1A")
    answered(store, "P-1a")
    answered(store, "P-1a")

    assert (told(store, "P-1A"), told(store, "P-1a")) == (1, 2)
    with store.write() as connection:
        assert erase(connection, tmp_path, ("cases", "P-1a"), NOW) == 2
    assert told(store, "P-1A") == 1


def test_erasing_one_child_leaves_an_entry_that_is_about_another_too(store: Store, tmp_path: Path) -> None:
    answered(store, "P-1", "P-2")

    with store.write() as connection:
        assert erase(connection, tmp_path, ("cases", "P-1"), NOW) == 1
        row = connection.execute(select(subject.c.records, subject.c.salt)).one()

    assert told(store, "P-2") == 1
    assert "P-1" not in row.records
    assert bytes(row.salt) == bytes(32)  # or a guess at P-1 could be tried against the commitment


def test_a_slip_of_the_pen_is_not_answered_with_nobody(store: Store) -> None:
    answered(store, "P-1")

    for source, person in (("cases", "P-11"), ("case", "P-1"), ("cases", "%")):
        with store.read() as connection, pytest.raises(RecordUnknown):
            about(connection, source, person)


def held(store: Store) -> list[tuple[bytes, str, bytes]]:
    """Whom every entry is about, as a backup has it too."""
    with store.read() as connection:
        query = select(subject.c.digest, subject.c.records, subject.c.salt)
        return sorted((bytes(row[0]), row[1], bytes(row[2])) for row in connection.execute(query))


def restore(store: Store, backup: list[tuple[bytes, str, bytes]]) -> None:
    with store.write() as connection:
        connection.execute(delete(subject))
        rows = [dict(zip(("digest", "records", "salt"), row, strict=True)) for row in backup]
        connection.execute(insert(subject), rows)


def test_what_was_erased_is_erased_again_whichever_backup_is_restored(store: Store, tmp_path: Path) -> None:
    answered(store, "P-1", "P-2", "P-3")
    answered(store, "P-1")
    answered(store, "P-4")
    backups = [held(store)]
    for person in ("P-1", "P-3"):
        with store.write() as connection:
            erase(connection, tmp_path, ("cases", person), NOW)
        backups.append(held(store))

    for number, backup in enumerate(backups):
        restore(store, backup)
        with store.write() as connection:
            gone = erase_again(connection, tmp_path, NOW)
            last = connection.execute(select(log.c.body).order_by(log.c.seq.desc()).limit(1)).scalar_one()
        assert held(store) == backups[-1]
        assert gone == (2, 1, 0)[number]
        assert (b"is_again" in last) or not gone
    assert (told(store, "P-2"), told(store, "P-4")) == (1, 1)
    written = (tmp_path / FILE_NAME).read_text()
    assert "P-" not in written
    assert "cases" not in written


def test_what_was_erased_and_cannot_be_read_is_not_taken_for_nothing(store: Store, tmp_path: Path) -> None:
    answered(store, "P-1")
    with store.write() as connection:
        erase(connection, tmp_path, ("cases", "P-1"), NOW)
    whole = (tmp_path / FILE_NAME).read_bytes()
    for cut in (whole[:-9], whole.replace(b'"of":1', b'"of":0'), b"[]\n", b"{}\n"):
        (tmp_path / FILE_NAME).write_bytes(cut)
        with pytest.raises(StateDamaged), store.write() as connection:
            erase_again(connection, tmp_path, NOW)
