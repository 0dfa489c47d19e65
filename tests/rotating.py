"""A federation whose time a test turns, and in which one agency's keys change."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from node.keys.orders import Wish, order_epochs
from node.program import Node
from tests.federation import KAI, PATIENCE_S, ZOE, Federation, Shifted, ask_about, federation

STEP = timedelta(minutes=4)  # less than clocks may differ by, for what is under way
STEPS = 20
OVERLAP = timedelta(minutes=10)
SETTINGS: Mapping[str, Any] = {
    "lookup": {"deadline_ms": 20_000, "others_per_s": 1000, "others_burst": 1000},
    "keys": {"announce_minutes": 5},
}


@asynccontextmanager
async def rotating_federation(folder: Path) -> AsyncIterator[Federation]:
    """Social care asks; the police, whose keys change, know Zofia and Kai; the hospital knows Zofia."""
    async with federation(folder) as made:
        for agency, rows in (("social", []), ("police", [ZOE, KAI]), ("hospital", [ZOE])):
            made.join(agency, rows, **SETTINGS, catalogue={"tick_s": 0.5 if agency == "police" else 60.0})
        made.clocks = dict.fromkeys(("social", "police", "hospital"), Shifted())
        await made.start("social", "police", "hospital")
        for node in made.nodes.values():
            hasten(node)
        yield made


def hasten(node: Node) -> None:
    """Have a node look at its keys all the time, and not mind that it loads by the real clock."""
    node.rotator.look_every_s = 0.05
    guard = node.custodian.guard
    patient = replace(guard.expected, publish_within=timedelta(days=366))
    object.__setattr__(guard, "expected", patient)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.02)


def epochs(node: Node) -> set[int]:
    """The epochs that a node states."""
    return {epoch for _, epoch in node.keys.view.names}


def order(made: Federation, agency: str, overlap: timedelta = OVERLAP) -> None:
    """Order a new epoch, as the command does."""
    node = made.nodes[agency]
    order_epochs(made.folder / agency, node._store, Wish(overlap), made.clocks[agency]())


async def turn(made: Federation, agency: str, is_so: Callable[[], bool]) -> None:
    """Let time pass for everybody, step by step, until something is so."""
    node, clock = made.nodes[agency], made.clocks[agency]
    async with asyncio.timeout(PATIENCE_S):
        for step in itertools.count():
            await asyncio.to_thread(node.rotation.step)
            if is_so():
                return
            if step < STEPS:  # from then on only a busy machine is waited for
                clock.by += STEP
            for other in made.nodes.values():
                other.peers.prune()
            await asyncio.sleep(0.3)


async def rotate(made: Federation, agency: str, overlap: timedelta = OVERLAP) -> int:
    """Change an agency's epoch from the order to the destruction of the one before; gives the new one."""
    node = made.nodes[agency]
    coming = max(epochs(node)) + 1
    order(made, agency, overlap)
    await until(lambda: coming in epochs(node))
    await until(lambda: all(is_held(made, other, agency, coming) for other in made.nodes if other != agency))
    await turn(made, agency, lambda: epochs(node) == {coming})
    return coming


def is_held(made: Federation, holder: str, custodian: str, epoch: int) -> bool:
    """Whether a node holds both catalogues of an epoch."""
    peers = made.nodes[holder].peers
    return all(peers.held(custodian, name, epoch) for name in ("involvement", "protected"))


__all__ = ["KAI", "ZOE", "ask_about"]
