"""A node's part in studies: what it refuses and why, and that nothing leaves twice or unpaid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from elsewhere.errors import ElsewhereError
from elsewhere.research.query import query_id
from elsewhere.research.question import ask
from elsewhere.securesum.masks import open_total
from elsewhere.securesum.prepare import open_prepare, sign_prepare
from elsewhere.securesum.share import open_share
from elsewhere.signing import SigningKey
from node.ledger.tree import begin_anew
from node.store.exchange import log
from node.store.studies import charge
from node.studies import budget
from node.studies.answering import AT_ONCE
from node.studies.budget import Spender
from tests.unit.node.study_world import NAMES, World, make_world, signed

COST = 2 * 2 * 16 * 10**9 // (2 * 144) + 2  # K, k, sensitivity squared and sigma of `World.query`, rounded up


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.stop()


async def refused(work: Any) -> str:
    """The code with which a step is refused."""
    with pytest.raises(ElsewhereError) as refusal:
        await work
    return refusal.value.code


def charges(world: World, name: str) -> list[tuple[bytes, int]]:
    """What an agency has charged."""
    with world.agencies[name].store.read() as connection:
        return [(row.qid, row.nrho) for row in connection.execute(select(charge))]


def entries(world: World, name: str) -> int:
    """How many entries of studies an agency's log has."""
    with world.agencies[name].store.read() as connection:
        return int(connection.execute(select(func.count()).where(log.c.kind == "study")).scalar_one())


async def test_the_sum_is_the_holders_counts_and_everybodys_noise(world: World) -> None:
    world.agencies["social"].tables.numbers = [4000, 10]
    world.agencies["police"].tables.numbers = [9_999_999, 9_999_999]  # holds no such table: adds zeros
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)

    shares = [
        open_share(await world.commit(name, envelope, prepared), world.roster.active(name).signing_key)
        for name in NAMES
    ]

    totals = [number / 16 for number in open_total([share.body for share in shares], 2)]
    assert abs(totals[0] - 4007) < 120  # eight deviations
    assert abs(totals[1] - 13) < 120
    assert len({share.rh for share in shares}) == 1


async def test_every_participant_charges_and_logs_once(world: World) -> None:
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)

    for name in NAMES:
        await world.commit(name, envelope, prepared)

    assert {name: charges(world, name) for name in NAMES} == {
        name: [(query_id(envelope), COST)] for name in NAMES
    }
    assert [entries(world, name) for name in NAMES] == [1, 1, 1, 1]


async def test_the_same_roster_again_gets_the_same_bytes_also_after_a_restart(world: World) -> None:
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)
    first = await world.commit("social", envelope, prepared)

    again = await world.commit("social", envelope, prepared)
    world.agencies["social"].stop()
    world.agencies["social"].start()
    later = await world.commit("social", envelope, prepared)

    assert first == again == later
    assert len(charges(world, "social")) == 1


async def test_another_roster_for_an_answered_query_is_refused(world: World) -> None:
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)
    await world.commit("social", envelope, prepared)

    fewer = {name: prepared[name] for name in NAMES if name != "police"}

    assert await refused(world.commit("social", envelope, fewer)) == "refused.second_roster"
    assert len(charges(world, "social")) == 1


async def test_a_node_that_was_started_again_in_between_gives_no_share(world: World) -> None:
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)
    world.agencies["social"].stop()
    world.agencies["social"].start()

    assert await refused(world.commit("social", envelope, prepared)) == "refused.unprepared"
    assert charges(world, "social") == []


async def test_queries_that_are_never_answered_keep_no_room_from_others(world: World) -> None:
    envelopes = [signed(world.query()) for _ in range(AT_ONCE)]
    for envelope in envelopes:
        await world.prepare(envelope, ["social"])

    later = signed(world.query())
    prepared = await world.prepare(later)

    await world.commit("social", later, prepared)
    first = {"social": (await world.prepare(envelopes[0], ["social"]))["social"]}
    assert first["social"].prepare != b""  # forgotten, so it may be prepared anew; no share of it was made


async def test_a_query_is_prepared_once(world: World) -> None:
    envelope = signed(world.query())
    await world.prepare(envelope, ["social"])

    assert await refused(world.prepare(envelope, ["social"])) == "refused.replay"


async def test_an_answered_query_is_not_prepared_again_after_a_restart(world: World) -> None:
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)
    await world.commit("social", envelope, prepared)
    world.agencies["social"].stop()
    world.agencies["social"].start()

    assert await refused(world.prepare(envelope, ["social"])) == "refused.replay"


LIES: dict[str, Any] = {
    "width": 3,
    "clamp": 1,
    "sensitivity_squared": 1,
    "holders": 1,
    "most_agencies": 1,
    "colluding": 2,
    "floor_nrho": 900_000_000,
    "min_roster": 2,
    "participants": ("hospital", "police", "social"),
    "dictionary": "0",
}


@pytest.mark.parametrize("term", LIES)
async def test_a_term_that_is_not_what_was_agreed_is_refused(world: World, term: str) -> None:
    envelope = signed(world.query(**{term: LIES[term]}))

    assert await refused(world.prepare(envelope, ["social"])) == "refused.terms"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"roster": bytes(32)}, "refused.roster_version"),
        ({"agreement": bytes(32)}, "refused.agreement"),
        ({"project": "another"}, "refused.project"),
        ({"researcher": "ben"}, "refused.researcher"),
        ({"researcher": "cleo"}, "refused.researcher"),
    ],
)
async def test_a_query_under_other_documents_is_refused(
    world: World, changes: dict[str, Any], code: str
) -> None:
    assert await refused(world.prepare(signed(world.query(**changes)), ["social"])) == code


async def test_a_query_signed_by_another_is_refused(world: World) -> None:
    envelope = signed(world.query(), SigningKey(b"x" * 32))

    assert await refused(world.prepare(envelope, ["social"])) == "signature.invalid"


@pytest.mark.parametrize("by", [timedelta(minutes=31), timedelta(hours=-2)])
async def test_a_query_that_has_run_out_or_is_good_for_too_long_is_refused(
    world: World, by: timedelta
) -> None:
    envelope = signed(world.query())
    world.clock.now += by

    assert await refused(world.prepare(envelope, ["social"])) == "refused.expired"


async def test_a_closed_project_and_a_table_of_no_project_are_refused(world: World) -> None:
    open_query = world.query()
    world.restate(state="closed")
    closed = replace(open_query, agreement=world.agreement.digest)
    assert await refused(world.prepare(signed(closed), ["social"])) == "refused.project"

    world.restate()
    question = ask("housing", 2025, {}, ["duty"])
    lying = replace(world.query(), question=question)
    assert await refused(world.prepare(signed(lying), ["social"])) == "refused.table"


async def test_an_agency_may_decline(world: World) -> None:
    world.agencies["social"].declines.append("early-help")
    world.agencies["police"].declines.append("*")

    assert await refused(world.prepare(signed(world.query()), ["social"])) == "refused.local"
    assert await refused(world.prepare(signed(world.query()), ["police"])) == "refused.local"


async def test_a_holder_without_a_mapping_is_refused_and_nobody_else(world: World) -> None:
    for agency in world.agencies.values():
        agency.tables.is_mapped = False
    envelope = signed(world.query())

    assert await refused(world.prepare(envelope, ["social"])) == "refused.table_unmapped"
    await world.prepare(envelope, ["police"])


async def test_an_over_ask_is_refused_and_changes_nothing(world: World) -> None:
    envelope = signed(world.query(sigma=5.0))  # 4 * 16 / 50 = 1.28 of 1

    assert await refused(world.prepare(envelope, ["social"])) == "refused.budget"
    assert charges(world, "social") == []


async def test_queries_prepared_at_once_cannot_spend_more_than_there_is(world: World) -> None:
    envelopes = [signed(world.query(sigma=8.5)) for _ in range(3)]  # nearly half of the cap each
    prepared = [await world.prepare(envelope) for envelope in envelopes]
    await world.commit("social", envelopes[0], prepared[0])
    await world.commit("social", envelopes[1], prepared[1])

    assert await refused(world.commit("social", envelopes[2], prepared[2])) == "refused.budget"
    assert len(charges(world, "social")) == 2
    assert entries(world, "social") == 2


async def test_each_cap_holds_and_only_the_nodes_comes_back(world: World) -> None:
    social, now = world.agencies["social"], world.clock.now
    caps = budget.Caps(100, 60, 80, timedelta(days=10))
    entry = budget.make_entry({}, Spender("p", "ana"), 50, now, bytes)
    made = budget.Charge(bytes(32), bytes(32), Spender("p", "ana"), 50, now, b"share", entry)
    with social.store.write() as writing:
        budget.put_charge(writing, made, caps, now)

    with social.store.read() as connection:
        left = partial(budget.read_left, connection, caps=caps)
        assert left(spender=Spender("p", "ana"), now=now) == budget.Left(50, 10, 30)
        assert left(spender=Spender("p", "ben"), now=now) == budget.Left(50, 60, 30)
        later = now + timedelta(days=11)
        assert left(spender=Spender("p", "ana"), now=later) == budget.Left(50, 10, 80)


async def test_a_clock_gone_back_charges_nothing(world: World) -> None:
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)
    await world.commit("social", envelope, prepared)
    world.clock.now -= timedelta(minutes=10)

    assert await refused(world.prepare(signed(world.query()), ["social"])) == "refused.clock"


async def test_a_log_that_was_begun_anew_is_settled_first(world: World) -> None:
    social, ana = world.agencies["social"], Spender("early-help", "ana")
    with social.store.write() as connection:
        begin_anew(connection, world.clock())
    assert await refused(world.prepare(signed(world.query()), ["social"])) == "refused.ledger"

    with social.store.write() as connection:
        assert budget.settle(connection, [(ana, 900_000_000)], "as the police say", world.clock(), bytes)
        assert not budget.settle(connection, [], "twice", world.clock(), bytes)

    assert await refused(world.prepare(signed(world.query()), ["social"])) == "refused.budget"
    await world.prepare(signed(world.query(sigma=20.0)), ["social"])


async def test_shares_are_dropped_once_their_query_has_run_out_and_the_charge_stays(world: World) -> None:
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)
    await world.commit("social", envelope, prepared)

    with world.agencies["social"].store.write() as connection:
        budget.forget_shares(connection, world.clock() + timedelta(hours=1))
        kept = budget.read_kept(connection, query_id(envelope))

    assert kept is not None
    assert kept.share is None
    assert len(charges(world, "social")) == 1


Tamper = Callable[[World, dict[str, Any], bytes], dict[str, Any]]


def _stranger(world: World, prepared: dict[str, Any], qid: bytes) -> dict[str, Any]:
    """A participant whom the roster does not list: a Sybil."""
    key = SigningKey(b"s" * 32)
    mine = open_prepare(prepared["police"].prepare, world.roster.active("police").signing_key)
    fake = sign_prepare(key, replace(mine, agency="sybil", seals={}))
    return {**prepared, "sybil": replace(prepared["police"], prepare=fake, seals={})}


def _twice(world: World, prepared: dict[str, Any], qid: bytes) -> dict[str, Any]:
    """One participant twice."""
    return {**prepared, "again": replace(prepared["police"], seals={})}


def _altered(world: World, prepared: dict[str, Any], qid: bytes) -> dict[str, Any]:
    """A key in the place of another's, signed by who put it there."""
    mine = open_prepare(prepared["police"].prepare, world.roster.active("police").signing_key)
    fake = sign_prepare(SigningKey(b"s" * 32), replace(mine, epk=bytes([9]) + bytes(31)))
    return {**prepared, "police": replace(prepared["police"], prepare=fake)}


def _of_another_query(world: World, prepared: dict[str, Any], qid: bytes) -> dict[str, Any]:
    """A prepare that its node signed for another query."""
    mine = open_prepare(prepared["police"].prepare, world.roster.active("police").signing_key)
    other = sign_prepare(world.agencies["police"].signing, replace(mine, qid=bytes(32)))
    return {**prepared, "police": replace(prepared["police"], prepare=other)}


def _without_it(world: World, prepared: dict[str, Any], qid: bytes) -> dict[str, Any]:
    """A roster without the node that is asked."""
    return {name: one for name, one in prepared.items() if name != "social"}


@pytest.mark.parametrize("tamper", [_stranger, _twice, _altered, _of_another_query, _without_it])
async def test_a_roster_that_is_not_what_everybody_signed_is_refused(world: World, tamper: Tamper) -> None:
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)

    shown = tamper(world, prepared, query_id(envelope))

    assert await refused(world.commit("social", envelope, shown)) == "refused.roster"
    assert charges(world, "social") == []


async def test_too_few_participants_are_refused(world: World) -> None:
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)
    two = {name: prepared[name] for name in ("police", "social")}

    assert await refused(world.commit("social", envelope, two)) == "refused.too_few"


async def test_two_nodes_of_one_operator_count_as_one(tmp_path: Path) -> None:
    shared = dict.fromkeys(("hospital", "police", "social"), "one county")
    world = make_world(tmp_path, operators=shared)
    try:
        envelope = signed(world.query())

        assert await refused(world.prepare(envelope, ["social"])) == "refused.too_few"
    finally:
        world.stop()


async def test_a_seal_that_is_missing_or_altered_is_refused(world: World) -> None:
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)
    seal = prepared["police"].seals["social"]
    for altered in (b"", seal[:-1] + bytes([seal[-1] ^ 1])):
        other = replace(prepared["police"], seals={**prepared["police"].seals, "social": altered})
        shown = {**prepared, "police": other}

        assert await refused(world.commit("social", envelope, shown)) == "refused.seal"
    assert charges(world, "social") == []


async def test_two_nodes_shown_different_rosters_give_no_sum(world: World) -> None:
    envelope = signed(world.query())
    prepared = await world.prepare(envelope)
    fewer = {name: prepared[name] for name in NAMES if name != "hospital"}

    bodies = [
        open_share(
            await world.commit(name, envelope, fewer if name == "social" else prepared),
            world.roster.active(name).signing_key,
        ).body
        for name in NAMES
    ]

    # What comes out is as good as random: no number is anywhere near a count.
    assert all(abs(number) > 2**40 for number in open_total(bodies, 2))
