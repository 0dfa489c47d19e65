"""What a node really adds: every share is taken out of its masks and its noise compared with what was agreed.

Limits as in tests.property.test_noise_statistics: fewer than one in 10^9 correct runs leave them.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from elsewhere.research.query import Query, query_id, terms_of
from elsewhere.research.question import Question, ask
from elsewhere.securesum.masks import mask
from elsewhere.securesum.noise import LATTICE
from elsewhere.securesum.rounds import fix_roster
from elsewhere.securesum.share import open_share
from tests.property.test_noise_statistics import check_apart, check_middle, check_scale, check_shape
from tests.unit.node.study_world import NAMES, World, make_world, signed

WIDE = ask("referral", 2025, {}, ["source", "need", "closure"])
COUNT, SIGMA = 5, 12.0
CLAMP = 4  # of referrals: rows of one child and year that count


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.stop()


async def added_by(world: World, query: Query, names: tuple[str, ...] = NAMES) -> dict[str, list[int]]:
    """What each of those who take part added to its counts, on the lattice."""
    for agency in world.agencies.values():
        agency.tables.numbers = [COUNT] * query.width
    envelope = signed(query)
    prepared = await world.prepare(envelope, names)
    terms = terms_of(query, query_id(envelope), world.agreement, world.roster)
    fixed = fix_roster(terms, [one.prepare for one in prepared.values()], world.roster)
    held = {name: world.agencies[name].studies._open[terms.qid].preparing for name in names}
    found = {}
    for name in names:
        seals = {other: one.seals[name] for other, one in prepared.items() if name in one.seals}
        keys = held[name].mask_keys(fixed, seals, [world.agencies[name].sealing])
        share = open_share(
            await world.commit(name, envelope, prepared), world.roster.active(name).signing_key
        )
        hidden, masks = array("Q", share.body), array("Q", mask([0] * query.width, name, keys))
        counts = COUNT if name in ("social", "schools") else 0
        found[name] = [
            (one - other + 2**63) % 2**64 - 2**63 - LATTICE * counts
            for one, other in zip(hidden, masks, strict=True)
        ]
    return found


def check(draws: list[int], scale: float) -> None:
    """Of this scale, around nothing, in this shape, and no two of them alike."""
    for one in (check_scale, check_middle, check_shape, check_apart):
        one(draws, LATTICE * scale)


async def test_every_node_adds_its_part_of_the_noise_whether_it_holds_rows_or_not(world: World) -> None:
    query = world.query(WIDE, sigma=SIGMA)
    assert query.colluding == 1

    found = await added_by(world, query)

    # Any three of the four come to sigma: one may collude.
    for draws in found.values():
        check(draws, SIGMA / math.sqrt(3))
    total = [sum(numbers) for numbers in zip(*found.values(), strict=True)]
    check(total, SIGMA * math.sqrt(4 / 3))


async def test_fewer_who_take_part_add_more_each(world: World) -> None:
    query = world.query(WIDE, sigma=SIGMA)

    for draws in (await added_by(world, query, ("police", "schools", "social"))).values():
        check(draws, SIGMA / math.sqrt(2))


async def test_two_nodes_of_one_operator_count_as_one_also_in_the_noise(tmp_path: Path) -> None:
    world = make_world(tmp_path, operators={"hospital": "shared", "police": "shared"})
    try:
        query = world.query(WIDE, sigma=SIGMA)
        for draws in (await added_by(world, query)).values():
            check(draws, SIGMA / math.sqrt(2))
    finally:
        world.stop()


async def test_a_share_alone_is_never_worth_more_than_the_floor(world: World) -> None:
    floor = 0.02
    world.restate(floor_nrho=round(floor * 1e9))
    query = world.query(WIDE, sigma=SIGMA)
    alone = CLAMP / math.sqrt(2 * floor)
    assert alone > SIGMA / math.sqrt(3)

    for draws in (await added_by(world, query)).values():
        check(draws, alone)


def test_the_question_is_wide_enough_for_the_checks() -> None:
    assert isinstance(WIDE, Question)
    assert WIDE.width >= 2_000
