"""Keys change on a federation that is asked all the time: no answer is missed, and nothing old is left."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select, update

from elsewhere.asking import Coverage, State
from node.catalogues.holding import CatalogueName
from node.catalogues.peers import Peers
from node.catalogues.publisher import Publisher
from node.config import load_config
from node.keys.orders import order_sealing
from node.links.calls import CallBroke
from node.program import Node
from node.store.caseload import entry, load, tag, tag_set
from node.store.engine import open_store
from node.store.exchange import published, published_piece
from tests.federation import EVA, Federation, ask_about
from tests.rotating import (
    KAI,
    STEP,
    ZOE,
    epochs,
    hasten,
    is_held,
    order,
    rotate,
    rotating_federation,
    turn,
    until,
)


async def ask_on(made: Federation, seen: Counter[tuple[object, ...]], stop: asyncio.Event) -> None:
    """Ask about Zofia again and again, each time for another practitioner."""
    for number in itertools.count():
        found = await made.ask("social", ask_about(ZOE, asker=f"worker-{number}"))
        states = [(name, answer.state, answer.code) for name, answer in sorted(found.answers.items())]
        seen[found.coverage, *states] += 1
        if stop.is_set():
            return


async def test_two_changes_of_epoch_lose_no_lookup_and_leave_nothing_of_the_old_keys(tmp_path: Path) -> None:
    async with rotating_federation(tmp_path) as made:
        seen: Counter[tuple[object, ...]] = Counter()
        stop = asyncio.Event()
        asking = asyncio.create_task(ask_on(made, seen, stop))
        assert await rotate(made, "police") == 2
        assert await rotate(made, "police") == 3
        asked = sum(seen.values())
        await until(lambda: sum(seen.values()) > asked + 3 or asking.done())
        stop.set()
        await asking

        whole = (
            Coverage.COMPLETE,
            ("hospital", State.KNOWN_CURRENT, ""),
            ("police", State.KNOWN_CURRENT, ""),
        )
        assert set(seen) == {whole}, seen
        assert seen[whole] > 20
        alone = await made.ask("social", ask_about(KAI))
        assert (alone.state("police"), alone.state("hospital")) == (
            State.KNOWN_CURRENT,
            State.NOTHING_RETURNED,
        )
        assert (await made.ask("social", ask_about(EVA))).state("police") is State.NOTHING_RETURNED
        await check_nothing_left(made, "police", gone={1, 2})


async def test_an_agency_that_was_off_while_keys_changed_comes_back_and_asks(tmp_path: Path) -> None:
    async with rotating_federation(tmp_path) as made:
        await made.stop("social")
        await rotate(made, "police")
        await made.start("social")
        found = await made.ask("social", ask_about(ZOE))
        assert found.coverage is Coverage.COMPLETE
        assert found.state("police") is State.KNOWN_CURRENT
        assert not list((tmp_path / "social" / "catalogues").glob("peer.police.*.1.*.cat"))


async def test_a_searcher_that_could_not_fetch_the_new_catalogue_is_told_stale_and_then_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rotating_federation(tmp_path) as made:
        social, police = made.nodes["social"], made.nodes["police"]

        async def fail(peers: Peers, name: CatalogueName, *_: object) -> None:
            if peers is social.peers and name.epoch == 2:
                raise CallBroke("internal")
            await stream(peers, name, *_)  # type: ignore[arg-type]

        stream = Peers._stream
        monkeypatch.setattr(Peers, "_stream", fail)
        order(made, "police")
        await until(lambda: epochs(police) == {1, 2})
        await until(lambda: is_held(made, "hospital", "police", 2))
        made.clocks["social"].by += 2 * STEP  # one clock for all: the new epoch is in force
        held = await made.ask("social", ask_about(ZOE))
        assert held.state("police") is State.KNOWN_CURRENT, "under the epoch whose catalogue it holds"
        await turn(made, "police", lambda: epochs(police) == {2})
        await until(lambda: social.trust.statements["police"].oprf_key("involvement", 1) is None)
        stale = await made.ask("social", ask_about(ZOE))
        assert (stale.state("police"), stale.coverage) == (State.STALE, Coverage.PARTIAL)
        assert stale.state("hospital") is State.KNOWN_CURRENT

        monkeypatch.undo()
        healed = await made.ask("social", ask_about(ZOE))
        assert healed.state("police") is State.KNOWN_CURRENT


async def test_records_tagged_by_other_match_keys_are_tagged_anew_and_until_then_nobody_is_told_nothing_found(
    tmp_path: Path,
) -> None:
    async with rotating_federation(tmp_path) as made:
        await made.stop("police")
        store = open_store(load_config(tmp_path / "police").store_url)
        with store.write() as conn:
            conn.execute(update(load).values(rules="0"))
        store.close()

        police = Node(load_config(tmp_path / "police"), clock=made.clocks["police"], random=made.random)
        made.nodes["police"] = police
        await police.start()
        hasten(police)
        assert epochs(police) == set()
        await until(lambda: not made.nodes["social"].trust.statements["police"].oprf_keys)
        found = await made.ask("social", ask_about(ZOE))
        assert not found.state("police").is_answer
        await until(lambda: epochs(police) == {2})
        await until(lambda: is_held(made, "social", "police", 2))
        assert (await made.ask("social", ask_about(ZOE))).state("police") is State.KNOWN_CURRENT
        await check_nothing_left(made, "police", gone={1})


async def test_sealing_keys_change_under_questions_and_the_old_one_is_destroyed(tmp_path: Path) -> None:
    async with rotating_federation(tmp_path) as made:
        police, social = made.nodes["police"], made.nodes["social"]
        [first] = police.keys.view.own.statement.sealing_keys
        order_sealing(tmp_path / "police", police._store, made.random)
        await until(lambda: len(police.keys.view.own.statement.sealing_keys) == 2)
        # Sealed to the key before, by one that has not heard of the next.
        assert (await made.ask("social", ask_about(ZOE))).state("police") is State.KNOWN_CURRENT
        newest = police.keys.view.own.statement.sealing_key(made.clocks["police"]())
        assert newest is not None
        assert newest.key_id != first.key_id
        await until(lambda: newest in social.trust.statements["police"].sealing_keys)
        assert (await made.ask("social", ask_about(ZOE))).state("police") is State.KNOWN_CURRENT
        # What was granted to the police is granted to its new key, should it lose its copies.
        for name in ("hospital", "social"):
            publisher = made.nodes[name].publisher
            await until(lambda to=publisher: newest.key_id in granted(to, "police"))  # type: ignore[misc]

        made.clocks["police"].by += timedelta(days=11)
        await asyncio.to_thread(police.rotation.step)
        assert first.key_id not in {key.key_id for key in police.keys.view.sealing}
        assert not (tmp_path / "police" / "keys" / "sealing-1.key").exists()
        now = made.clocks["police"]()
        await until(lambda: social.trust.statements["police"].sealing_key(now) is not None)
        assert (await made.ask("social", ask_about(ZOE))).state("police") is State.KNOWN_CURRENT


def granted(publisher: Publisher, agency: str) -> set[str]:
    """The sealing keys that an agency's grants of all of a publisher's catalogues were sealed to."""
    return {own.state.granted.get(agency, "") for own in publisher._own if own.state is not None}


def stored_epochs(node: Node) -> set[int]:
    """The epochs that a node's store holds tags of."""
    with node._store.read() as conn:
        return {row.epoch for row in conn.execute(select(tag_set))}


def _is_none(folder: Path, pattern: str) -> bool:
    return not list(folder.glob(pattern))


async def check_nothing_left(made: Federation, agency: str, gone: set[int]) -> None:
    """No key, tag, entry, row or file of dead epochs anywhere: not at the agency, a peer or the gateway."""
    node = made.nodes[agency]
    assert not epochs(node) & gone
    for name, epoch in itertools.product(("involvement", "protected"), gone):
        assert not (made.folder / agency / "keys" / f"oprf-{name}-{epoch}.key").exists()
        for kept in (
            f"{agency}/catalogues/own.{name}.{epoch}.*.cat",
            f"*/catalogues/peer.{agency}.{name}.{epoch}.*",
            f"gw/catalogues/{agency}/{name}/{epoch}/*.piece",
        ):
            await until(partial(_is_none, made.folder, kept))
    await until(lambda: not gone & stored_epochs(node))  # the rows go last
    with node._store.read() as conn:
        sets = {row.epoch for row in conn.execute(select(tag_set))}
        ids = set(conn.execute(select(tag_set.c.id)).scalars())
        assert not sets & gone
        assert set(conn.execute(select(tag.c.set_id).distinct()).scalars()) <= ids
        assert set(conn.execute(select(entry.c.set_id).distinct()).scalars()) <= ids
        for table in (published, published_piece):
            assert not set(conn.execute(select(table.c.epoch)).scalars()) & gone
