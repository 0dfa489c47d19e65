"""The folder a load works in: the right to load, and files that are too large for memory.

Sees:     tags and record numbers while a load spills them; no person.
Refuses:  a second load at once.
Promises: what a killed load left here is removed by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from node.caseload.spill import Spill
from node.errors import LoadRunning

LOCK = "loading.lock"
SPILL_PREFIX = "loading-"


@contextlib.contextmanager
def hold_right_to_load(folder: Path) -> Iterator[None]:
    """Be the only load that works in a folder; the kernel takes the right back from a process that dies.

    Raises:
        LoadRunning: another process is loading.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LoadRunning("expected to be the only load of this node; another one is running") from None
        # Whoever held the right before is gone, so none of these is in use.
        for left in folder.glob(SPILL_PREFIX + "*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def open_spill(folder: Path) -> Iterator[Spill]:
    """Make a spill in a folder of its own, for its owner alone, and remove it afterwards."""
    own = Path(tempfile.mkdtemp(prefix=SPILL_PREFIX, dir=folder))  # mode 0700
    try:
        with contextlib.closing(Spill(own)) as spill:
            yield spill
    finally:
        shutil.rmtree(own, ignore_errors=True)
