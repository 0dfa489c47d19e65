"""The process that tags all records runs this node's code, under the keys ordered last; failures are told."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from structlog.testing import capture_logs

from elsewhere.errors import StoreUnavailable
from node.errors import KeysOverdue, LeadLost
from node.keys import rotator
from node.keys.ring import KeyRing
from node.keys.rotator import Rotator
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
    rotator = Rotator(node, lambda: frozenset({("involvement", 1)}), lambda: None, look_every_s=60)
    await rotator.look()
    assert rotator._watching is not None
    await asyncio.wait_for(rotator._watching, 60)
    return not rotator._failed


def test_code_in_the_current_folder_is_not_run(
    node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    (here / "node" / "keys").mkdir(parents=True)
    for name in (
        "node/__init__.py",
        "node/keys/__init__.py",
        "node/keys/retag.py",
        "structlog.py",
        "asyncio.py",
    ):
        (here / name).write_text(_PLANTED, "utf-8")
    monkeypatch.chdir(here)
    monkeypatch.delenv("PYTHONPATH", raising=False)

    assert asyncio.run(_retag_once(node))
    assert not (here / "planted").exists()


_NODE = """
import asyncio, pathlib, sys
from node.keys.rotator import Rotator

async def main():
    made = Rotator(pathlib.Path(sys.argv[1]), lambda: frozenset({("involvement", 1)}), lambda: None)
    await made.look()
    print("pid", made._process.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_the_process_that_tags_ends_with_a_node_that_is_killed(node: Path) -> None:
    # Whoever reads these settings waits for ever, with the keys before it: as one that has much to tag.
    (node / "node.toml").unlink()
    os.mkfifo(node / "node.toml")
    with subprocess.Popen([sys.executable, "-c", _NODE, node], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        said = next(line for line in running.stdout if line.startswith(b"pid "))
        running.kill()
        try:
            # Both have it open, so it ends with the last of them.
            rest, _ = running.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.kill(int(said.split()[1]), signal.SIGKILL)
            raise
    assert rest == b""


@pytest.fixture
def retagging(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """In the place of the process that tags, one that takes its time."""
    code = tmp_path / "code"
    (code / "node" / "keys").mkdir(parents=True)
    for room in ("node", "node/keys"):
        (code / room / "__init__.py").write_text("", "utf-8")
    (code / "node" / "keys" / "retag.py").write_text(
        "import sys\nsys.stdin.close()\nimport time\ntime.sleep(600)\n"
    )
    monkeypatch.setattr(rotator, "_environment", lambda: {**os.environ, "PYTHONPATH": str(code)})
    return code


async def test_records_are_tagged_under_the_keys_ordered_last(retagging: Path, tmp_path: Path) -> None:
    wanted = [frozenset({("involvement", 2)})]
    made = Rotator(tmp_path, lambda: wanted[-1], lambda: None)
    await made.look()
    first = made._process
    await made.look()
    assert first is not None
    assert made._process is first, "the same keys: it goes on"

    wanted.append(frozenset({("involvement", 3)}))
    await made.look()
    assert first.returncode is not None
    assert made._watching is not None
    await asyncio.wait_for(made._watching, 30)
    assert not made._failed
    await made.look()
    second = made._process
    assert second is not None
    assert second.pid != first.pid
    await made._end()
    await asyncio.wait_for(made._watching, 30)


async def test_what_fails_is_said_once_and_a_change_that_does_not_end_too(tmp_path: Path) -> None:
    def step() -> frozenset[tuple[str, int]]:
        raise StoreUnavailable("the server is gone")

    def check() -> None:
        raise KeysOverdue("since yesterday")

    made = Rotator(tmp_path, step, check)
    with capture_logs() as said:
        for _ in range(3):
            await made.look()
        made._said["keys.overdue"] = 0.0  # an hour later
        await made.look()

    assert [(entry["event"], entry["code"]) for entry in said] == [
        ("keys.not_changed", "store.unavailable"),
        ("keys.overdue", "keys.overdue"),
        ("keys.overdue", "keys.overdue"),
    ]
    assert all(entry["log_level"] == "error" for entry in said)


async def test_a_process_that_lost_the_lead_says_nothing(tmp_path: Path) -> None:
    def step() -> frozenset[tuple[str, int]]:
        raise LeadLost("another process leads")

    with capture_logs() as said:
        await Rotator(tmp_path, step, lambda: None).look()

    assert said == []
