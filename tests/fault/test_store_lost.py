"""A node whose PostgreSQL server crashes and comes back: nothing leaves unlogged, and it resumes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from elsewhere.asking import State
from node.store.exchange import log
from tests.fault.rig import somebody
from tests.federation import PATIENCE_S, ZOE, Federation, federation
from tests.postgres_server import Server
from tests.stores import PLACES

pytestmark = pytest.mark.needs("postgres")


@pytest.fixture
def server() -> Iterator[Server]:
    """A server for the police alone."""
    made = Server()
    made.start()
    yield made
    made.stop("immediate")
    made.remove()


@pytest_asyncio.fixture
async def made(server: Server, tmp_path: Path) -> AsyncIterator[Federation]:
    """Social care on SQLite asks the police on the server; nobody is asked again in the background."""
    async with federation(tmp_path) as found:
        settings: dict[str, Any] = {"lookup": {"retry_s": 900.0, "deadline_ms": 5_000}}
        found.join("social", **settings)
        PLACES.server = server
        try:
            found.join("police", [ZOE], **settings)
        finally:
            PLACES.server = None
        await found.start("social", "police")
        yield found


def answered(made: Federation) -> int:
    """How many answers the police have logged."""
    with made.nodes["police"]._store.read() as conn:
        return conn.execute(select(func.count()).where(log.c.kind == "answered")).scalar_one()


async def test_a_node_answers_nothing_while_its_server_is_gone_and_goes_on_when_it_is_back(
    made: Federation, server: Server
) -> None:
    states: list[State] = []
    ended = asyncio.Event()

    async def ask() -> None:
        while not ended.is_set():
            states.append((await made.ask("social", somebody())).state("police"))

    async def until_known() -> None:
        """Wait for three answers more."""
        wanted = states.count(State.KNOWN_CURRENT) + 3
        async with asyncio.timeout(PATIENCE_S):
            while states.count(State.KNOWN_CURRENT) < wanted:
                await asyncio.sleep(0.01)

    asking = [asyncio.create_task(ask()) for _ in range(3)]
    await until_known()
    await asyncio.to_thread(server.stop, "immediate")
    before = len(states)
    async with asyncio.timeout(PATIENCE_S):
        while len(states) < before + 9:
            await asyncio.sleep(0.01)
    # Three may have been answered before the server went; of the others none was.
    assert states[before:].count(State.KNOWN_CURRENT) <= 3
    await asyncio.to_thread(server.start)
    await until_known()
    ended.set()
    await asyncio.gather(*asking)

    assert set(states) <= {State.KNOWN_CURRENT, State.ERROR, State.TIMED_OUT, State.UNREACHABLE}
    assert answered(made) >= states.count(State.KNOWN_CURRENT)
