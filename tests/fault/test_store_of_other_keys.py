"""Tags that another key made are no tags: a known child is never "nothing returned", and the node heals."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, update

from elsewhere.asking import State
from elsewhere.keyfiles import write_secret
from elsewhere.lookup import AnswerState
from elsewhere.oprf.voprf import generate_key
from node.caseload.ending import drop_replaced
from node.caseload.job import LoadJob
from node.caseload.load import retag
from node.caseload.staging import Staging
from node.caseload.tagkeys import FolderKeys
from node.errors import LoadOvertaken, RecordsUntagged
from node.keys.orders import Wish, order_epochs
from node.keys.ring import KeyRing, key_ids
from node.store.caseload import tag_set
from node.store.engine import Store, open_store
from node.store.exchange import published
from tests.caseload import ANN, BOB, EVA
from tests.changing import OVERLAP, START, World, is_in_force, is_stated, make_world
from tests.fault.direct import pair
from tests.fault.rig import somebody
from tests.federation import ask_about
from tests.held import short_tags
from tests.rotating import KAI, ZOE, epochs, hasten, is_held, rotating_federation, until

FIRST = (("involvement", 1), ("protected", 1))


@pytest.fixture
def world(tmp_path: Path, each_engine: None) -> World:
    (tmp_path / "police").mkdir(mode=0o700)
    return make_world(tmp_path / "police")


def replace_keys(folder: Path, epoch: int = 1) -> None:
    """Put other keys in the place of an epoch's, under the same names."""
    for path in (folder / "keys").glob(f"oprf-*-{epoch}.key"):
        path.unlink()
        write_secret(path, generate_key(secrets.token_bytes).scalar)


def forget_keys(world: World) -> None:
    """Leave the store as one of the schema before knew it."""
    store = world.opened()
    with store.write() as conn:
        conn.execute(update(tag_set).values(key_digest=None))
    store.close()


def started(world: World) -> tuple[tuple[str, int], ...]:
    """What a node states before anybody can ask it."""
    store = world.opened()
    rotation = world.rotation(store)
    rotation.withdraw()
    store.close()
    return rotation.keys.view.names


def check_whole(world: World, epoch: int, *rows: dict[str, str]) -> None:
    """All records are found under one epoch, and nothing is left of any other."""
    store = world.opened()
    assert all(world.finds(store, row, epoch) for row in rows)
    with store.read() as conn:
        assert {row.epoch for row in conn.execute(select(tag_set))} == {epoch}
        assert not any(len(short_tags(conn, "involvement", other)) for other in range(4) if other != epoch)
    store.close()


@pytest.mark.parametrize("change", [lambda world: replace_keys(world.folder), forget_keys])
def test_nothing_is_stated_under_a_key_that_did_not_make_the_tags_until_all_are_made_anew(
    world: World, change: object
) -> None:
    assert started(world) == FIRST
    assert callable(change)
    change(world)

    assert started(world) == (), "before anybody can ask"
    world.live(is_in_force(2))
    check_whole(world, 2, ANN, BOB)


def test_after_a_load_under_a_replaced_key_the_epoch_is_another(world: World) -> None:
    replace_keys(world.folder)
    world.load([ANN, BOB, EVA])
    check_whole(world, 1, ANN, BOB, EVA)

    assert started(world) == (), "others hold what the key before made"
    world.live(is_in_force(2))
    check_whole(world, 2, ANN, BOB, EVA)


def test_a_key_replaced_while_the_one_before_is_still_in_force_is_followed_by_another_at_once(
    world: World,
) -> None:
    store = world.opened()
    order_epochs(world.folder, store, Wish(OVERLAP), START)
    store.close()
    world.live(is_stated(2))
    replace_keys(world.folder, 2)

    assert started(world) == FIRST
    world.live(is_stated(3))
    store = world.opened()
    assert all(world.finds(store, row, epoch) for row in (ANN, BOB) for epoch in (1, 3))
    store.close()


def test_a_name_whose_catalogue_another_key_made_is_not_stated_though_no_statement_is_left(
    world: World,
) -> None:
    store = world.opened()
    row = {name: b"x" for name in ("root", "seed", "snapshot_key", "statement")}
    with store.write() as conn:
        for name, epoch in FIRST:
            numbers = {"epoch": epoch, "version": 7, "snapshot_version": 7}
            conn.execute(insert(published).values(collection=name, granted="{}", **numbers, **row))
    store.close()
    replace_keys(world.folder)
    world.load([ANN, BOB])
    (world.folder / "trust" / "own-statement.json").unlink()

    assert started(world) == ()
    world.live(is_in_force(2))
    check_whole(world, 2, ANN, BOB)


def test_a_new_folder_on_an_old_store_heals_with_and_without_a_load(world: World, tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder = tmp_path / name
        (folder / "trust").mkdir(mode=0o700, parents=True)
        KeyRing.create(folder, tls_pem=b"pem", random=secrets.token_bytes)
        shutil.copy(world.folder / "node.toml", folder)
    one, two = (World(tmp_path / name, world.url) for name in ("one", "two"))

    assert started(one) == ()
    one.live(is_in_force(2))
    check_whole(one, 2, ANN, BOB)

    two.load([ANN, BOB, EVA])
    two.live(lambda rotation: {epoch for _, epoch in rotation.keys.view.names} == {1})
    check_whole(two, 1, ANN, BOB, EVA)


def test_keys_and_statement_that_are_older_than_the_store_are_followed_by_an_epoch_that_never_was(
    world: World, tmp_path: Path
) -> None:
    for name in ("keys", "trust"):
        shutil.copytree(world.folder / name, tmp_path / "backup" / name)
    store = world.opened()
    order_epochs(world.folder, store, Wish(OVERLAP), START)
    store.close()
    world.live(is_in_force(2))
    for name in ("keys", "trust"):
        shutil.rmtree(world.folder / name)
        shutil.copytree(tmp_path / "backup" / name, world.folder / name)

    assert started(world) == ()
    world.live(is_in_force(3))
    check_whole(world, 3, ANN, BOB)


def test_a_load_goes_no_further_with_tags_of_a_key_that_was_replaced_under_it(world: World) -> None:
    store = world.opened()
    staging = Staging(store, "cases", START)
    with pytest.raises(LoadOvertaken):
        staging.tag_set_ids({("involvement", 1, bytes(32))})
    store.close()


async def test_a_running_node_answers_neither_round_from_tags_of_another_key(
    tmp_path: Path, each_engine: None
) -> None:
    async with pair(tmp_path) as two:
        ask = ask_about(ZOE)
        before = two.part(ask)
        reply = await two.evaluate(before)
        assert reply is not None
        with two.police._store.write() as conn:
            conn.execute(update(tag_set).values(key_digest=bytes(32)))

        assert await two.redeem(before) is None
        after = await two.evaluate(two.part(ask))
        assert after is not None
        assert after.ruling.code == RecordsUntagged.code


@pytest.mark.parametrize("loads", [False, True], ids=["", "then_a_load"])
async def test_who_asks_a_node_whose_keys_were_replaced_never_hears_that_nothing_was_found(
    tmp_path: Path, loads: bool
) -> None:
    async with rotating_federation(tmp_path) as made:
        await made.stop("police")
        replace_keys(tmp_path / "police")
        if loads:
            made.load("police", [ZOE, KAI])
        await made.start("police")
        node = made.nodes["police"]
        hasten(node)
        while epochs(node) != {2}:
            seen = await made.ask("social", ask_about(ZOE))
            assert seen.state("police") is not State.NOTHING_RETURNED
        await until(lambda: is_held(made, "social", "police", 2))
        assert (await made.ask("social", ask_about(ZOE))).state("police") is State.KNOWN_CURRENT


class Killed(BaseException):
    """Stands for a kill."""


def kill_after(store: Store, transactions: int) -> None:
    """Let a store take some transactions and no more."""
    left, write = iter(range(transactions)), store.write

    def counted() -> AbstractContextManager[Connection]:
        if next(left, None) is None:
            raise Killed
        return write()

    store.write = counted  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("transactions", [1, 700], ids=["first", "half_way"])
async def test_who_redeems_while_tags_of_a_replaced_key_are_dropped_never_hears_that_nothing_was_found(
    tmp_path: Path, each_engine: None, transactions: int
) -> None:
    async with pair(tmp_path) as two:
        folder, asks = tmp_path / "police", [two.part(somebody()), two.part(somebody())]
        replies = [await two.evaluate(part) for part in asks]
        reveals = [two.every_hit(part, reply)[:4] for part, reply in zip(asks, replies, strict=True) if reply]
        kept = {path: path.read_bytes() for path in (folder / "keys").glob("oprf-*-1.key")}
        replace_keys(folder)  # the node runs with those before
        with contextlib.closing(open_store(two.police.config.store_url)) as store:
            job = LoadJob(store=store, keys=FolderKeys(folder, store), now=START, work=folder, workers=1)
            kill_after(store, transactions)
            with pytest.raises(Killed):
                drop_replaced(store, key_ids(job.keys.read()), job.now)

        assert await two.redeem(asks[0], reveals[0]) is None
        new = await two.evaluate(two.part(somebody()))
        assert new is not None
        assert new.ruling.code == RecordsUntagged.code

        for path, key in kept.items():  # somebody puts the keys back
            path.write_bytes(key)
        with contextlib.closing(open_store(two.police.config.store_url)) as store:
            job = LoadJob(store=store, keys=FolderKeys(folder, store), now=START, work=folder, workers=1)
            retag(job)
        told = await two.redeem(asks[1], reveals[1])
        assert told is not None
        assert told.answer.state is AnswerState.KNOWN_CURRENT
