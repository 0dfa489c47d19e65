"""A total of a table that too few hold is nearly one agency's own number: no node takes part in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from elsewhere.agreement.studies import HeldTable
from elsewhere.research.question import ask
from tests.unit.node.study_world import NAMES, World, make_world, signed
from tests.unit.node.test_studies import charges, refused

HELD_ALONE = HeldTable("contact", ("social",), min_holders=1)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.stop()


@pytest.mark.parametrize(
    "holders",
    [
        ("social",),
        ("social", "schools"),  # one may collude: then the other's number would be left
    ],
)
async def test_a_table_that_too_few_hold_is_refused_before_anything_is_charged(
    world: World, holders: tuple[str, ...]
) -> None:
    world.restate(held=(HeldTable("referral", holders), HELD_ALONE))
    envelope = signed(world.query())

    for name in NAMES:
        assert await refused(world.prepare(envelope, [name])) == "refused.holders"
        assert charges(world, name) == []


async def test_a_roster_that_leaves_holders_out_is_refused_before_anything_is_charged(world: World) -> None:
    world.restate(held=(HeldTable("referral", ("police", "social", "schools")), HELD_ALONE))
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)

    fewer = {name: prepared[name] for name in NAMES if name != "schools"}

    for name in fewer:
        assert await refused(world.commit(name, envelope, fewer)) == "refused.holders"
        assert charges(world, name) == []
    assert await world.commit("social", envelope, prepared)


async def test_a_table_of_one_agency_is_answered_only_where_the_agreement_says_so(world: World) -> None:
    contact = ask("contact", 2025, {}, [])
    alone = (HeldTable("referral", ("social", "schools")), HELD_ALONE)
    for tables, is_answered in ((alone, True), ((alone[0], replace(HELD_ALONE, min_holders=0)), False)):
        world.restate(held=tables)
        envelope = signed(world.query(contact, sigma=100))
        if is_answered:
            assert await world.prepare(envelope)
        else:
            assert await refused(world.prepare(envelope)) == "refused.holders"


async def test_holders_of_one_operator_count_as_one(tmp_path: Path) -> None:
    world = make_world(tmp_path, operators=dict.fromkeys(("schools", "social"), "one county"))
    try:
        world.restate(held=(HeldTable("referral", ("schools", "social"), min_holders=2), HELD_ALONE))

        assert await refused(world.prepare(signed(world.query()), ["social"])) == "refused.holders"
    finally:
        world.stop()
