"""The folder a load works in: the right to load, and files that are too large for memory.

Sees:     tags while a load makes them; no person.
Refuses:  a second load at once.
Promises: tags that a killed load left are here until the next load ends well.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from node.caseload.journal import Journal
from node.errors import LoadRunning

LOCK = "loading.lock"
JOURNAL = "loading-tags"


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
        yield
    finally:
        os.close(handle)


def drop_tags(folder: Path) -> None:
    """Remove the tags that a killed load left; the caller holds the right to load."""
    shutil.rmtree(folder / JOURNAL, ignore_errors=True)


@contextlib.contextmanager
def keep_tags(folder: Path, *, is_fresh: bool = False) -> Iterator[Journal]:
    """Open the journal of tags in a folder; it goes when the block ends well, and stays when it raises.

    Args:
        is_fresh: throw away what a killed load left.
    """
    own = folder / JOURNAL
    if is_fresh:
        shutil.rmtree(own, ignore_errors=True)
    own.mkdir(mode=0o700, exist_ok=True)
    yield Journal(own)
    shutil.rmtree(own, ignore_errors=True)
