"""Who waits at a desk for whom: a client that stops reading holds nobody up, and the queue has an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from elsewhere.asking import Started, State
from elsewhere.errors import AskInvalid, DeskBusy
from node.asking.searcher import WAITING_PER_SLOT
from tests.federation import ZOE, Federation, ask_about, federation

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Federation]:
    """Social care asks one question at a time; the police know Zofia."""
    folder: Path = tmp_path_factory.mktemp("queue")
    async with federation(folder) as made:
        made.join("social", [], lookup={"in_flight": 1, "deadline_ms": 20_000})
        made.join("police", [ZOE])
        await made.start("social", "police")
        yield made


async def test_a_client_that_stops_reading_keeps_nobody_from_asking(made: Federation) -> None:
    stalled = made.nodes["social"].searcher.ask(ask_about(ZOE))
    assert isinstance(await anext(stalled), Started)

    async with asyncio.timeout(20):
        found = await made.ask("social", ask_about(ZOE))

    assert found.state("police") is State.KNOWN_CURRENT
    await stalled.aclose()


async def test_a_client_that_hangs_up_gives_its_slot_back_once(made: Federation) -> None:
    searcher = made.nodes["social"].searcher
    gone = searcher.ask(ask_about(ZOE))
    await anext(gone)
    await gone.aclose()

    await searcher.drain()
    await asyncio.sleep(0)  # the callbacks of what has just ended

    assert searcher._slots._value == 1


async def test_a_question_that_is_refused_gives_its_slot_back(made: Federation) -> None:
    searcher = made.nodes["social"].searcher
    for _ in range(3):
        with pytest.raises(AskInvalid):
            await made.ask("social", ask_about(ZOE, custodians=["nobody"]))

    assert searcher._slots._value == 1


async def test_beyond_a_full_queue_a_question_is_refused_at_once(made: Federation) -> None:
    searcher = made.nodes["social"].searcher
    await searcher._slots.acquire()
    waiting = [asyncio.ensure_future(anext(searcher.ask(ask_about(ZOE)))) for _ in range(WAITING_PER_SLOT)]
    while searcher._waiting < WAITING_PER_SLOT:
        await asyncio.sleep(0)

    with pytest.raises(DeskBusy):
        await made.ask("social", ask_about(ZOE))

    # Those who give up make room for others.
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    searcher._slots.release()
    found = await made.ask("social", ask_about(ZOE))
    assert found.state("police") is State.KNOWN_CURRENT
    assert searcher._waiting == 0
