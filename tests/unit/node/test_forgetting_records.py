"""A running node takes records out on their day, by itself, and goes on after a store that failed."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from node.asking.history import History
from node.caseload import index
from node.caseload.load import load_file
from node.caseload.mapping import Keep
from node.forgetting import Forgetting
from node.keys.vault import Vault
from node.store.engine import Store, open_store
from node.store.writer import Writer
from tests.caseload import ANN, BOB, NOW, job, mapping, write_csv

PAST = ANN | {"status": "closed", "seen": "01/03/2026"}
KEPT = mapping().model_copy(update={"keep": Keep(days_after_contact=5)})


async def in_force(
    folder: Path, patch: pytest.MonkeyPatch, turns: Sequence[Callable[[Store], datetime.timedelta]]
) -> list[int]:
    """Count the records in force after each of a running node's passes.

    Args:
        turns: what happens after each, and how much later the next one is.
    """
    store = open_store(f"sqlite:///{folder / 'store.sqlite'}")
    load_file(write_csv(folder / "a.csv", [PAST, BOB]), KEPT, job(store))
    writer, now, seen, rest = Writer(store), [NOW], list[int](), iter(turns)

    async def sleep(_seconds: float) -> None:
        with store.read() as conn:
            seen.append(index.record_count(conn))
        if len(seen) > len(turns):
            raise asyncio.CancelledError
        now[0] += next(rest)(store)

    patch.setattr("node.forgetting.asyncio.sleep", sleep)
    history = History(Vault(bytes(32)), Random(1).randbytes)
    with pytest.raises(asyncio.CancelledError):
        await Forgetting(folder, store, writer, history, lambda name: True, lambda: now[0]).run()
    patch.undo()
    writer.close()
    store.close()
    return seen


async def test_records_leave_on_their_day_without_a_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = datetime.timedelta(days=1)
    assert await in_force(tmp_path, monkeypatch, [lambda _: day] * 4) == [2, 2, 2, 2, 1]


async def test_a_load_that_began_before_midnight_brings_nobody_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought = list[int]()

    def load(store: Store) -> datetime.timedelta:
        """Finish a load of the day before."""
        load_file(tmp_path / "a.csv", KEPT, job(store, now=NOW + datetime.timedelta(days=3)))
        with store.read() as conn:
            brought.append(index.record_count(conn))
        return datetime.timedelta(minutes=1)

    turns = [lambda _: datetime.timedelta(days=4), load]
    assert await in_force(tmp_path, monkeypatch, turns) == [2, 1, 1]
    assert brought == [2]
