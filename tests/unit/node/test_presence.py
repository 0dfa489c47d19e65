"""Which processes there are, which of them leads, and what is left of one that is gone for good."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from elsewhere.asking import ProcessStatus
from node.processes import presence as module
from node.processes.presence import PRESENT_S, Condition, Presence, forget_processes, processes
from node.store.processes import process
from tests.unit.node.exchange_world import Agency, make_agencies


class At:
    """A clock that says what it is told."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def police(tmp_path: Path) -> Iterator[Agency]:
    agency = make_agencies(tmp_path)["police"]
    agency.start("a")
    yield agency
    agency.stop()


async def say(police: Agency, name: str, condition: Condition, now_s: At | None = None) -> Presence:
    """One process says how it does."""
    made = Presence(name, police.writer, police.clock, lambda: condition, now_s or At())
    running = asyncio.create_task(made.run())
    async with asyncio.timeout(20):
        while (name, True, condition.is_linked) not in _how(police):
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return made


def _how(police: Agency) -> set[tuple[str, bool, bool]]:
    return {(found.name, found.is_running, found.is_linked) for found in seen(police)}


def seen(police: Agency) -> tuple[ProcessStatus, ...]:
    with police.store.read() as connection:
        return processes(connection, police.clock)


async def test_each_process_shows_with_how_it_does_and_one_of_them_leads(police: Agency) -> None:
    await say(police, "b", Condition(is_linked=False, is_ready=False))
    await say(police, "a", Condition(is_linked=True, is_ready=True))

    first, second = seen(police)

    assert (first.name, first.leads, first.is_linked, first.is_ready) == ("a", True, True, True)
    assert (second.name, second.leads, second.is_linked, second.is_ready) == ("b", False, False, False)


async def test_one_that_was_killed_and_one_that_ended_do_not_run_and_a_return_is_seen(police: Agency) -> None:
    ended = await say(police, "ended", Condition(is_linked=True, is_ready=True))
    await say(police, "killed", Condition(is_linked=True, is_ready=True))
    ended.leave()
    assert [found.is_running for found in seen(police)] == [False, True]
    before = police.clock.now

    police.clock.now += timedelta(seconds=PRESENT_S)

    assert not any(found.is_running or found.is_linked or found.is_ready for found in seen(police))
    assert {found.seen_utc for found in seen(police)} == {before}
    await say(police, "ended", Condition(is_linked=True, is_ready=True))
    assert [found.is_running for found in seen(police)] == [True, False]


async def test_who_has_lost_every_gateway_yields_to_a_process_that_has_one(police: Agency) -> None:
    now_s = At()
    alone = await say(police, "a", Condition(is_linked=False, is_ready=False), now_s)

    def cut_off() -> bool:
        with police.store.read() as connection:
            return alone.is_cut_off(connection)

    now_s.now_s = PRESENT_S
    assert not cut_off(), "nobody is better placed"
    await say(police, "b", Condition(is_linked=False, is_ready=False))
    assert not cut_off()
    await say(police, "b", Condition(is_linked=True, is_ready=False))
    assert cut_off()
    now_s.now_s = PRESENT_S - 1
    assert not cut_off(), "a gateway that starts again is no reason"
    police.lead._parts = replace(police.lead._parts, lease_s=0.0, yields=lambda connection: True)
    police.lead.look()
    assert police.lead.number == 0
    other = police.beside("b")
    other.lead.look()
    assert other.lead.number == 2
    other.stop()


async def test_a_process_that_is_gone_for_a_day_is_forgotten(police: Agency) -> None:
    await say(police, "gone", Condition(is_linked=True, is_ready=True))
    police.clock.now += module.FORGOTTEN_AFTER + timedelta(seconds=1)
    (await say(police, "resting", Condition(is_linked=True, is_ready=True))).leave()
    with police.store.write() as connection:
        assert forget_processes(connection, police.clock) == {"resting"}
    with police.store.read() as connection:
        assert list(connection.execute(select(process.c.name)).scalars()) == ["resting"]
