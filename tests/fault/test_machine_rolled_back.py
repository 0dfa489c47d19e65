"""A node whose whole machine was rolled back: no file of its own can know, and gateways can show it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from elsewhere.asking import State
from node.catalogues import publisher
from tests.federation import EVA, KAI, PATIENCE_S, ZOE, Federation, ask_about, federation
from tests.rotating import SETTINGS, epochs, hasten, is_held, until


async def find_eva(made: Federation) -> None:
    """Ask until she is found."""
    async with asyncio.timeout(PATIENCE_S):
        while (await made.ask("social", ask_about(EVA))).state("police") is not State.KNOWN_CURRENT:
            pass


async def rolled_back(made: Federation) -> None:
    """Load Eva, have her found, and put the police's whole folder back to before."""
    police, copy = made.folder / "police", made.folder / "snapshot"
    for agency, rows in (("social", []), ("police", [ZOE, KAI])):
        made.join(agency, rows, **SETTINGS, catalogue={"tick_s": 0.5})
    await made.start("social", "police")
    await made.stop("police")
    shutil.copytree(police, copy, ignore=shutil.ignore_patterns("*.sock"))
    await made.start("police")
    made.load("police", [ZOE, KAI, EVA])
    await find_eva(made)
    await made.stop("police")
    shutil.rmtree(police)
    shutil.copytree(copy, police)
    await made.begin("police")
    hasten(made.nodes["police"])


async def test_nothing_is_said_of_who_was_loaded_since_until_all_is_loaded_again(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        await rolled_back(made)
        node = made.nodes["police"]
        await until(lambda: node.status().is_ready)
        while epochs(node):
            seen = await made.ask("social", ask_about(EVA))
            assert seen.state("police") is not State.NOTHING_RETURNED

        await made.stop("police")
        await made.begin("police")
        node = made.nodes["police"]
        hasten(node)
        assert not epochs(node), "a restart forgets nothing"

        made.load("police", [ZOE, KAI, EVA])
        await until(lambda: epochs(node) == {2})
        await until(lambda: is_held(made, "social", "police", 2))
        await find_eva(made)


async def test_a_node_that_does_not_look_at_what_gateways_hold_would_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_blind(*_: object) -> bool:
        return False

    monkeypatch.setattr(publisher, "shows_another", is_blind)
    async with federation(tmp_path) as made:
        await rolled_back(made)
        node = made.nodes["police"]
        await until(lambda: bool(node.publisher._gateways[0].hints))
        await node.publisher.send()
        assert epochs(node) == {1}
