"""A node killed at any durable step of taking up another signing key goes on with it afterwards."""

from __future__ import annotations

import json
import multiprocessing
import secrets
import signal
from pathlib import Path

import pytest
from sqlalchemy import select

from elsewhere.database.owning import StoreTaken
from elsewhere.signing import SigningKey
from node.config import load_config
from node.keys.identity import read_own
from node.keys.ring import KeyRing, read_coming, read_earlier, read_signing
from node.keys.rotation import Rotation
from node.keys.signing import ask_for_signing
from node.owning import claim_own
from node.store.exchange import log
from node.store.owner import Owner, owner_of, put_owner
from tests.changing import START, World, make_world
from tests.fault.test_rotation_killed import _die_at

FORK = multiprocessing.get_context("forkserver")
MOST = 40  # durable steps that it could have


@pytest.fixture
def world(tmp_path: Path, each_engine: None) -> World:
    made = make_world(tmp_path)
    store = made.opened()
    claim_own(store, load_config(tmp_path))
    ask_for_signing(tmp_path, "police", store, secrets.token_bytes)
    store.close()
    return made


def _run(folder: Path, url: str, listed: bytes, dies_at: int) -> None:
    """A node's start and one step of its keys, in a process of its own."""
    if dies_at >= 0:
        _die_at(dies_at)
    world = World(folder, url)
    store = world.opened()
    keys = world.keys(store)
    claim_own(store, load_config(folder))
    Rotation(keys, store, lambda: START, secrets.token_bytes, listed=lambda: listed).step()
    assert keys.view.signing.public == listed
    store.close()


def survive(world: World, listed: bytes, dies_at: int) -> int | None:
    FORK.set_forkserver_preload([__name__])
    process = FORK.Process(target=_run, args=(world.folder, world.url, listed, dies_at))
    process.start()
    process.join(60)
    return process.exitcode


def check_over(world: World, before: SigningKey, after: SigningKey) -> None:
    """The new key signs, the store is its, the log says so once, and nothing is left of the one before."""
    keys = world.folder / "keys"
    assert read_signing(world.folder).key_id == after.key_id
    assert read_earlier(world.folder) == (before.public,)
    assert sorted(path.name for path in keys.glob("signing*")) == ["signing-earlier.pub", "signing.key"]
    assert all(before.seed not in path.read_bytes() for path in keys.iterdir())
    own = read_own(world.folder, KeyRing.load(world.folder).signing)
    assert own is not None
    assert own.key == after.public
    assert len(own.accepted) >= 2, "what others may still name is kept"
    store = world.opened()
    try:
        with store.read() as conn:
            owner = owner_of(conn)
            told = conn.execute(select(log.c.body).where(log.c.kind == "signing")).scalars().all()
    finally:
        store.close()
    assert owner == Owner("police", "", after.key_id)
    (body,) = told
    said = json.loads(body)
    assert (said["from"], said["to"]) == (before.key_id, after.key_id)


def test_killed_at_any_durable_step_it_is_finished_by_the_next_run(world: World) -> None:
    before, after = read_signing(world.folder), read_coming(world.folder)
    assert after is not None
    killed = 0
    for dies_at in range(MOST):
        code = survive(world, after.public, dies_at)
        if code == 0:
            break
        assert code == -signal.SIGKILL, f"step {dies_at}"
        killed += 1
    assert survive(world, after.public, -1) == 0
    assert killed >= 5
    check_over(world, before, after)


@pytest.mark.parametrize("dies_at", range(12))
def test_killed_once_it_is_finished_by_the_next_run(world: World, dies_at: int) -> None:
    before, after = read_signing(world.folder), read_coming(world.folder)
    assert after is not None
    survive(world, after.public, dies_at)
    assert survive(world, after.public, -1) == 0
    check_over(world, before, after)


def test_a_store_from_before_is_still_the_nodes_own(world: World) -> None:
    before, after = read_signing(world.folder), read_coming(world.folder)
    assert after is not None
    assert survive(world, after.public, -1) == 0
    store = world.opened()
    try:
        with store.write() as conn:
            put_owner(conn, Owner("police", "", before.key_id))  # as a backup has it
        who = claim_own(store, load_config(world.folder))
        with store.read() as conn:
            assert owner_of(conn) == who() == Owner("police", "", after.key_id)
        with store.write() as conn:
            put_owner(conn, Owner("police", "", "0" * 16))
        with pytest.raises(StoreTaken):
            claim_own(store, load_config(world.folder))
    finally:
        store.close()
