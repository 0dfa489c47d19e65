"""A store that was put back to an older state answers nothing that was stated before, and heals by itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import delete

from elsewhere.asking import State
from node import logbook
from node.errors import StoreSetBack
from node.keys.orders import Wish, order_epochs, read_order
from node.keys.ring import KeyRing
from node.store.caseload import load_set
from node.storemark import FILE_NAME, StoreMark, is_behind, read_mark
from tests.caseload import ANN, BOB, EVA
from tests.changing import OVERLAP, START, World, is_in_force, is_stated, make_world
from tests.federation import ask_about
from tests.rotating import ZOE, epochs, is_held, rotate, rotating_federation, until

STORE, BACKUP = "store.sqlite", "backup.sqlite"


def back_up(folder: Path) -> None:
    """Copy a store that nobody has open."""
    shutil.copy(folder / STORE, folder / BACKUP)


def restore(folder: Path) -> None:
    for path in folder.glob(f"{STORE}*"):
        path.unlink()
    shutil.copy(folder / BACKUP, folder / STORE)


def log_something(world: World) -> None:
    """What answering or publishing does."""
    store = world.opened()
    with store.write() as conn:
        entry = logbook.make_entry("catalogue", {"nonce": Random().randbytes(8).hex()}, world.now)
        logbook.append(conn, entry)
    store.close()


def started(world: World) -> tuple[tuple[str, int], ...]:
    """What a node states before anybody can ask it."""
    store = world.opened()
    rotation = world.rotation(store)
    rotation.withdraw()
    store.close()
    return rotation.keys.view.names


def change(world: World) -> None:
    """Change the first epoch to the second."""
    store = world.opened()
    order_epochs(world.folder, store, Wish(OVERLAP), START)
    store.close()
    world.live(is_in_force(2))


def test_an_epoch_that_a_restored_store_has_no_tags_of_is_stated_no_more_and_followed_by_another(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path)
    back_up(tmp_path)
    change(world)
    restore(tmp_path)

    assert started(world) == (), "before anybody can ask"
    world.live(is_in_force(3))

    store = world.opened()
    assert all(world.finds(store, row, 3) for row in (ANN, BOB))
    assert {epoch for _, epoch in KeyRing.load(tmp_path).oprf} == {3}
    store.close()


def test_an_epoch_that_is_still_tagged_goes_on_until_another_follows_the_one_that_is_not(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path)
    back_up(tmp_path)
    store = world.opened()
    order_epochs(tmp_path, store, Wish(OVERLAP), START)
    store.close()
    world.live(is_stated(2))
    restore(tmp_path)

    assert started(world) == (("involvement", 1), ("protected", 1))
    order = read_order(tmp_path)
    assert order is not None
    assert order.epochs == {("involvement", 3), ("protected", 3)}
    world.live(is_stated(3))


def test_one_set_that_is_not_tagged_is_enough(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    store = world.opened()
    with store.write() as conn:
        conn.execute(delete(load_set).where(load_set.c.set_id == 1))
    store.close()

    assert len(started(world)) == 1
    world.live(is_stated(2))


def test_a_store_that_lacks_what_was_logged_is_noticed_though_all_is_tagged_in_it(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    log_something(world)
    back_up(tmp_path)
    log_something(world)
    world.live(lambda rotation: True)
    restore(tmp_path)
    log_something(world)  # as many entries as there were

    assert started(world) == ()
    world.live(is_in_force(2))
    assert started(world) == (("involvement", 2), ("protected", 2)), "noticed once"


def test_a_store_that_only_went_on_is_not_taken_for_an_older_one(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    for _ in range(3):
        log_something(world)
        world.live(lambda rotation: True)
        assert len(started(world)) == 2
    (tmp_path / FILE_NAME).unlink()
    assert len(started(world)) == 2
    assert read_mark(tmp_path) == StoreMark()


def test_nothing_is_stated_of_an_empty_store_in_the_place_of_one_with_records(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    log_something(world)
    world.live(lambda rotation: True)
    for path in tmp_path.glob(f"{STORE}*"):
        path.unlink()

    assert started(world) == ()
    for _ in range(2):
        store = world.opened()
        with pytest.raises(StoreSetBack):
            world.rotation(store).step()
        store.close()
    assert started(world) == ()

    world.load([ANN, EVA])
    world.live(is_in_force(2))
    store = world.opened()
    assert world.finds(store, EVA, 2)
    store.close()


def test_a_mark_of_no_entry_puts_no_store_behind(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    store = world.opened()
    with store.read() as conn:
        assert not is_behind(conn, StoreMark())
        assert is_behind(conn, StoreMark(1, "00" * 32))
    store.close()


async def test_who_asks_a_node_whose_store_was_restored_is_told_nothing_before_all_is_tagged_anew(
    tmp_path: Path,
) -> None:
    async with rotating_federation(tmp_path) as made:
        police = tmp_path / "police"
        await made.stop("police")
        back_up(police)
        await made.start("police")
        await rotate(made, "police")
        await made.stop("police")
        restore(police)

        await made.start("police")
        node = made.nodes["police"]
        node.rotator.look_every_s = 0.05
        while epochs(node) != {3}:
            seen = await made.ask("social", ask_about(ZOE))
            assert seen.state("police") is not State.NOTHING_RETURNED
        await until(lambda: is_held(made, "social", "police", 3))
        assert (await made.ask("social", ask_about(ZOE))).state("police") is State.KNOWN_CURRENT
