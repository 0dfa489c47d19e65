"""One gateway to a folder, and one to a store: a mistake in the settings is refused at the start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from elsewhere.cli.main import commands
from elsewhere.database.owning import StoreTaken
from elsewhere.errors import ConfigInvalid
from gateway.config import GatewayConfig, load_config
from gateway.folder import GatewayRunning, owner_id
from gateway.service import Gateway, run
from gateway.store import Store
from tests.gateway_support import found, utc_now


def configured(folder: Path, url: str) -> GatewayConfig:
    """A founded gateway whose store is at that URL."""
    folder.mkdir()
    found(folder, store={"url": url})
    return load_config(folder)


async def test_the_store_of_one_gateway_is_refused_to_another_until_it_is_taken_over(
    tmp_path: Path, store_url: str
) -> None:
    one, other = (configured(tmp_path / name, store_url) for name in ("one", "other"))
    for _ in range(2):  # again, as after a restart
        Gateway(one, clock=utc_now)._store.close()
    with pytest.raises(StoreTaken, match="take-store"):
        Gateway(other, clock=utc_now)
    Gateway(one, clock=utc_now)._store.close()

    line = ["gateway", "take-store", "--dir", str(other.dir)]
    assert CliRunner().invoke(commands, line, input="n\n").exit_code == 1
    with pytest.raises(StoreTaken):
        Gateway(other, clock=utc_now)
    assert CliRunner().invoke(commands, line, input="y\n").exit_code == 0
    Gateway(other, clock=utc_now)._store.close()
    with pytest.raises(StoreTaken):
        Gateway(one, clock=utc_now)


def test_nothing_of_a_store_is_changed_by_who_is_refused(tmp_path: Path, store_url: str) -> None:
    store = Store(store_url)
    store.claim("a" * 32)
    store.put_statement("police", b"signed")
    with pytest.raises(StoreTaken):
        store.claim("b" * 32)
    store.claim("a" * 32)
    assert store.statements() == {"police": b"signed"}
    store.close()


async def test_a_folder_in_which_a_gateway_runs_is_refused_to_a_second(tmp_path: Path) -> None:
    found(tmp_path)
    config = load_config(tmp_path)
    is_ready = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(run(config, clock=utc_now, ready=is_ready.set_result))
    gateway = await is_ready
    with pytest.raises(GatewayRunning):
        await run(config, clock=utc_now, ready=lambda gateway: None)
    taken = CliRunner().invoke(commands, ["gateway", "take-store", "--yes", "--dir", str(tmp_path)])
    assert isinstance(taken.exception, GatewayRunning)
    gateway.stop()
    await serving

    await run(config, clock=utc_now, ready=Gateway.stop)


def test_a_folder_keeps_its_id_and_no_two_have_the_same(tmp_path: Path) -> None:
    made = owner_id(tmp_path, lambda size: b"\x01" * size)
    assert owner_id(tmp_path, lambda size: b"\x02" * size) == made == "01" * 16
    (tmp_path / "store.id").write_text("something else")
    with pytest.raises(ConfigInvalid, match="hexadecimal"):
        owner_id(tmp_path, lambda size: b"\x03" * size)
