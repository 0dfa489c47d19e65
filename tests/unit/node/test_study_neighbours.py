"""Two sets of data, one child apart or worlds apart: nothing that a node refuses or sends tells which."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from elsewhere.errors import ElsewhereError
from elsewhere.research.question import Question
from elsewhere.securesum.noise import MOST
from elsewhere.signing import SigningKey
from tests.unit.node.study_world import NAMES, Counts, World, make_world, signed

NEIGHBOURS = {
    "one child apart": ([7, 3], [11, 3]),
    "somebody and nobody": ([1, 0], [0, 0]),
    "nobody and everybody": ([0, 0], [MOST, MOST]),
}


class Unread(Counts):
    """Tables that nobody may look at yet."""

    def vector(self, question: Question) -> list[int]:
        """Fails."""
        raise AssertionError("data were read")


async def outcome(step: Awaitable[Any]) -> str:
    """What whoever asked gets to see, but for bytes that are random in any case."""
    try:
        given = await step
    except ElsewhereError as err:
        return f"{type(err).__name__} {err.code} {err}"
    return f"given {len(given) if isinstance(given, bytes) else sorted(given)}"


async def transcript(world: World) -> list[str]:
    """One of everything: answers, and refusals for every reason that comes up before and after counting."""
    first, dear = signed(world.query()), signed(world.query(sigma=5.0))
    seen = [await outcome(world.prepare(dear, ["social"]))]
    prepared = await world.prepare(first)
    fewer = {name: prepared[name] for name in NAMES if name != "hospital"}
    bare = {**prepared, "police": replace(prepared["police"], seals={"social": b""})}
    two = {name: prepared[name] for name in ("police", "social")}
    seen += [await outcome(world.commit("social", first, shown)) for shown in (bare, two)]
    seen += [await outcome(world.commit("social", first, shown)) for shown in (prepared, prepared, fewer)]
    seen.append(await outcome(world.prepare(first, ["social"])))
    seen.append(await outcome(world.prepare(signed(world.query(holders=1)), ["social"])))
    seen.append(await outcome(world.prepare(signed(world.query(), SigningKey(b"x" * 32)), ["social"])))
    again = [signed(world.query(sigma=8.5)) for _ in range(3)]
    for envelope in again:  # until the budget is spent
        seen.append(await outcome(world.prepare(envelope)))
    world.agencies["social"].declines.append("early-help")
    seen.append(await outcome(world.prepare(signed(world.query()), ["social"])))
    return seen


@pytest.mark.parametrize("pair", NEIGHBOURS.values(), ids=NEIGHBOURS)
async def test_nothing_that_a_node_says_or_refuses_depends_on_its_counts(
    pair: tuple[list[int], list[int]], tmp_path: Path
) -> None:
    seen = []
    for number, counts in enumerate(pair):
        (tmp_path / str(number)).mkdir()
        world = make_world(tmp_path / str(number))
        try:
            world.agencies["social"].tables.numbers = list(counts)
            seen.append(await transcript(world))
        finally:
            world.stop()

    assert seen[0] == seen[1]
    assert len({line.split()[1] for line in seen[0] if not line.startswith("given")}) >= 6


async def test_whether_a_node_takes_part_is_said_before_any_data_are_read(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    try:
        world.agencies["social"].tables = Unread()
        world.agencies["social"].start()

        prepared = await world.prepare(signed(world.query()))

        assert sorted(prepared) == sorted(NAMES)
    finally:
        world.stop()
