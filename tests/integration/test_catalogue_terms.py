"""Catalogues that a node's processes publish in turn: one content a version, nothing stated taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from sqlalchemy import select

from elsewhere.catalogue.files import write_catalogue
from elsewhere.lookup import Head
from elsewhere.wire import tls
from node.catalogues import own as own_module
from node.catalogues.own import OwnCatalogue, OwnState
from node.catalogues.publisher import Publisher
from node.catalogues.stated import stated_heads
from node.errors import LeadLost
from node.store.exchange import published_piece
from tests.integration.catalogue_hosts import Gateway, peers_of, publisher_of, tick
from tests.unit.node.exchange_world import NOW, Agency, make_agencies, numbers

NAME = ("involvement", 1)
INVOLVEMENT = ("police", *NAME)


@pytest.fixture
def agencies(tmp_path: Path) -> Iterator[dict[str, Agency]]:
    found = make_agencies(tmp_path)
    for agency in found.values():
        agency.start()
    yield found
    for agency in found.values():
        agency.stop()


@pytest.fixture
def police(agencies: dict[str, Agency]) -> Agency:
    return agencies["police"]


@pytest.fixture
def second(police: Agency) -> Iterator[Agency]:
    made = police.beside("second")
    yield made
    made.stop()


@pytest_asyncio.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    made = Gateway(tmp_path / "gateway", tls.make_authority("northshire", now=NOW))
    await made.start()
    yield made
    await made.stop()


def hand_over(first: Agency, to: Agency) -> None:
    """Let one process go on in a term that is over, as one does that slept: it has not looked since."""
    to.lead._parts = replace(to.lead._parts, lease_s=0.0)
    to.lead.look()
    assert to.lead.number == first.lead.number + 1


def stated(agency: Agency) -> Head:
    with agency.store.read() as connection:
        return stated_heads(connection).get(NAME, Head(0))


def envelopes(agency: Agency) -> dict[int, bytes]:
    with agency.store.read() as connection:
        rows = connection.execute(select(published_piece).where(published_piece.c.collection == NAME[0]))
        return {row.version: row.statement for row in rows}


async def test_the_next_lead_continues_the_catalogue_where_the_last_one_left_it(
    agencies: dict[str, Agency], police: Agency, second: Agency, gateway: Gateway
) -> None:
    publisher = await publisher_of(police, gateway)
    await publisher.send()
    police.add_tags(numbers(5, 1))
    await tick(publisher)
    peers = await peers_of(agencies["schools"], gateway)
    held = await peers.ensure(*INVOLVEMENT, stated(police), timeout_s=10)

    hand_over(police, second)
    following = await publisher_of(second, gateway)
    police.add_tags(numbers(5, 2))
    await tick(following)

    assert [piece.statement.version for piece in _state(following).pieces] == [1, 2, 3]
    assert stated(police) == stated(second) == following.head(*NAME)
    now_held = await peers.ensure(*INVOLVEMENT, stated(police), timeout_s=10)
    assert now_held.head.version > held.head.version
    assert now_held.statement.is_snapshot is False, "it took deltas, and no new snapshot"
    assert all(now_held.contains_each(np.concatenate([numbers(5, 1), numbers(5, 2)])))


async def test_a_lead_whose_term_is_over_publishes_states_and_grants_nothing_more(
    police: Agency, second: Agency, gateway: Gateway
) -> None:
    publisher = await publisher_of(police, gateway)
    await publisher.send()
    hand_over(police, second)
    following = await publisher_of(second, gateway)
    await following.send()
    before, rows = stated(police), envelopes(police)

    police.add_tags(numbers(5, 1))
    await tick(publisher)

    assert envelopes(police) == rows
    assert stated(police) == before
    own = _own(publisher)
    for write in (
        own.step,
        lambda: own.note_stated(Head(99, bytes(32))),
        lambda: own.note_granted({"schools": "key"}, 1),
    ):
        with pytest.raises(LeadLost):
            write()
    assert (stated(police), envelopes(police)) == (before, rows)


@pytest.mark.parametrize("when", ["before its file is written", "after its file is written"])
def test_a_lead_that_sleeps_over_a_snapshot_damages_none_of_the_next_lead(
    police: Agency, second: Agency, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    own = police.opened()
    own.step()
    own.renew()

    def sleep(path: Path, *given: object, **named: object) -> None:
        monkeypatch.undo()
        if when.startswith("after"):
            write_catalogue(path, *given, **named)  # type: ignore[arg-type]
        hand_over(police, second)
        other = second.opened()
        other.renew()
        police.add_tags(numbers(5, 1))
        other.step()
        if when.startswith("before"):
            write_catalogue(path, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(own_module, "write_catalogue", sleep)
    with pytest.raises(LeadLost):
        own.step()

    found = second.opened()
    assert found.state is not None, "row and file belong together"
    assert found.state.newest.version == 2
    assert all(found.state.catalogue.contains_each(numbers(5, 1)))
    files = [path.name for path in (police.folder / "catalogues").iterdir()]
    assert files == ["own.involvement.1.2.2.cat"], "and what the sleeper wrote is swept"


def test_a_lead_that_sleeps_before_it_sweeps_sweeps_nothing_of_the_next_lead(
    police: Agency, second: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = police.opened()
    sweep = OwnCatalogue._sweep

    def sleep(catalogue: OwnCatalogue, *, keep: Path | None) -> None:
        monkeypatch.undo()
        hand_over(police, second)
        other = second.opened()
        other.renew()
        other.step()
        sweep(catalogue, keep=keep)

    monkeypatch.setattr(OwnCatalogue, "_sweep", sleep)
    own.step()

    found = second.opened()
    assert found.state is not None
    assert found.state.newest.version == 2


async def test_what_was_made_and_not_yet_taken_is_not_stated_by_the_next_lead_before_it_is_sent(
    police: Agency, second: Agency, gateway: Gateway
) -> None:
    publisher = await publisher_of(police, gateway)
    await publisher.send()
    first = stated(police)
    await publisher.make()  # and killed before it was sent

    hand_over(police, second)
    following = await publisher_of(second, gateway)
    assert _state(following).newest.version == 2
    assert (first.version, stated(second)) == (1, first)
    await following.send()

    assert stated(second).version == 2


def _own(publisher: Publisher) -> OwnCatalogue:
    return publisher._own[0]


def _state(publisher: Publisher) -> OwnState:
    state = publisher._own[0].state
    assert state is not None
    return state
