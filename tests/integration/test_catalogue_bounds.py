"""How far a hostile member or gateway gets with catalogues.

Keys of those who left, versions that nobody takes, collections that nobody asks about, memory.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from elsewhere.errors import PieceRefused
from elsewhere.pace import Pace
from elsewhere.wire import tls
from gateway.catalogues import Catalogues
from node.catalogues.holding import LONGEST_LAG
from node.catalogues.own import OwnState
from node.catalogues.publisher import REFUSED_BEFORE_RENEWAL, Publisher
from node.errors import CatalogueDiverged, CatalogueStale
from tests.integration.catalogue_hosts import Gateway, peers_of, publisher_of, tick
from tests.unit.node.exchange_world import (
    NOW,
    Agency,
    agreement_of,
    make_agencies,
    numbers,
    set_state,
)

INVOLVEMENT = ("police", "involvement", 1)


@pytest.fixture
def agencies(tmp_path: Path) -> Iterator[dict[str, Agency]]:
    found = make_agencies(tmp_path)
    for agency in found.values():
        agency.start()
    yield found
    for agency in found.values():
        agency.stop()


@pytest_asyncio.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    made = Gateway(tmp_path / "gateway", tls.make_authority("northshire", now=NOW))
    await made.start()
    yield made
    await made.stop()


@pytest.mark.parametrize("how", ["revoked", "no party", "no agreement"])
async def test_a_member_that_is_out_of_force_cannot_read_what_is_published_from_then_on(
    agencies: dict[str, Agency], gateway: Gateway, how: str
) -> None:
    police = agencies["police"]
    publisher = await publisher_of(police, gateway)
    await publisher.send()
    # What it may have been given is known also after a restart.
    publisher = await publisher_of(police, gateway)
    await publisher.send()
    before = _state(publisher)
    assert before.granted.keys() == {"schools", "health"}

    if how == "revoked":
        set_state(police.trust, "schools", "revoked")
    else:
        police.trust.agreement = agreement_of("health") if how == "no party" else None
    await tick(publisher)

    after = _state(publisher)
    assert after.newest.is_snapshot
    assert after.key != before.key
    assert after.granted.keys() == (set() if how == "no agreement" else {"health"})
    assert publisher.head("involvement", 1) == after.pieces[-1].head, "it went out"
    await tick(publisher)
    assert not _state(publisher).newest.is_snapshot, "once is enough"


def _state(publisher: Publisher) -> OwnState:
    state = publisher._own[0].state
    assert state is not None
    return state


async def test_a_version_that_no_gateway_takes_is_stated_once_it_has_waited_too_long(
    agencies: dict[str, Agency], gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = await publisher_of(agencies["police"], gateway)
    passed_s = [0.0]
    publisher._standing._now_s = lambda: passed_s[0]
    await publisher.send()
    peers = await peers_of(agencies["schools"], gateway)
    old = await peers.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)

    async def refuse(self: Catalogues, caller: str, requests: object, show: object) -> object:
        raise PieceRefused("no")

    monkeypatch.setattr(Catalogues, "publish", refuse)
    agencies["police"].add_tags(numbers(3, 9))
    await tick(publisher)
    assert publisher.head("involvement", 1) == old.head
    was_current = publisher.is_current

    with capture_logs() as logs:
        for _ in range(4):
            passed_s[0] += 60
            await tick(publisher)

    assert publisher.head("involvement", 1).version == 6
    assert (was_current, publisher.is_current) == (True, False)
    told = [log for log in logs if log["event"] == "catalogue.not_taken" and log["log_level"] == "error"]
    assert [log["collection"] for log in told] == ["involvement", "protected"], "once each"
    with pytest.raises(CatalogueStale):
        await peers.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)

    monkeypatch.undo()
    await tick(publisher)
    await tick(publisher)
    assert publisher.is_current
    later = await peers.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)
    assert all(later.contains_each(numbers(3, 9)))


async def test_what_came_too_often_is_offered_again_and_is_no_reason_for_a_new_snapshot(
    agencies: dict[str, Agency], gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = await publisher_of(agencies["police"], gateway)
    await publisher.send()
    monkeypatch.setattr(Pace, "take", lambda self, agency, now_s: False)
    with capture_logs() as logs:
        for _ in range(REFUSED_BEFORE_RENEWAL + 2):
            await tick(publisher)
    codes = {log["code"] for log in logs if log["event"] == "catalogue.not_taken"}
    assert codes == {"catalogue.too_often"}
    monkeypatch.undo()

    await tick(publisher)

    newest = _state(publisher).newest
    assert (newest.version, newest.snapshot_version) == (REFUSED_BEFORE_RENEWAL + 4, 1)
    assert publisher.head("involvement", 1).version == newest.version


async def test_a_gateway_that_forgets_does_not_take_the_stated_version_back(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    publisher = await publisher_of(agencies["police"], gateway)
    await publisher.send()
    await tick(publisher)
    head = publisher.head("involvement", 1)
    own = publisher._own[0]

    publisher._note_head(publisher._gateways[0], own, _state(publisher).pieces[0])

    assert head.version == 2
    assert publisher.head("involvement", 1) == head


async def test_a_catalogue_in_which_nobody_asks_is_not_held(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    schools = agencies["schools"]
    stated = schools.trust.statements["police"]
    made_up = replace(stated.oprf_keys[0], collection="made-up", public=b"\x07" * 32)
    schools.trust.statements["police"] = replace(stated, oprf_keys=(*stated.oprf_keys, made_up))
    publisher = await publisher_of(agencies["police"], gateway)
    await publisher.send()
    peers = await peers_of(schools, gateway)
    notices = [*gateway.notices.listed()]
    notices.append(type(notices[0])(custodian="police", collection="made-up", epoch=1, version=1))

    peers.take_notices(notices)
    while peers._background:
        await asyncio.gather(*peers._background.values())

    assert set(peers._announced) == {("police", "involvement", 1), ("police", "protected", 1)}
    assert peers.ready(NOW)


async def test_all_catalogues_together_stay_within_the_memory_allowed(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    agencies["health"].add_tags(numbers(9000, 7))
    heads = {}
    for name in ("police", "health"):
        publisher = await publisher_of(agencies[name], gateway)
        await publisher.send()
        heads[name] = publisher.head("involvement", 1)
    size = _state(publisher).newest.snapshot_count
    peers = await peers_of(agencies["schools"], gateway, max_held_tags=2 * size - 1)
    await peers.ensure(*INVOLVEMENT, heads["police"], timeout_s=10)

    with capture_logs() as logs, pytest.raises(CatalogueStale):
        await peers.ensure("health", "involvement", 1, heads["health"], timeout_s=10)

    assert {log["code"] for log in logs if log["event"] == "catalogue.refused"} == {"catalogue.no_room"}
    assert peers.held("health", "involvement", 1) is None
    assert peers.held(*INVOLVEMENT) is not None, "those held stay"
    set_state(agencies["schools"].trust, "police", "revoked")
    peers.prune()
    held = await peers.ensure("health", "involvement", 1, heads["health"], timeout_s=10)
    assert held.head == heads["health"]


async def test_a_member_that_takes_all_it_can_leaves_another_room_for_what_it_publishes_next(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    health = await publisher_of(agencies["health"], gateway)
    await health.send()
    agencies["police"].add_tags(numbers(9000, 7))
    police = await publisher_of(agencies["police"], gateway)
    await police.send()
    both = (("health", health), ("police", police))
    size = sum(own.state.newest.snapshot_count for _, made in both for own in made._own if own.state)
    peers = await peers_of(agencies["schools"], gateway, max_held_tags=size)
    for name, made in both:
        for collection in ("involvement", "protected"):
            with contextlib.suppress(CatalogueStale):
                await peers.ensure(name, collection, 1, made.head(collection, 1), timeout_s=10)
    assert peers.held("police", "protected", 1) is None, "what it would take of the others' part"

    await tick(health)  # an ordinary minute later
    for collection in ("involvement", "protected"):
        held = await peers.ensure("health", collection, 1, health.head(collection, 1), timeout_s=10)
        assert held.head.version == 2


async def test_a_catalogue_too_big_is_not_fetched_over_and_over(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    agencies["health"].add_tags(numbers(9000, 7))
    for name in ("police", "health"):
        publisher = await publisher_of(agencies[name], gateway)
        await publisher.send()
    size = _state(publisher).newest.snapshot_count
    peers = await peers_of(agencies["schools"], gateway, max_held_tags=2 * size - 1)
    notices = [
        notice
        for notice in gateway.notices.listed()
        if (notice.collection, notice.epoch) == ("involvement", 1)
    ]

    async def refused() -> int:
        with capture_logs() as logs:
            peers.take_notices(notices)
            while peers._background:
                await asyncio.gather(*peers._background.values())
        return [log["event"] for log in logs].count("catalogue.refused")

    assert [await refused() for _ in range(3)] == [1, 0, 0]
    assert peers.held("health", "involvement", 1) is None
    set_state(agencies["schools"].trust, "police", "revoked")
    assert await refused() == 0
    assert peers.held("health", "involvement", 1) is not None, "room was left, and no newer version announced"


async def test_a_custodian_that_goes_back_behind_what_it_published_is_not_trusted(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    publisher = await publisher_of(agencies["police"], gateway)
    await publisher.send()
    before = publisher.head("involvement", 1)
    await tick(publisher)
    peers = await peers_of(agencies["schools"], gateway)
    held = await peers.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)

    # A version that not every gateway has yet is held before it is stated.
    assert await peers.ensure(*INVOLVEMENT, before, timeout_s=10) is held
    agencies["schools"].clock.now += LONGEST_LAG + timedelta(seconds=1)
    with pytest.raises(CatalogueDiverged):
        await peers.ensure(*INVOLVEMENT, before, timeout_s=10)
    assert peers.held(*INVOLVEMENT) is held
    assert await peers.ensure(*INVOLVEMENT, held.head, timeout_s=10) is held
