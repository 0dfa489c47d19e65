"""Locks between processes hold on one disk, and are asked for as a shared file system can give them."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from elsewhere.locks import hold_lock, try_lock
from gateway.folder import alone, running_alone
from node.processes.place import Place
from node.processes.rights import hold_right_to_keys, hold_right_to_load
from node.store.engine import open_store
from tests.architecture.sources import imported_modules, sources

Right = Callable[[Path], AbstractContextManager[object]]
_HOLDER = """
import sys
from pathlib import Path
from elsewhere.locks import hold_lock
with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def _keys(folder: Path) -> AbstractContextManager[None]:
    return hold_right_to_keys(folder, open_store(f"sqlite:///{folder / 'store.sqlite'}"))


def _loads(folder: Path) -> AbstractContextManager[None]:
    return hold_right_to_load(folder, open_store(f"sqlite:///{folder / 'store.sqlite'}"))


RIGHTS: dict[str, Right] = {
    "keys": _keys,
    "loads": _loads,
    "process": lambda folder: Place(folder).alone(),
    "further process": lambda folder: Place(folder, "second").alone(),
    "gateway": running_alone,
    "operator": alone,
}


def test_only_one_holds_a_lock(tmp_path: Path) -> None:
    with try_lock(tmp_path / "a.lock") as first, try_lock(tmp_path / "a.lock") as second:
        assert (first, second) == (True, False)
    with hold_lock(tmp_path / "a.lock"), try_lock(tmp_path / "b.lock") as other:
        assert other
    assert (tmp_path / "a.lock").stat().st_mode & 0o077 == 0


def test_a_lock_of_a_process_that_is_killed_is_free(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    command = [sys.executable, "-c", _HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with try_lock(path) as is_mine:
            assert not is_mine
        holder.kill()
        holder.wait()
    with try_lock(path) as is_mine:
        assert is_mine


@pytest.mark.parametrize("name", RIGHTS)
def test_every_lock_can_be_had_where_only_files_open_for_writing_can_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked: list[int] = []
    on_disk = fcntl.flock

    def as_over_nfs(handle: int, operation: int) -> None:
        asked.append(handle)
        is_open_for_writing = fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR
        if not (stat.S_ISREG(os.fstat(handle).st_mode) and is_open_for_writing):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        on_disk(handle, operation)

    (tmp_path / "keys").mkdir()
    monkeypatch.setattr(fcntl, "flock", as_over_nfs)
    with RIGHTS[name](tmp_path):
        pass

    assert asked


def test_only_one_file_asks_the_system_for_locks() -> None:
    asking = {source.path for source in sources() if "fcntl" in set(imported_modules(source))}

    assert asking == {"elsewhere/locks.py"}
