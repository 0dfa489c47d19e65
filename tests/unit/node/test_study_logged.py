"""The budget says what the log says, whatever became of its tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select, update

from elsewhere.database.engine import open_database
from elsewhere.database.revisions import revise
from elsewhere.research.query import query_id
from node.ledger.tree import begin_anew
from node.store.exchange import log
from node.store.schema import SCHEMA
from node.store.studies import charge, settled
from node.studies import budget
from node.studies.budget import Spender
from tests.stores import PLACES
from tests.unit.node.study_world import World, make_world, signed
from tests.unit.node.test_studies import COST, charges, refused

Change = Callable[[Connection], Any]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.stop()


async def answered(world: World) -> bytes:
    """Have one query answered by all; gives its envelope."""
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)
    await world.commit("social", envelope, prepared)
    return envelope


def after_a_restart(world: World, change: Change) -> None:
    """Change an agency's store behind its back, and start it again."""
    social = world.agencies["social"]
    with social.store.write() as connection:
        change(connection)
    social.stop()
    social.start()


LOSSES: dict[str, Change] = {
    "gone": lambda connection: connection.execute(delete(charge)),
    "less": lambda connection: connection.execute(update(charge).values(nrho=1)),
    "another's": lambda connection: connection.execute(update(charge).values(researcher="ben")),
}


@pytest.mark.parametrize("how", LOSSES)
async def test_a_charge_that_is_not_as_logged_is_put_back(world: World, how: str) -> None:
    envelope = await answered(world)
    with world.agencies["social"].store.read() as connection:
        before = connection.execute(select(charge)).one()._asdict()

    after_a_restart(world, LOSSES[how])

    assert await refused(world.prepare(envelope, ["social"])) == "refused.replay", "a second share"
    with world.agencies["social"].store.read() as connection:
        after = connection.execute(select(charge)).one()._asdict()
    for name in ("qid", "rh", "project", "researcher", "nrho", "time_ms"):
        assert after[name] == before[name]
    dear = signed(world.query(sigma=5.8))  # 0.95 of 1, of which COST is spent
    assert await refused(world.prepare(dear, ["social"])) == "refused.budget"


async def test_an_upgrade_after_a_downgrade_forgets_no_charge(world: World) -> None:
    envelope = await answered(world)
    social = world.agencies["social"]
    social.stop()

    with closing(open_database(PLACES.url(social.folder))) as store:
        revise(store, SCHEMA, "0015")
        revise(store, SCHEMA, SCHEMA.head)

    social.start()
    assert charges(world, "social") == []
    assert await refused(world.prepare(envelope, ["social"])) == "refused.replay"
    assert charges(world, "social") == [(query_id(envelope), COST)]


async def test_what_people_settled_is_put_back_too(world: World) -> None:
    social, ana = world.agencies["social"], Spender("early-help", "ana")
    with social.store.write() as connection:
        begin_anew(connection, world.clock())
        spent = [(ana, 450_000_000), (ana, 450_000_000)]
        assert budget.settle(connection, spent, "as the police say", world.clock(), bytes)
    before = charges(world, "social")

    def lose(connection: Connection) -> None:
        connection.execute(delete(charge))
        connection.execute(delete(settled))

    after_a_restart(world, lose)

    assert await refused(world.prepare(signed(world.query()), ["social"])) == "refused.budget"
    assert sorted(charges(world, "social")) == sorted(before)
    assert [nrho for _, nrho in before] == [450_000_000] * 2


async def test_an_entry_that_was_altered_charges_nothing_any_more(world: World) -> None:
    await answered(world)

    def alter(connection: Connection) -> None:
        row = connection.execute(select(log).where(log.c.kind == "study")).one()
        body = json.dumps(json.loads(row.body) | {"nrho": 1}).encode()
        connection.execute(update(log).where(log.c.seq == row.seq).values(body=body))
        connection.execute(delete(charge))

    after_a_restart(world, alter)

    assert await refused(world.prepare(signed(world.query()), ["social"])) == "refused.ledger"


async def test_what_agrees_is_left_as_it_is(world: World) -> None:
    envelope = await answered(world)
    after_a_restart(world, lambda connection: None)

    await world.prepare(signed(world.query()), ["social"])

    with world.agencies["social"].store.read() as connection:
        kept = budget.read_kept(connection, query_id(envelope))
    assert kept is not None
    assert kept.share is not None
