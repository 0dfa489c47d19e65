"""Catalogues from custodian to searcher, through the gateway's own service over real mutual TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import delete

from elsewhere.catalogue.sealed import CHUNK_SIZE
from elsewhere.catalogue.tags import SHORT_TAG_SIZE
from elsewhere.lookup import Head
from elsewhere.sealing import SealingKey
from elsewhere.wire import tls
from gateway.store import CatalogueName as CachedName
from node.catalogues.peers import Peers
from node.catalogues.publisher import Publisher, PublisherParts
from node.errors import CatalogueDiverged, CatalogueStale
from node.store.exchange import published, published_piece
from tests.integration.catalogue_hosts import Gateway, peers_of, publisher_of, tick
from tests.unit.node.exchange_world import (
    NAMES,
    NOW,
    Agency,
    make_agencies,
    make_statement,
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


@pytest.fixture(scope="module")
def authority() -> tls.Authority:
    return tls.make_authority("northshire", now=NOW)


@pytest_asyncio.fixture
async def gateway(tmp_path: Path, authority: tls.Authority) -> AsyncIterator[Gateway]:
    made = Gateway(tmp_path / "gateway", authority)
    await made.start()
    yield made
    await made.stop()


async def test_a_child_loaded_at_one_agency_is_met_at_another_after_a_tick(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    first, second = numbers(50, 1), numbers(3, 2)
    agencies["police"].add_tags(first)
    publisher = await publisher_of(agencies["police"], gateway)
    assert publisher.head("involvement", 1) == Head(0), "nothing is named before a gateway has it"
    await publisher.send()
    peers = await peers_of(agencies["schools"], gateway)

    held = await peers.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)
    assert all(held.contains_each(first))
    assert not any(held.contains_each(second))

    agencies["police"].add_tags(second)
    await tick(publisher)
    later = await peers.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)

    assert later.head == publisher.head("involvement", 1)
    assert later.head.version == 2
    assert all(later.contains_each(second))
    assert not any(held.contains_each(second)), "a value once given stays as it was"
    assert peers.held(*INVOLVEMENT) is later


async def test_one_publication_a_tick_whether_or_not_anything_is_new(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    publisher = await publisher_of(agencies["police"], gateway)
    await publisher.send()

    versions = []
    for _ in range(3):
        await tick(publisher)
        versions.append(gateway.notices.newest[CachedName("police", "protected", 1)])

    assert versions == [2, 3, 4]


async def test_without_a_gateway_no_deltas_pile_up(agencies: dict[str, Agency], gateway: Gateway) -> None:
    publisher = await publisher_of(agencies["police"], gateway)
    await publisher.send()
    channel = gateway.channels.pop("police")

    await tick(publisher)

    assert publisher.head("involvement", 1).version == 1
    await channel.close(None)


async def test_a_snapshot_of_several_chunks_arrives_whole(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    tags = numbers(2 * CHUNK_SIZE // SHORT_TAG_SIZE + 9, 3)
    agencies["police"].add_tags(tags, [NAMES[0]])
    publisher = await publisher_of(agencies["police"], gateway)
    await publisher.send()
    peers = await peers_of(agencies["schools"], gateway)

    held = await peers.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=20)

    assert held.statement.chunks == 3
    assert all(held.contains_each(tags))


async def test_a_gateway_that_lost_its_memory_is_given_everything_again(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    tags = numbers(40, 4)
    publisher = await publisher_of(agencies["police"], gateway)
    await publisher.send()
    agencies["police"].add_tags(tags)
    for _ in range(3):
        await tick(publisher)
    head = publisher.head("involvement", 1)
    await gateway.stop()
    for path in sorted(gateway.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()

    await gateway.start()
    publisher.take_notices(0, gateway.notices.listed())
    await publisher.send()

    peers = await peers_of(agencies["schools"], gateway)
    held = await peers.ensure(*INVOLVEMENT, head, timeout_s=10)
    assert held.head == head, "sent again, to the letter"
    assert all(held.contains_each(tags))


async def test_a_gateway_that_missed_some_versions_is_given_those(
    agencies: dict[str, Agency], gateway: Gateway, tmp_path: Path, authority: tls.Authority
) -> None:
    other = Gateway(tmp_path / "other", authority)
    await other.start()
    publisher = await publisher_of(agencies["police"], gateway, other)
    await publisher.send()
    away = other.channels.pop("police")
    await tick(publisher)
    await tick(publisher)
    assert publisher.head("involvement", 1).version == 3

    other.channels["police"] = away
    await publisher.send()

    assert other.notices.newest[CachedName("police", "involvement", 1)] == 3
    await other.stop()


async def test_a_restarted_node_does_not_publish_again_what_the_gateway_has(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    police = agencies["police"]
    publisher = await publisher_of(police, gateway)
    await publisher.send()
    await tick(publisher)
    before = publisher.head("involvement", 1)

    again = await publisher_of(police, gateway)
    assert again.head("involvement", 1) == before, "a searcher may hold it, and nothing older will do"
    await again.send()

    assert again.head("involvement", 1) == before
    await tick(again)
    assert again.head("involvement", 1).version == before.version + 1
    assert gateway.notices.newest[CachedName("police", "involvement", 1)] == before.version + 1


async def test_a_store_that_makes_a_version_again_with_another_content_is_told_by_the_gateway(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    police, set_back = agencies["police"], list[None]()
    await (await publisher_of(police, gateway)).send()
    with police.own_parts.store.write() as conn:  # as if it was restored from before it published anything
        conn.execute(delete(published_piece))
        conn.execute(delete(published))

    await (await publisher_of(police, gateway, set_back=lambda: set_back.append(None))).send()
    assert set_back


async def test_a_member_that_joins_later_is_given_the_key(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    police, schools = agencies["police"], agencies["schools"]
    statement = police.trust.statements.pop("schools")
    publisher = await publisher_of(police, gateway)
    await publisher.send()
    peers = await peers_of(schools, gateway)
    with pytest.raises(CatalogueStale):
        await peers.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)

    police.trust.statements["schools"] = statement
    publisher.take_notices(0, gateway.notices.listed())
    await publisher.send()

    held = await peers.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)
    assert held.head.version == 1


async def test_a_member_with_a_new_sealing_key_can_read_again(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    police, schools = agencies["police"], agencies["schools"]
    publisher = await publisher_of(police, gateway)
    await publisher.send()
    schools.sealing = SealingKey(b"n" * 96)
    police.trust.statements["schools"] = make_statement("schools", schools.sealing, version=2)
    peers = await peers_of(schools, gateway)
    with pytest.raises(CatalogueStale):
        await peers.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)

    await publisher.send()

    held = await peers.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)
    assert held.head.version == 1, "its new key costs a grant, not a snapshot for everybody"


async def test_a_member_out_of_force_is_given_no_key(agencies: dict[str, Agency], gateway: Gateway) -> None:
    police = agencies["police"]
    set_state(police.trust, "schools", "suspended")
    publisher = await publisher_of(police, gateway)
    await publisher.send()
    peers = await peers_of(agencies["schools"], gateway)

    with pytest.raises(CatalogueStale):
        await peers.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)


async def test_notices_are_followed_in_the_background(agencies: dict[str, Agency], gateway: Gateway) -> None:
    for name in ("police", "health"):
        publisher = await publisher_of(agencies[name], gateway)
        await publisher.send()
    peers = await peers_of(agencies["schools"], gateway)
    assert not peers.ready(NOW)

    peers.take_notices(gateway.notices.listed())
    assert not peers.ready(NOW)
    await settled(peers)

    assert peers.ready(NOW)
    assert [(m.custodian, m.catalogue_version) for m in peers.status(NOW)] == [("police", 1), ("health", 1)]
    assert all(peers.held(name, "protected", 1) for name in ("police", "health"))


async def settled(peers: Peers) -> None:
    """Wait until nothing is being fetched."""
    while peers._background:
        await asyncio.gather(*peers._background.values())


async def test_a_restarted_searcher_holds_what_it_held_and_fetches_only_the_rest(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    tags = numbers(30, 5)
    agencies["police"].add_tags(tags)
    publisher = await publisher_of(agencies["police"], gateway)
    await publisher.send()
    await tick(publisher)
    peers = await peers_of(agencies["schools"], gateway)
    held = await peers.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)

    again = await peers_of(agencies["schools"], gateway)
    kept = again.held(*INVOLVEMENT)

    assert kept is not None
    assert kept.head == held.head
    assert all(kept.contains_each(tags))
    await tick(publisher)
    later = await again.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)
    assert later.head.version == 3
    last = (await peers_of(agencies["schools"], gateway)).held(*INVOLVEMENT)
    assert last is not None
    assert last.head == later.head


@pytest.mark.parametrize("harm", ["log cut", "delta altered", "snapshot altered", "snapshot gone", "header"])
async def test_a_damaged_copy_is_mended_from_the_gateway(
    agencies: dict[str, Agency], gateway: Gateway, harm: str
) -> None:
    schools = agencies["schools"]
    publisher = await publisher_of(agencies["police"], gateway)
    await publisher.send()
    await tick(publisher)
    peers = await peers_of(schools, gateway)
    await peers.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)
    folder = schools.folder / "catalogues"
    log, snapshot = folder / "peer.police.involvement.1.log", folder / "peer.police.involvement.1.1.cat"
    harmed = snapshot if harm.startswith("snapshot") else log
    data = bytearray(harmed.read_bytes())
    data[30 if harm == "header" else -1] ^= 1
    harmed.write_bytes(data[:-3] if harm == "log cut" else data)
    if harm == "snapshot gone":
        snapshot.unlink()

    again = await peers_of(schools, gateway)
    kept = again.held(*INVOLVEMENT)

    assert (kept.head.version if kept else 0) == (1 if harm in ("log cut", "delta altered") else 0)
    held = await again.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)
    assert held.head == publisher.head("involvement", 1)


async def test_a_diverged_copy_is_fetched_anew_once(agencies: dict[str, Agency], gateway: Gateway) -> None:
    publisher = await publisher_of(agencies["police"], gateway)
    await publisher.send()
    head = publisher.head("involvement", 1)
    peers = await peers_of(agencies["schools"], gateway)
    held = await peers.ensure(*INVOLVEMENT, head, timeout_s=10)

    with pytest.raises(CatalogueDiverged):
        await peers.ensure(*INVOLVEMENT, Head(1, b"\x05" * 32), timeout_s=10)

    again = peers.held(*INVOLVEMENT)
    assert again is not None
    assert again is not held, "it was dropped and fetched again"
    assert again.head == head


async def test_a_version_that_no_gateway_has_is_stale(agencies: dict[str, Agency], gateway: Gateway) -> None:
    publisher = await publisher_of(agencies["police"], gateway)
    await publisher.send()
    peers = await peers_of(agencies["schools"], gateway)

    with pytest.raises(CatalogueStale):
        await peers.ensure(*INVOLVEMENT, Head(9, b"\x05" * 32), timeout_s=10)

    gateway.channels.clear()
    with pytest.raises(CatalogueStale):
        await peers.ensure(*INVOLVEMENT, Head(9, b"\x05" * 32), timeout_s=10)


@pytest.mark.parametrize("why", ["suspended", "epoch over", "key gone"])
async def test_a_copy_goes_with_its_custodian_or_its_key(
    agencies: dict[str, Agency], gateway: Gateway, why: str
) -> None:
    schools = agencies["schools"]
    publisher = await publisher_of(agencies["police"], gateway)
    await publisher.send()
    peers = await peers_of(schools, gateway)
    await peers.ensure(*INVOLVEMENT, publisher.head("involvement", 1), timeout_s=10)
    if why == "suspended":
        set_state(schools.trust, "police", "suspended")
    elif why == "epoch over":
        schools.clock.now = schools.trust.statements["police"].oprf_keys[0].valid_until_utc
    else:
        stated = schools.trust.statements["police"]
        schools.trust.statements["police"] = replace(stated, version=2, oprf_keys=stated.oprf_keys[1:])

    peers.take_notices(gateway.notices.listed())
    await peers.close()

    assert peers.held(*INVOLVEMENT) is None
    schools.executor.shutdown()
    assert not list((schools.folder / "catalogues").glob("peer.police.involvement.*"))


async def test_running_publishes_by_itself_until_it_is_closed(
    agencies: dict[str, Agency], gateway: Gateway
) -> None:
    police = agencies["police"]
    publisher = Publisher(
        PublisherParts(
            own=police.own_parts,
            names=lambda: NAMES,
            trust=police.trust,
            gateways=[lambda: gateway.channels.get("police")],
            executor=police.executor,
            tick_s=0.05,
            set_back=lambda: None,
        )
    )
    await publisher.open()
    work = asyncio.create_task(publisher.run())
    publisher.take_notices(0, [])
    async with asyncio.timeout(20):
        while publisher.head("protected", 1).version < 3:
            await asyncio.sleep(0)

    publisher.close()
    await work
