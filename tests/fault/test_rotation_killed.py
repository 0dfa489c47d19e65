"""A node that is killed with SIGKILL at any durable step of a change of keys goes on with it afterwards."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from elsewhere import keyfiles
from node.keys.orders import Wish, order_epochs, read_order
from node.store.caseload import tag_set
from node.store.engine import Store
from tests.caseload import ANN, BOB
from tests.changing import OVERLAP, START, World, is_in_force, make_world
from tests.held import short_tags

# Forked from a process without threads: those of this one, gRPC's among them, would be missing in a child.
FORK = multiprocessing.get_context("forkserver")


@pytest.fixture
def world(tmp_path: Path, each_engine: None) -> World:
    made = make_world(tmp_path)
    store = made.opened()
    order_epochs(tmp_path, store, Wish(OVERLAP), START)
    store.close()
    return made


def _die_at(count: int) -> None:
    """Have this process killed before its n-th durable step: a file put in its place, or a transaction."""
    left = [count]

    def tick() -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sync, unlink, commit = keyfiles._sync, Path.unlink, Store.write

    def counted_sync(file: Any) -> None:
        tick()
        sync(file)

    def counted_unlink(path: Path, missing_ok: bool = False) -> None:
        tick()
        unlink(path, missing_ok=missing_ok)

    def counted_write(store: Store) -> Any:
        tick()
        return commit(store)

    keyfiles._sync = counted_sync
    Path.unlink = counted_unlink  # type: ignore[method-assign, assignment]
    Store.write = counted_write  # type: ignore[method-assign, assignment]


def _run(world: World, dies_at: int) -> None:
    """A node's life, in a process of its own."""
    if dies_at >= 0:
        _die_at(dies_at)
    World(world.folder, world.url).live(is_in_force(2))


def survive(world: World, dies_at: int) -> int | None:
    FORK.set_forkserver_preload([__name__])
    process = FORK.Process(target=_run, args=(world, dies_at))
    process.start()
    process.join(60)
    return process.exitcode


def check_over(world: World) -> None:
    """Only the second epoch is there, whole; nothing of the first is left."""
    assert read_order(world.folder) is None
    assert sorted(path.name for path in (world.folder / "keys").glob("oprf-*")) == [
        "oprf-involvement-2.key",
        "oprf-protected-2.key",
    ]
    store = world.opened()
    try:
        with store.read() as conn:
            assert {row.epoch for row in conn.execute(select(tag_set))} == {2}
            assert len(short_tags(conn, "involvement", 1)) == 0
        assert all(world.finds(store, row, 2) for row in (ANN, BOB))
    finally:
        store.close()


def test_killed_at_any_durable_step_a_change_of_keys_is_finished_by_the_next_run(world: World) -> None:
    dies_at, killed = 0, 0
    for dies_at in (*range(0, 40, 3), *range(40, 1200, 61)):
        code = survive(world, dies_at)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
    assert survive(world, -1) == 0
    assert killed >= 5
    check_over(world)
