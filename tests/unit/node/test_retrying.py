"""Who waits is asked again by one process at a time, and by the next one if that is killed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import insert, select

from elsewhere.clock import to_ms
from elsewhere.matchkeys import version
from node.asking.retrying import CLAIMED_FOR, Again, Retrier, RetrierParts
from node.store.exchange import waiting
from tests.unit.node.exchange_world import NOW, Agency, make_agencies

pytestmark = pytest.mark.usefixtures("each_engine")

ROWS = 12


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Agency, Agency]]:
    first = make_agencies(tmp_path)["police"]
    first.start()
    second = first.beside("second")
    rows = [
        {
            "lookup_id": f"{number:032x}",
            "custodian": "schools",
            "custodian_lookup_id": bytes(16),
            "next_ms": to_ms(NOW),
            "until_ms": to_ms(NOW + timedelta(hours=4)),
            "attempts": 0,
        }
        for number in range(ROWS)
    ]
    with first.store.write() as connection:
        connection.execute(insert(waiting), rows)
    yield first, second
    second.stop()
    first.stop()


def retrier(agency: Agency) -> Retrier:
    """A retrier whose questions all open, to whatever they were."""
    opening = SimpleNamespace(secrets=SimpleNamespace(key_version=version()))
    history = cast("Any", SimpleNamespace(opening=lambda connection, lookup_id: opening))
    pause = timedelta(seconds=30)
    return Retrier(RetrierParts(agency.trust, agency.store, agency.writer, history, agency.clock, pause))


async def test_two_processes_ask_each_that_is_due_once(both: tuple[Agency, Agency]) -> None:
    asked = 0
    met = asyncio.Barrier(len(both))

    def asking() -> Any:
        has_begun = False

        async def again(what: Any, member: Any, lookup_id: bytes) -> Any:
            nonlocal asked, has_begun
            asked += 1
            if not has_begun:  # neither goes on before the other has begun, too
                has_begun = True
                await met.wait()
            return SimpleNamespace(receipt=b"")

        return again

    done = await asyncio.gather(*(retrier(agency).work_off(asking()) for agency in both))

    assert sum(done) == asked == ROWS
    assert all(done), "both took part"
    with both[0].store.read() as connection:
        assert {row.attempts for row in connection.execute(select(waiting))} == {1}


async def test_what_a_killed_process_had_begun_is_asked_again_by_another_after_its_claim(
    both: tuple[Agency, Agency],
) -> None:
    begun = asyncio.Event()

    async def hang(what: Any, member: Any, lookup_id: bytes) -> Any:
        begun.set()
        await asyncio.Event().wait()

    async def refuse(what: Any, member: Any, lookup_id: bytes) -> Any:
        return SimpleNamespace(receipt=b"")

    first, second = both
    killed = asyncio.create_task(retrier(first).work_off(cast("Again", hang)))
    await asyncio.wait_for(begun.wait(), 20)
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)

    assert await retrier(second).work_off(refuse) == ROWS - 1
    second.clock.now += CLAIMED_FOR
    with second.store.read() as connection:
        untried = [row.attempts for row in connection.execute(select(waiting)) if row.attempts == 0]
    assert untried == [0]
    assert await retrier(second).work_off(refuse) == ROWS
