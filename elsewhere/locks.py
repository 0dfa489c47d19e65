"""Locks between processes, also on several machines that mount one folder: each is an empty file of its own.

Promises: the system lets go of a lock when its holder ends, however that ends; the file stays where it is.
Source:   flock(2), NOTES. Over NFS Linux makes of it a lock on the file's bytes at the server, for which the
          file must be open for writing. So no folder is locked, and nothing that is open for reading only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold a lock; wait for as long as another process, or another thread of this one, has it.

    Args:
        path: the lock's file, in a folder that is there; it is made if it is not.
    """
    with _open(path) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold a lock if nobody else does; give whether that is so. Never waits. `path` as for `hold_lock`."""
    with _open(path) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


@contextlib.contextmanager
def _open(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)
