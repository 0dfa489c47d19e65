"""Gateways that break off, fall silent, lie or run full: what is held stays, and the rest comes in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from elsewhere.lookup import Head
from elsewhere.signing import sign_document
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE
from elsewhere.wire.v1 import catalogue_pb2, catalogue_pb2_grpc, directory_pb2
from node.catalogues.own import OwnState
from node.catalogues.peers import Peers, PeersParts
from node.catalogues.publisher import Publisher, PublisherParts
from node.errors import CatalogueStale
from tests.integration.catalogue_hosts import Message, Scripted, version
from tests.unit.node.exchange_world import NAMES, NOW, Agency, make_agencies, numbers

INVOLVEMENT = ("police", "involvement", 1)
LARGE = 2 * 131_072 + 10  # three chunks


@pytest.fixture(scope="module")
def agencies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Agency]]:
    found = make_agencies(tmp_path_factory.mktemp("agencies"))
    for agency in found.values():
        agency.start()
    yield found
    for agency in found.values():
        agency.stop()


@pytest.fixture(scope="module")
def states(agencies: dict[str, Agency]) -> list[OwnState]:
    """What the police publish: three chunks, a delta, and a new snapshot."""
    agencies["police"].add_tags(numbers(LARGE, 1), [NAMES[0]])
    own = agencies["police"].opened()
    found = []
    for renew in (False, False, True):
        if renew:
            own.renew()
        own.step()
        assert own.state is not None
        found.append(own.state)
    return found


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[tuple[Scripted, grpc.aio.Channel]]:
    server, service = grpc.aio.server(), Scripted()
    catalogue_pb2_grpc.add_CatalogueServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield service, channel
    await server.stop(grace=None)


@pytest_asyncio.fixture
async def peers(
    agencies: dict[str, Agency], gateway: tuple[Scripted, grpc.aio.Channel], tmp_path: Path
) -> AsyncIterator[Peers]:
    schools = agencies["schools"]
    made = Peers(
        PeersParts(
            folder=tmp_path / "copies",
            local=schools.local,
            sealing=lambda: (schools.sealing,),
            trust=schools.trust,
            channels=lambda: [gateway[1]],
            executor=schools.executor,
            clock=schools.clock,
            random=schools.random,
            silence_s=0.2,
        )
    )
    yield made
    await made.close()


async def test_a_fetch_that_breaks_off_goes_on_at_the_next_chunk(
    agencies: dict[str, Agency],
    states: list[OwnState],
    gateway: tuple[Scripted, grpc.aio.Channel],
    peers: Peers,
) -> None:
    service, _ = gateway
    whole = version(states[0], agencies)
    service.scripts = [[*whole[:3], OSError()], [whole[0], whole[3], *version(states[1], agencies)]]

    held = await peers.ensure(*INVOLVEMENT, states[1].pieces[-1].head, timeout_s=10)

    assert [request.from_chunk for request in service.fetches] == [0, 2]
    assert held.head == states[1].pieces[-1].head
    assert all(held.contains_each(numbers(LARGE, 1)[:50]))


async def test_a_snapshot_that_supersedes_a_broken_one_is_fetched_from_its_start(
    agencies: dict[str, Agency],
    states: list[OwnState],
    gateway: tuple[Scripted, grpc.aio.Channel],
    peers: Peers,
) -> None:
    service, _ = gateway
    old, new = version(states[0], agencies), version(states[2], agencies)
    service.scripts = [[*old[:2], OSError()], [new[0], *new[2:]], new]

    held = await peers.ensure(*INVOLVEMENT, states[2].pieces[-1].head, timeout_s=10)

    assert [request.from_chunk for request in service.fetches] == [0, 1, 0]
    assert held.head.version == 3


async def test_all_who_wait_share_one_fetch(
    agencies: dict[str, Agency],
    states: list[OwnState],
    gateway: tuple[Scripted, grpc.aio.Channel],
    peers: Peers,
) -> None:
    service, _ = gateway
    gate = asyncio.Event()
    service.scripts = [[gate, *version(states[0], agencies)]]
    head = states[0].pieces[0].head

    peers.take_notices([notice(1)])
    waiting = [asyncio.create_task(peers.ensure(*INVOLVEMENT, head, timeout_s=10)) for _ in range(5)]
    while not service.fetches:
        await asyncio.sleep(0)
    gate.set()
    found = await asyncio.gather(*waiting)

    assert len(service.fetches) == 1
    assert {id(held) for held in found} == {id(peers.held(*INVOLVEMENT))}


async def test_who_cannot_wait_is_told_so_and_the_fetch_goes_on(
    agencies: dict[str, Agency],
    states: list[OwnState],
    gateway: tuple[Scripted, grpc.aio.Channel],
    peers: Peers,
) -> None:
    service, _ = gateway
    gate = asyncio.Event()
    whole = version(states[0], agencies)
    service.scripts = [[*whole[:2], gate, *whole[2:]]]
    head = states[0].pieces[0].head

    with pytest.raises(CatalogueStale):
        await peers.ensure(*INVOLVEMENT, head, timeout_s=0.05)
    gate.set()
    held = await peers.ensure(*INVOLVEMENT, head, timeout_s=10)

    assert held.head == head
    assert len(service.fetches) == 1


async def test_a_silent_gateway_does_not_hold_anybody_up_for_ever(
    gateway: tuple[Scripted, grpc.aio.Channel], peers: Peers
) -> None:
    service, _ = gateway
    service.scripts = [[asyncio.Event()]]

    with pytest.raises(CatalogueStale):
        await peers.ensure(*INVOLVEMENT, Head(1, b"\x01" * 32), timeout_s=30)


@pytest.mark.parametrize("lie", ["garbage", "rollback", "no end", "nothing"])
async def test_what_is_held_outlasts_a_gateway_that_lies(
    agencies: dict[str, Agency],
    states: list[OwnState],
    gateway: tuple[Scripted, grpc.aio.Channel],
    peers: Peers,
    lie: str,
) -> None:
    service, _ = gateway
    new = version(states[2], agencies)
    service.scripts = [
        new,
        {
            "garbage": [Message(piece=catalogue_pb2.Piece(statement=b"x"))],
            "rollback": [*version(states[0], agencies)],
            "no end": [new[1]] * 50,
            "nothing": [],
        }[lie],
    ]
    held = await peers.ensure(*INVOLVEMENT, states[2].pieces[-1].head, timeout_s=10)

    with pytest.raises(CatalogueStale):
        await peers.ensure(*INVOLVEMENT, Head(4, b"\x01" * 32), timeout_s=10)

    assert peers.held(*INVOLVEMENT) is held


async def test_notices_about_what_no_statement_names_are_ignored(
    gateway: tuple[Scripted, grpc.aio.Channel], peers: Peers
) -> None:
    service, _ = gateway

    for odd in (
        ("stranger", "involvement", 1),
        ("schools", "involvement", 1),
        ("police", "../x", 1),
        ("police", "involvement", 7),
    ):
        peers.take_notices([notice(1, odd)])
    await asyncio.sleep(0)

    assert service.fetches == []
    assert peers.ready(NOW)


async def test_what_could_not_be_fetched_is_tried_again(
    agencies: dict[str, Agency],
    states: list[OwnState],
    gateway: tuple[Scripted, grpc.aio.Channel],
    peers: Peers,
) -> None:
    service, _ = gateway
    service.scripts = [[OSError()], version(states[0], agencies)]
    eager = Peers(replace(peers._parts, retry_s=0.01))
    eager.take_notices([notice(1)])

    work = asyncio.create_task(eager.run())
    async with asyncio.timeout(20):
        while eager.held(*INVOLVEMENT) is None:
            await asyncio.sleep(0)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)

    assert len(service.fetches) == 2


async def test_a_disk_that_is_full_does_not_keep_a_catalogue_from_being_used(
    agencies: dict[str, Agency],
    states: list[OwnState],
    gateway: tuple[Scripted, grpc.aio.Channel],
    peers: Peers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: object) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(peers._copies._files, "keep_snapshot", fail)
    gateway[0].scripts = [version(states[0], agencies)]

    held = await peers.ensure(*INVOLVEMENT, states[0].pieces[0].head, timeout_s=10)

    assert held.head.version == 1
    await peers.open()
    assert peers.held(*INVOLVEMENT) is held


@pytest_asyncio.fixture
async def publisher(
    agencies: dict[str, Agency], gateway: tuple[Scripted, grpc.aio.Channel]
) -> AsyncIterator[Publisher]:
    health = agencies["health"]
    made = Publisher(
        PublisherParts(
            own=health.own_parts,
            names=lambda: NAMES[:1],
            trust=health.trust,
            gateways=[lambda: gateway[1]],
            executor=health.executor,
            tick_s=60,
            set_back=lambda: None,
        )
    )
    await made.open()
    await made.make()
    yield made


async def test_a_gateway_that_takes_no_more_deltas_is_given_a_snapshot(
    gateway: tuple[Scripted, grpc.aio.Channel], publisher: Publisher
) -> None:
    service, _ = gateway
    publisher.take_notices(0, [])
    await publisher.send()
    first = publisher.head("involvement", 1)
    service.refuses_deltas = True

    for _ in range(2):
        await publisher.make()
        await publisher.send()
    assert publisher.head("involvement", 1) == first, "a version nobody can fetch is not named"
    await publisher.make()
    await publisher.send()

    newest = service.taken[-1]
    assert newest.version == newest.snapshot_version > first.version
    assert publisher.head("involvement", 1).version == newest.version


async def test_a_gateway_that_claims_an_absurd_version_cannot_use_all_versions_up(
    gateway: tuple[Scripted, grpc.aio.Channel], publisher: Publisher
) -> None:
    gateway[0].scripts = [[]]  # it can show nothing
    publisher.take_notices(0, [notice(2**63, ("health", "involvement", 1))])

    await publisher.send()
    await publisher.make()
    await publisher.send()

    assert publisher.head("involvement", 1).version == gateway[0].taken[-1].version < 2**20


@pytest.mark.parametrize("is_ours", [True, False])
async def test_only_what_was_signed_here_shows_that_the_store_was_set_back(
    agencies: dict[str, Agency],
    gateway: tuple[Scripted, grpc.aio.Channel],
    publisher: Publisher,
    monkeypatch: pytest.MonkeyPatch,
    is_ours: bool,
) -> None:
    set_back: list[None] = []
    parts = replace(publisher._parts, set_back=lambda: set_back.append(None))
    monkeypatch.setattr(publisher, "_parts", parts)
    state = publisher._own[0].state
    assert state is not None
    newer = replace(state.newest, version=9, snapshot_version=9).to_json()
    by = agencies["health" if is_ours else "police"].own_parts.signing()
    piece = catalogue_pb2.Piece(statement=sign_document([by], CATALOGUE_STATEMENT_TYPE, newer))
    gateway[0].scripts = [[catalogue_pb2.FetchResponse(piece=piece)]]
    publisher.take_notices(0, [notice(9, ("health", "involvement", 1))])

    await publisher.send()

    assert bool(set_back) is is_ours
    assert bool(gateway[0].taken) is not is_ours


async def test_nothing_is_sent_before_a_gateway_has_said_what_it_has(
    gateway: tuple[Scripted, grpc.aio.Channel], publisher: Publisher
) -> None:
    await publisher.send()

    assert gateway[0].taken == []


async def test_ticks_with_and_without_a_child_are_alike_on_the_wire(
    agencies: dict[str, Agency], gateway: tuple[Scripted, grpc.aio.Channel], publisher: Publisher
) -> None:
    service, _ = gateway
    publisher.take_notices(0, [])
    await publisher.send()
    sizes = []
    for tags in (numbers(0, 1), numbers(7, 2), numbers(30, 3)):
        agencies["health"].add_tags(tags, NAMES[:1])
        service.sizes.clear()
        await publisher.make()
        await publisher.send()
        sizes.append(list(service.sizes))

    assert sizes[0] == sizes[1] == sizes[2]
    assert len(sizes[0]) == 1


def notice(newest: int, name: tuple[str, str, int] = INVOLVEMENT) -> directory_pb2.CatalogueNotice:
    custodian, collection, epoch = name
    return directory_pb2.CatalogueNotice(
        custodian=custodian, collection=collection, epoch=epoch, version=newest
    )


async def test_a_link_lost_in_the_middle_ends_neither_fetching_nor_publishing(
    agencies: dict[str, Agency],
    states: list[OwnState],
    gateway: tuple[Scripted, grpc.aio.Channel],
    peers: Peers,
    publisher: Publisher,
) -> None:
    service, channel = gateway
    service.gate = asyncio.Event()
    whole = version(states[0], agencies)
    service.scripts = [[*whole[:2], asyncio.Event()]]
    publisher.take_notices(0, [])
    before = publisher.head("involvement", 1)
    sending = asyncio.create_task(publisher.send())
    peers.take_notices([notice(1)])
    fetching = asyncio.create_task(peers.ensure(*INVOLVEMENT, states[0].pieces[0].head, timeout_s=30))
    async with asyncio.timeout(20):
        while not (service.taken and service.fetches):
            await asyncio.sleep(0)

    await channel.close(None)

    await sending
    with pytest.raises(CatalogueStale):
        await fetching
    with pytest.raises(CatalogueStale):
        await peers.ensure(*INVOLVEMENT, states[0].pieces[0].head, timeout_s=30)
    await publisher.send()
    assert publisher.head("involvement", 1) == before
