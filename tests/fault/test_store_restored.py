"""A store that was put back to an older state answers nothing before all of its sources are loaded again."""

from __future__ import annotations

import asyncio
import json
import shutil
import tomllib
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select

from elsewhere.asking import State
from elsewhere.cli.main import commands
from node.caseload.load import load_file
from node.caseload.mapping import parse_mapping
from node.errors import StoreSetBack
from node.keys.orders import Wish, order_epochs, read_order
from node.keys.ring import KeyRing
from node.keys.status import key_status
from node.ledger import book
from node.store.caseload import load_set
from node.store.exchange import log
from node.storemark import FILE_NAME, StoreMark, accept, is_behind, read_mark
from tests.caseload import ANN, BOB, EVA, MAPPING, write_csv
from tests.changing import OVERLAP, SCHEDULE, START, World, is_in_force, is_stated, make_world
from tests.federation import ask_about
from tests.rotating import KAI, ZOE, epochs, is_held, rotate, rotating_federation, until

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
        entry = book.make_entry("catalogue", {"nonce": Random().randbytes(8).hex()}, world.now)
        book.append(conn, entry)
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
    world.load([ANN, BOB])
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
    (tmp_path / FILE_NAME).unlink()  # as if nothing had been logged in between

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
    world.load([ANN, BOB])
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


def load_as(world: World, source: str, rows: list[dict[str, str]]) -> None:
    """Load rows as a source of that name."""
    form = tomllib.loads(MAPPING)
    form["source"]["name"] = source
    store, export = world.opened(), write_csv(world.folder / f"{source}.csv", rows)
    load_file(export, parse_mapping(form), world.job(store, world.now))
    store.close()


def lose(world: World) -> None:
    """Remove the store."""
    for path in world.folder.glob(f"{STORE}*"):
        path.unlink()


def refuses_to_state(world: World) -> str:
    """Take two steps; say why nothing is stated."""
    for _ in range(2):
        store = world.opened()
        with pytest.raises(StoreSetBack) as told:
            world.rotation(store).step()
        store.close()
        assert started(world) == ()
    return str(told.value)


def finds(world: World, row: dict[str, str], epoch: int) -> bool:
    store = world.opened()
    try:
        return world.finds(store, row, epoch)
    finally:
        store.close()


def test_nothing_is_stated_of_an_empty_store_in_the_place_of_one_with_records(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.live(lambda rotation: True)
    lose(world)

    assert started(world) == ()
    assert "cases" in refuses_to_state(world)

    world.load([ANN, EVA])
    world.live(is_in_force(2))
    assert finds(world, EVA, 2)


def test_a_restore_is_noticed_though_nothing_but_a_load_came_after_the_backup(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.live(lambda rotation: True)
    back_up(tmp_path)
    world.load([ANN, BOB, EVA])
    restore(tmp_path)

    assert started(world) == ()
    assert "cases" in refuses_to_state(world)
    world.load([ANN, BOB, EVA])
    world.live(is_in_force(2))
    assert finds(world, EVA, 2)


def test_a_load_into_a_restored_store_counts_though_no_node_ran_since(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    back_up(tmp_path)
    world.load([ANN, BOB, EVA])
    restore(tmp_path)
    world.load([ANN, BOB, EVA])

    assert started(world) == (), "others hold catalogues from after the backup"
    world.live(is_in_force(2))
    assert finds(world, EVA, 2)


@pytest.mark.parametrize("first", ["cases", "second"])
def test_after_a_loss_each_source_has_to_be_loaded_again(tmp_path: Path, first: str) -> None:
    world = make_world(tmp_path)
    load_as(world, "second", [EVA])
    lose(world)
    assert started(world) == ()

    load_as(world, first, [ANN, BOB])
    missing = {"cases": "second", "second": "cases"}[first]
    assert f"missing: {missing}." in refuses_to_state(world)
    found = key_status(tmp_path, SCHEDULE, world.now)
    assert found is not None
    assert found.missing_sources == (missing,)
    lose(world)
    assert "missing: cases, second." in refuses_to_state(world), "a second loss forgets none"

    load_as(world, first, [ANN, BOB])
    load_as(world, missing, [EVA])
    world.live(is_in_force(2))
    assert finds(world, EVA, 2)


def test_what_is_said_to_be_all_is_stated_under_new_keys_and_that_is_logged(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    load_as(world, "second", [EVA])
    lose(world)
    world.load([ANN, BOB])
    refuses_to_state(world)

    line = ["node", "accept-store", "--yes", "--dir", str(tmp_path)]
    told = CliRunner().invoke(commands, line)
    assert told.exit_code == 0, told.output
    assert "second" in told.output
    world.live(is_in_force(2))
    store = world.opened()
    with store.read() as conn:
        body = conn.execute(select(log.c.body).where(log.c.kind == "store_accepted")).scalar_one()
    store.close()
    assert json.loads(body)["missing"] == ["second"]
    assert "nothing to accept" in CliRunner().invoke(commands, line).output


def test_an_unnoticed_restore_that_is_accepted_still_ends_what_was_stated(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    back_up(tmp_path)
    log_something(world)
    world.live(lambda rotation: True)
    restore(tmp_path)

    store = world.opened()
    assert accept(tmp_path, store, START) == ("cases",)
    store.close()
    assert started(world) == ()
    world.live(is_in_force(2))


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

        await made.begin("police")
        await until(lambda: made.nodes["police"].status().is_ready)
        node = made.nodes["police"]
        node.rotator.look_every_s = 0.05
        for _ in range(3):
            seen = await made.ask("social", ask_about(ZOE))
            assert seen.state("police") is not State.NOTHING_RETURNED
        assert not epochs(node), "nothing is stated before the source is loaded again"
        made.load("police", [ZOE, KAI])
        while epochs(node) != {3}:
            seen = await made.ask("social", ask_about(ZOE))
            assert seen.state("police") is not State.NOTHING_RETURNED
        await until(lambda: is_held(made, "social", "police", 3))
        # A gateway may show a version a moment before the police state it: STALE then, which is no miss.
        while (seen := await made.ask("social", ask_about(ZOE))).state("police") is State.STALE:
            await asyncio.sleep(0.2)
        assert seen.state("police") is State.KNOWN_CURRENT
