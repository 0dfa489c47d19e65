"""A running node takes records out on their day, by itself, and goes on after a store that failed."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path
from random import Random

import pytest

from node.asking.history import History
from node.caseload import index
from node.caseload.load import load_file
from node.caseload.mapping import Keep
from node.forgetting import forget_again_and_again
from node.store.engine import open_store
from node.store.writer import Writer
from node.vault import Vault
from tests.caseload import ANN, BOB, NOW, job, mapping, write_csv


async def test_records_leave_on_their_day_without_a_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    path = write_csv(tmp_path / "a.csv", [ANN | {"status": "closed", "seen": "01/03/2026"}, BOB])
    load_file(path, mapping().model_copy(update={"keep": Keep(days_after_contact=5)}), job(store))
    writer, now, slept = Writer(store), [NOW], list[int]()

    async def sleep(_seconds: float) -> None:
        with store.read() as conn:
            slept.append(index.record_count(conn))
        now[0] += datetime.timedelta(days=1)
        if len(slept) == 5:
            raise asyncio.CancelledError

    monkeypatch.setattr("node.forgetting.asyncio.sleep", sleep)
    history = History(Vault(bytes(32)), Random(1).randbytes)
    with pytest.raises(asyncio.CancelledError):
        await forget_again_and_again(tmp_path, store, writer, history, lambda: now[0])
    monkeypatch.undo()
    writer.close()
    store.close()

    assert slept == [2, 2, 2, 2, 1]
