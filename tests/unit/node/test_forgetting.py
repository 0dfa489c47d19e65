"""A running node forgets by itself, on its day, everything that is to be forgotten."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Table, insert, select

from elsewhere.clock import to_ms
from elsewhere.wire.v1 import desk_pb2
from node.asking.history import History
from node.auditing.erasing import FILE_NAME, erase
from node.forgetting import Forgetting
from node.keys.vault import Vault
from node.ledger import book
from node.store.engine import Store, open_store
from node.store.exchange import asked, log, opening, subject
from node.store.ledger import witnessed, witnessed_before
from node.store.reviewing import notice, review
from node.store.writer import Writer
from tests.stores import PLACES

pytestmark = pytest.mark.usefixtures("each_engine")
NOW = datetime(2026, 9, 1, tzinfo=UTC)
LONG_AGO = to_ms(NOW - timedelta(days=61))
ANSWER = desk_pb2.AskAnswer(custodian="police", receipt=b"{}").SerializeToString()
DUE: dict[Table, dict[str, Any]] = {
    asked: {
        "lookup_id": "0" * 32,
        "time_ms": LONG_AGO,
        "custodian": "police",
        "answer": ANSWER,
        "delete_ms": to_ms(NOW) - 1,
    },
    opening: {"lookup_id": "0" * 32, "time_ms": LONG_AGO, "sealed": b""},
    witnessed: {"agency": "police", "size": 1, "at_s": LONG_AGO // 1000, "note": ""},
    witnessed_before: {"agency": "police", "number": 0, "size": 1, "at_s": LONG_AGO // 1000, "note": ""},
    notice: {"digest": bytes(32), "time_ms": LONG_AGO, "is_open": False},
    review: {
        "digest": bytes(32),
        "key": bytes(32),
        "received_ms": LONG_AGO,
        "state": "open",
        "until_ms": to_ms(NOW) - 1,
        "facts": "{}",
    },
}


async def pass_once(store: Store, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """One pass of what a node does every minute."""
    writer = Writer(store)

    async def sleep(_seconds: float) -> None:
        raise asyncio.CancelledError

    patch.setattr("node.forgetting.asyncio.sleep", sleep)
    history = History(Vault(bytes(32)), Random(1).randbytes)
    with pytest.raises(asyncio.CancelledError):
        await Forgetting(folder, store, writer, history, lambda name: True, lambda: NOW).run()
    patch.undo()
    writer.close()


def counted(store: Store) -> dict[str, int]:
    with store.read() as connection:
        return {table.name: len(connection.execute(select(table)).all()) for table in DUE}


async def test_a_node_forgets_by_itself_what_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(PLACES.url(tmp_path))
    with store.write() as connection:
        for table, row in DUE.items():
            connection.execute(insert(table), row)
    assert set(counted(store).values()) == {1}
    await pass_once(store, tmp_path, monkeypatch)
    assert set(counted(store).values()) == {0}
    with store.read() as connection:
        bodies = connection.execute(select(log.c.body)).scalars().all()
    assert [b'"review":"lapsed"' in bytes(body) for body in bodies] == [True]
    store.close()


async def test_a_list_of_what_was_erased_that_is_damaged_keeps_nothing_else_from_going(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"cut sho")
    store = open_store(PLACES.url(tmp_path))
    with store.write() as connection:
        for table, row in DUE.items():
            connection.execute(insert(table), row)
    await pass_once(store, tmp_path, monkeypatch)
    assert set(counted(store).values()) == {0}
    store.close()


async def test_a_node_on_a_store_of_before_erases_again_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(PLACES.url(tmp_path))
    with store.write() as connection:
        entry = book.make_entry("answered", {}, NOW)
        book.append(connection, entry, book.make_subject([("cases", "P-1")], Random(1).randbytes))
        row = connection.execute(select(subject)).one()
        erase(connection, tmp_path, ("cases", "P-1"), NOW)
        connection.execute(insert(subject).values(**row._mapping))
    await pass_once(store, tmp_path, monkeypatch)
    with store.read() as connection:
        assert connection.execute(select(subject)).all() == []
    store.close()
