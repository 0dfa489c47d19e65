"""Between a query and its share much may happen: no share leaves unpaid, twice, or under another name."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from elsewhere.agreement.studies import HeldTable
from elsewhere.errors import LogUnavailable
from elsewhere.research.errors import ChargeTooSmall
from elsewhere.research.query import query_id
from elsewhere.research.question import Question
from elsewhere.securesum.accounting import LEAST_NRHO
from node.store.writer import Writer
from tests.unit.node.study_world import NAMES, Clock, Counts, World, make_world, research, signed
from tests.unit.node.test_studies import charges, entries, refused


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.stop()


async def test_a_ledger_that_was_overtaken_takes_part_in_nothing(world: World) -> None:
    world.agencies["social"].is_overtaken = True

    assert await refused(world.prepare(signed(world.query()), ["social"])) == "refused.ledger"
    await world.prepare(signed(world.query()), ["police"])


async def test_a_query_that_costs_next_to_nothing_is_refused_before_anything_is_done(world: World) -> None:
    sigma = (2 * 2 * 16 / (2 * 1e-9 * LEAST_NRHO)) ** 0.5  # of a query that costs just the least

    for factor, is_taken in ((0.99, True), (1.01, False), (1000.0, False)):
        envelope = signed(world.query(sigma=factor * sigma))
        if is_taken:
            assert await world.prepare(envelope, ["social"])
            continue
        with pytest.raises(ChargeTooSmall, match=r"rho 0\.0001 at least, which is the floor"):
            await world.prepare(envelope, ["social"])


async def test_a_researcher_asks_so_often_in_an_hour_and_no_oftener(world: World) -> None:
    social = world.agencies["social"]
    social.per_hour = 3
    for _ in range(3):
        await world.prepare(signed(world.query()), ["social"])

    assert await refused(world.prepare(signed(world.query()), ["social"])) == "refused.busy"
    assert await world.prepare(signed(world.query()), ["police"]), "each node counts for itself"
    world.clock.now += timedelta(minutes=20)
    assert await world.prepare(signed(world.query()), ["social"])
    assert await refused(world.prepare(signed(world.query()), ["social"])) == "refused.busy"
    world.clock.now -= timedelta(minutes=40)
    assert await refused(world.prepare(signed(world.query()), ["social"])) == "refused.busy"
    world.clock.now += timedelta(minutes=20)
    assert await world.prepare(signed(world.query()), ["social"]), "a clock set back takes no room"


async def test_a_clock_that_is_ahead_takes_part_in_nothing(world: World) -> None:
    """Whatever was spent a period ago would be given back; but every query has run out by then."""
    social, envelope = world.agencies["social"], signed(world.query())
    prepared = await world.prepare(envelope)
    social.clock = Clock(world.clock.now + timedelta(days=100))
    social.stop()

    assert await refused(world.prepare(signed(world.query()), ["social"])) == "refused.expired"
    assert await refused(world.commit("social", envelope, prepared)) == "refused.expired"
    assert charges(world, "social") == []


async def test_a_query_for_a_clock_that_is_ahead_is_refused_by_all_others(world: World) -> None:
    query = world.query(expires_utc=world.clock.now + timedelta(days=100, minutes=30))
    social = world.agencies["social"]
    social.clock = Clock(world.clock.now + timedelta(days=100))
    social.stop()

    assert await world.prepare(signed(query), ["social"])
    for name in ("hospital", "police", "schools"):
        assert await refused(world.prepare(signed(query), [name])) == "refused.expired"


@dataclass
class Slow(Counts):
    """Tables whose counting a test holds."""

    has_begun: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)

    def vector(self, question: Question) -> list[int]:
        """Count once the test lets it."""
        self.has_begun.set()
        assert self.may_end.wait(30)
        return super().vector(question)


async def test_a_ledger_that_is_overtaken_while_rows_are_counted_gives_no_share(world: World) -> None:
    tables = Slow()
    world.agencies["social"].tables = tables
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)

    answer = asyncio.create_task(world.commit("social", envelope, prepared))
    assert await asyncio.to_thread(tables.has_begun.wait, 30)
    world.agencies["social"].is_overtaken = True
    tables.may_end.set()

    assert await refused(answer) == "refused.ledger"
    assert (charges(world, "social"), entries(world, "social")) == ([], 0)


def close(world: World) -> None:
    """The stewards close the project."""
    world.restate(state="closed")


def strike_off(world: World) -> None:
    """They take its researcher out."""
    world.restate(people=("ben",))


def take_the_table_away(world: World) -> None:
    """They agree that another agency holds the table."""
    tables = (HeldTable("referral", ("schools",)), HeldTable("contact", ("social",)))
    world.adopt(replace(research(), tables=tables))


def run_out(world: World) -> None:
    """The query runs out."""
    world.clock.now += timedelta(minutes=31)


def decline(world: World) -> None:
    """The agency takes no part any more."""
    world.agencies["social"].declines.append("early-help")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (close, "refused.agreement"),
        (strike_off, "refused.researcher"),
        (take_the_table_away, "refused.agreement"),
        (run_out, "refused.expired"),
        (decline, "refused.local"),
    ],
)
async def test_what_may_no_longer_be_asked_once_rows_are_counted_gives_no_share(
    world: World, change: Callable[[World], None], code: str
) -> None:
    tables = Slow()
    world.agencies["social"].tables = tables
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)

    answer = asyncio.create_task(world.commit("social", envelope, prepared))
    assert await asyncio.to_thread(tables.has_begun.wait, 30)
    change(world)
    tables.may_end.set()

    assert await refused(answer) == code
    assert (charges(world, "social"), entries(world, "social")) == ([], 0)


async def test_another_roster_while_one_is_answered_is_refused(world: World) -> None:
    tables = Slow()
    world.agencies["social"].tables = tables
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)

    answer = asyncio.create_task(world.commit("social", envelope, prepared))
    assert await asyncio.to_thread(tables.has_begun.wait, 30)
    fewer = {name: prepared[name] for name in NAMES if name != "hospital"}
    second = await refused(world.commit("social", envelope, fewer))
    again = asyncio.create_task(world.commit("social", envelope, prepared))
    tables.may_end.set()

    assert second == "refused.second_roster"
    assert await answer == await again
    assert len(charges(world, "social")) == 1


@pytest.mark.parametrize("error", [LogUnavailable("x"), OperationalError("x", {}, Exception())])
async def test_a_store_that_takes_nothing_lets_nothing_leave(
    world: World, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)

    async def fails(writer: Writer, change: Any) -> NoReturn:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(Writer, "run", fails)
        assert await refused(world.commit("social", envelope, prepared)) == "refused.store"
    assert charges(world, "social") == []
    await world.commit("social", envelope, prepared)  # once there is room again
    assert len(charges(world, "social")) == entries(world, "social") == 1


async def test_a_charge_that_another_process_made_first_is_not_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)

    async def taken(writer: Writer, change: Any) -> NoReturn:
        raise IntegrityError("x", {}, Exception())

    monkeypatch.setattr(Writer, "run", taken)

    assert await refused(world.commit("social", envelope, prepared)) == "refused.replay"


async def test_a_query_under_another_name_is_refused(world: World) -> None:
    envelope, other = signed(world.query()), signed(world.query())
    studies = world.agencies["social"].studies
    prepared = await world.prepare(envelope)
    prepares = [one.prepare for one in prepared.values()]

    assert await refused(studies.prepare(query_id(other), envelope)) == "refused.replay"
    assert await refused(studies.prepare(bytes(32), envelope)) == "refused.replay"
    assert await refused(studies.commit(query_id(other), envelope, prepares, {})) == "refused.replay"
    assert charges(world, "social") == []


async def test_who_takes_no_part_in_a_project_is_not_asked_into_it(world: World) -> None:
    world.restate(participants=("police", "schools", "social"))
    envelope = signed(world.query())

    assert await refused(world.prepare(envelope, ["hospital"])) == "refused.member"
    await world.prepare(envelope, ["police", "schools", "social"])
