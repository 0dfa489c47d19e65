"""Another local key: all at rest opens under it alone, nothing is lost, and a kill is finished later."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from elsewhere.asking import State
from elsewhere.cli.main import commands
from elsewhere.errors import KeyFileMissing, SealBroken
from node.asking.history import History
from node.config import load_config
from node.errors import NodeRunning
from node.keys import local
from node.keys.ring import LOCAL_NEXT, KeyRing
from node.keys.vault import Vault
from node.owning import open_own
from node.processes.place import Place
from node.store.exchange import opening, published
from tests.federation import KAI, ZOE, Federation, ask_about, small_federation


def rotate(folder: Path) -> Any:
    """Run the command."""
    return CliRunner().invoke(commands, ["node", "rotate", "local", "--dir", str(folder)])


def snapshots(folder: Path) -> list[tuple[Any, ...]]:
    """Which catalogues an agency has published."""
    with open_own(load_config(folder)) as store, store.read() as connection:
        columns = (published.c.collection, published.c.epoch, published.c.snapshot_version)
        return [tuple(row) for row in connection.execute(select(*columns))]


def opened(folder: Path, key: bytes) -> int:
    """How many questions that are kept open under a key; raises SealBroken for one that does not."""
    with open_own(load_config(folder)) as store, store.read() as connection:
        ids = list(connection.execute(select(opening.c.lookup_id)).scalars())
        return len([History(Vault(key), os.urandom).opening(connection, one) for one in ids])


async def asked(made: Federation) -> None:
    """Both are asked: social care keeps how, the police answer."""
    for child in (ZOE, KAI):
        assert (await made.ask("social", ask_about(child))).state("police") is State.KNOWN_CURRENT


async def test_all_at_rest_is_encrypted_anew_and_nothing_is_lost(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await asked(made)
        for agency in ("social", "police"):
            await made.stop(agency)
            folder = made.folder / agency
            before, versions = KeyRing.load(folder).local, snapshots(folder)

            said = rotate(folder)

            assert said.exit_code == 0, said.output
            after = KeyRing.load(folder).local
            assert after != before
            assert all(before not in path.read_bytes() for path in (folder / "keys").iterdir())
            assert not list((folder / "catalogues").glob("peer.*"))
            assert snapshots(folder) == versions
            if agency == "social":
                assert f"{opened(folder, after)} questions kept" in said.output
                with pytest.raises(SealBroken):
                    opened(folder, before)
            await made.start(agency)
            assert snapshots(folder) == versions, "nothing had to be published anew"
        await asked(made)


Breaks = Callable[[pytest.MonkeyPatch], None]


def fails(*found: Any, **named: Any) -> Any:
    raise KeyboardInterrupt


def half_superseded(held: Path, successor: Path) -> Path:
    os.link(held, held.with_name("local-before.key"))
    raise KeyboardInterrupt


STEPS: dict[str, Breaks] = {
    "the key is made": lambda patch: patch.setattr(local, "_reseal_openings", fails),
    "questions are encrypted": lambda patch: patch.setattr(local, "_rewrite_catalogues", fails),
    "catalogues are encrypted": lambda patch: patch.setattr(local, "_drop_copies", fails),
    "copies are gone": lambda patch: patch.setattr(local, "supersede", fails),
    "the key before has two names": lambda patch: patch.setattr(local, "supersede", half_superseded),
    "the key is in force": lambda patch: patch.setattr(local, "destroy_secret", fails),
}


@pytest.mark.parametrize("step", STEPS)
async def test_whenever_it_is_killed_it_is_finished_by_doing_it_again(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_federation(tmp_path) as made:
        await asked(made)
        await made.stop("social")
        folder = made.folder / "social"
        before = KeyRing.load(folder).local
        with monkeypatch.context() as broken:
            STEPS[step](broken)
            assert rotate(folder).exit_code != 0
        if step != "the key is in force":
            with pytest.raises(KeyFileMissing, match="rotate local"):
                KeyRing.load(folder)

        assert rotate(folder).exit_code == 0

        after = KeyRing.load(folder).local
        assert opened(folder, after) == 2
        names = sorted(path.name for path in (folder / "keys").glob("local*"))
        assert names == ["local.key"]
        assert all(before not in path.read_bytes() for path in (folder / "keys").iterdir())
        await made.start("social")
        await asked(made)


async def test_while_a_process_of_the_node_runs_nothing_is_changed(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await made.stop("social")
        folder = made.folder / "social"
        before = KeyRing.load(folder).local
        other = Place(folder, "second")
        for place in (Place(folder), other):
            with place.alone():
                refused = rotate(folder)
            assert isinstance(refused.exception, NodeRunning)
        assert KeyRing.load(folder).local == before
        assert not (folder / "keys" / LOCAL_NEXT).exists()


async def test_what_opens_under_neither_key_is_not_thrown_away(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await asked(made)
        await made.stop("social")
        folder = made.folder / "social"
        key = folder / "keys" / "local.key"
        right = key.read_bytes()
        key.write_bytes(bytes(32))  # as after a restore of the wrong key

        refused = rotate(folder)

        assert isinstance(refused.exception, SealBroken)
        key.write_bytes(right)
        assert rotate(folder).exit_code == 0
        assert opened(folder, KeyRing.load(folder).local) == 2
