"""The process that tags all records runs this node's code, whatever lies in the current folder."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from node.keys import KeyRing
from node.retagging import Rotator
from node.store.engine import open_store

_PLANTED = "import pathlib\npathlib.Path('planted').touch()\n"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The folder of a node that holds no record yet."""
    folder = tmp_path / "police"
    folder.mkdir(mode=0o700)
    (folder / "node.toml").write_text('agency = "police"\nname = "Police"\n', "utf-8")
    KeyRing.create(folder, tls_pem=b"pem", random=Random(3).randbytes)
    open_store(f"sqlite:///{folder / 'store.sqlite'}").close()
    return folder


async def _retag_once(node: Path) -> bool:
    """Have all records tagged; tells whether that went well."""
    is_waiting = [True]
    rotator = Rotator(node, is_waiting.pop, look_every_s=60)
    await rotator.look()
    assert rotator._watching is not None
    await asyncio.wait_for(rotator._watching, 60)
    return not rotator._failed


def test_code_in_the_current_folder_is_not_run(
    node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    (here / "node").mkdir(parents=True)
    for name in ("node/__init__.py", "node/retag.py", "structlog.py", "asyncio.py"):
        (here / name).write_text(_PLANTED, "utf-8")
    monkeypatch.chdir(here)
    monkeypatch.delenv("PYTHONPATH", raising=False)

    assert asyncio.run(_retag_once(node))
    assert not (here / "planted").exists()
