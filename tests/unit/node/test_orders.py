"""Orders for new keys: one at a time, unless keys may have been seen; what does not end is told."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection

from elsewhere.cli.node_rotate import describe_keys, key_status_to_json
from elsewhere.cli.node_rotate import rotate as rotate_command
from node.errors import KeysOverdue, LeadLost, RotationRunning
from node.keys.orders import Wish, order_epochs, read_order
from node.keys.ring import KeyRing
from node.keys.rotation import Rotation
from node.keys.status import check_on_time, key_status
from node.store.engine import Store
from tests.changing import OVERLAP, SCHEDULE, START, STEP, STEPS, World, is_in_force, is_stated, make_world

HOUR = timedelta(hours=1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


@pytest.fixture
def store(world: World) -> Store:
    return world.opened()


def at_hand(world: World) -> set[int]:
    return {epoch for _, epoch in KeyRing.load(world.folder).oprf}


def test_a_second_order_is_refused_while_a_change_is_under_way(world: World, store: Store) -> None:
    first = order_epochs(world.folder, store, Wish(OVERLAP), START)

    with pytest.raises(RotationRunning, match="--compromised"):
        order_epochs(world.folder, store, Wish(HOUR / 2), START)
    assert read_order(world.folder) == first


def test_keys_that_may_have_been_seen_are_replaced_with_those_of_a_change_under_way(
    world: World, store: Store
) -> None:
    planned = order_epochs(world.folder, store, Wish(timedelta(days=4)), START)
    assert world.rotation(store).step() >= planned.epochs, "its keys are there, and nothing is tagged yet"
    assert at_hand(world) == {1, 2}

    order_epochs(world.folder, store, Wish(HOUR, is_compromised=True), START)
    world.rotation(store).step()
    assert at_hand(world) == {1, 3}, "keys that may have been seen are never stated"
    world.live(is_stated(3))
    first = world.keys(store).view.own.statement.oprf_key("involvement", 1)
    assert first is not None
    assert first.valid_until_utc <= world.now + SCHEDULE.announce + HOUR
    world.live(is_in_force(3))
    assert at_hand(world) == {3}


def test_the_command_refuses_a_second_change_and_says_how_to_begin_again(world: World) -> None:
    def rotate(*options: str) -> str:
        arguments = ["epoch", "--dir", str(world.folder), *options]
        found = CliRunner().invoke(rotate_command, arguments, catch_exceptions=False)
        assert found.exit_code == 0, found.output
        return found.output

    rotate()
    with pytest.raises(RotationRunning):
        rotate("--overlap-hours", "1")
    said = rotate("--compromised")
    assert "involvement (epoch 3)" in said
    for word in ("\nnow:", "\nlater:", "\nto do:", "rotate sealing", "destroyed", "given up"):
        assert word in said, word
    order = read_order(world.folder)
    assert order is not None
    assert order.overlap == HOUR
    rotate("--compromised", "--overlap-hours", "2")
    order = read_order(world.folder)
    assert order is not None
    assert order.overlap == 2 * HOUR


def test_a_change_that_does_not_come_about_is_overdue_after_a_day(world: World, store: Store) -> None:
    order_epochs(world.folder, store, Wish(OVERLAP), START)

    check_on_time(world.folder, SCHEDULE, START + SCHEDULE.alarm)
    late = START + SCHEDULE.alarm + STEP
    with pytest.raises(KeysOverdue, match="2026-03-02T09:00:00"):
        check_on_time(world.folder, SCHEDULE, late)
    found = key_status(world.folder, SCHEDULE, late)
    assert found is not None
    assert "OVERDUE" in "\n".join(describe_keys(found, late))
    said = key_status_to_json(found)
    assert said is not None
    assert said["overdue_since"] == "2026-03-02T09:00:00Z"


def test_an_epoch_that_ended_and_is_not_destroyed_is_overdue(world: World, store: Store) -> None:
    order_epochs(world.folder, store, Wish(OVERLAP), START)
    world.live(is_stated(2))
    first = world.keys(store).view.own.statement.oprf_key("involvement", 1)
    assert first is not None

    check_on_time(world.folder, SCHEDULE, first.valid_until_utc + SCHEDULE.alarm)
    with pytest.raises(KeysOverdue):
        check_on_time(world.folder, SCHEDULE, first.valid_until_utc + SCHEDULE.alarm + HOUR)


def test_an_old_epoch_that_nothing_was_ordered_for_is_overdue(world: World) -> None:
    check_on_time(world.folder, SCHEDULE, START + SCHEDULE.epoch)
    with pytest.raises(KeysOverdue):
        check_on_time(world.folder, SCHEDULE, START + SCHEDULE.epoch + SCHEDULE.alarm)


def test_a_process_that_does_not_lead_takes_no_step(world: World, store: Store) -> None:
    def check(_: Connection) -> None:
        raise LeadLost("another process leads")

    order_epochs(world.folder, store, Wish(OVERLAP), START)
    rotation = Rotation(world.keys(store), store, lambda: START, bytes, check)
    with pytest.raises(LeadLost):
        rotation.step()
    rotation.withdraw()

    assert at_hand(world) == {1}


def test_steps_of_two_processes_at_once_are_the_steps_of_one(world: World, store: Store) -> None:
    order_epochs(world.folder, store, Wish(OVERLAP), START)
    failed: list[BaseException] = []

    def live() -> None:
        own = World(world.folder)
        try:
            for own.step in range(STEPS):
                opened = own.opened()
                own.rotation(opened).step()
                opened.close()
        except BaseException as err:
            failed.append(err)

    both = [threading.Thread(target=live) for _ in range(2)]
    for one in both:
        one.start()
    world.live(is_stated(2))
    for one in both:
        one.join(60)
    world.step = STEPS  # what the two stated may begin as late as their clocks went
    world.live(is_in_force(2))

    assert failed == []
    assert world.keys(store).view.own.statement.version <= 3 + 1
    assert at_hand(world) == {2}
