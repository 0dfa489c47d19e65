"""A node that is killed with SIGKILL at any durable step of a change of keys goes on with it afterwards."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from elsewhere import keyfiles
from elsewhere.matchkeys import record_keys
from elsewhere.oprf.voprf import tag_each
from node.caseload.index import find_tag, short_tags
from node.caseload.job import LoadJob
from node.caseload.load import load_file, retag
from node.keys import KeyRing
from node.livekeys import LiveKeys, open_keys
from node.rotation import Rotation, order_epochs, read_order
from node.stating import Schedule
from node.store.caseload import tag_set
from node.store.engine import Store, open_store
from tests.caseload import ANN, BOB, mapping, person, write_csv

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SCHEDULE = Schedule(announce=timedelta(minutes=5))
OVERLAP = timedelta(hours=1)
STEP = timedelta(minutes=10)
STEPS = 20
FORK = multiprocessing.get_context("fork")


@dataclass
class World:
    """A node's folder with records in its store."""

    folder: Path

    def opened(self) -> Store:
        return open_store(f"sqlite:///{self.folder / 'store.sqlite'}")

    def keys(self, now: datetime) -> LiveKeys:
        return open_keys(self.folder, "police", SCHEDULE, now)

    def job(self, store: Store, now: datetime) -> LoadJob:
        ring = KeyRing.load(self.folder)
        return LoadJob(store=store, keys=ring.oprf, now=now, work=self.folder, workers=1)

    def live(self, begin: int, until: Callable[[Rotation], bool]) -> int:
        """Run as a node would from a step of time on; gives the step at which it came about."""
        store = self.opened()
        try:
            for step in range(begin, STEPS):
                now = START + step * STEP
                rotation = Rotation(self.keys(now), store, lambda now=now: now, secrets.token_bytes)  # type: ignore[misc]
                if rotation.step():
                    retag(self.job(store, now))
                if until(rotation):
                    return step
        finally:
            store.close()
        raise AssertionError("it did not come about")


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    (tmp_path / "trust").mkdir(mode=0o700)
    KeyRing.create(tmp_path, tls_pem=b"pem", random=Random(1).randbytes)
    store = made.opened()
    load_file(write_csv(tmp_path / "cases.csv", [ANN, BOB]), mapping(), made.job(store, START))
    store.close()
    made.keys(START)
    order_epochs(tmp_path, OVERLAP)
    return made


def is_over(rotation: Rotation) -> bool:
    """Whether the second epoch is alone in force."""
    return rotation.keys.view.names == (("involvement", 2), ("protected", 2))


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


def _run(folder: Path, dies_at: int) -> None:
    """A node's life, in a process of its own."""
    if dies_at >= 0:
        _die_at(dies_at)
    World(folder).live(0, is_over)


def survive(folder: Path, dies_at: int) -> int | None:
    process = FORK.Process(target=_run, args=(folder, dies_at))
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
    ring = KeyRing.load(world.folder)
    store = world.opened()
    try:
        with store.read() as conn:
            assert {row.epoch for row in conn.execute(select(tag_set))} == {2}
            for row in (ANN, BOB):
                keys = [key.data for key in record_keys(person(row))]
                tags = tag_each(ring.oprf["involvement", 2], keys)
                assert all(find_tag(conn, "involvement", 2, tag) for tag in tags)
            assert len(short_tags(conn, "involvement", 1)) == 0
    finally:
        store.close()


def test_killed_at_any_durable_step_a_change_of_keys_is_finished_by_the_next_run(world: World) -> None:
    dies_at, killed = 0, 0
    for dies_at in (*range(0, 40, 3), *range(40, 1200, 61)):
        code = survive(world.folder, dies_at)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
    assert survive(world.folder, -1) == 0
    assert killed >= 5
    check_over(world)
