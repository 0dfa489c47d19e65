"""Nodes vouch for each other's roster through a real gateway; without that nobody is asked after a week."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from elsewhere.asking import State
from elsewhere.freshness import HARD, RosterStale
from tests.federation import PATIENCE_S, ZOE, Federation, ask_about, small_federation

# Keys, certificates and all else that a node renews outlast the week.
SLOW = {"keys": {"epoch_days": 300, "sealing_days": 300}}


def pass_time(made: Federation, by: timedelta) -> None:
    for clock in made.clocks.values():
        clock.by += by


async def until_fresh(made: Federation) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            nodes = made.nodes.values()
            ages = [made.clocks[n.config.agency]() - n.trust.vouched.newest(n.trust.roster) for n in nodes]
            if max(ages) < timedelta(hours=1):
                return
            await asyncio.sleep(0.05)


async def test_after_a_week_in_which_all_ran_on_everybody_is_answered(tmp_path: Path) -> None:
    async with small_federation(tmp_path, **SLOW) as made:
        pass_time(made, HARD + timedelta(days=1))
        await until_fresh(made)
        found = await made.ask("social", ask_about(ZOE))
        assert found.answers["police"].state is State.KNOWN_CURRENT


async def test_who_has_heard_from_nobody_for_a_week_asks_and_answers_nobody_until_it_does(
    tmp_path: Path,
) -> None:
    async with small_federation(tmp_path, **SLOW) as made:
        await until_fresh(made)
        await made.kill_gateway()
        pass_time(made, HARD + timedelta(minutes=1))
        with pytest.raises(RosterStale):
            async for _ in made.nodes["social"].searcher.ask(ask_about(ZOE)):
                pass
        assert not made.nodes["police"].status().is_ready
        await made.start_gateway()
        await until_fresh(made)
        await made.settle()
        found = await made.ask("social", ask_about(ZOE))
        assert found.answers["police"].state is State.KNOWN_CURRENT
