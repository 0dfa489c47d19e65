"""What one process of a node may do at a time: change its keys, and load.

Refuses:  a second load at once.
Promises: a right ends with the process that had it, however that ends. It is a lock in the node's folder, and
          where the store is on a server also one of that server's: processes on several machines keep each
          other out even if the folder's file system does not.

Whoever has the right to load may wait for the right to the keys. Whoever has that one never waits for a load.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from elsewhere.errors import StoreBusy
from elsewhere.locks import try_lock
from node.errors import LoadRunning
from node.store.engine import Store

KEYS_LOCK: Final = "keys.lock"
LOADS_LOCK: Final = "loading.lock"
KEYS: Final = 0x6B657973  # among all rights that a store's server gives out ("keys" in ASCII)
LOADS: Final = 0x6C6F6164  # "load"
PATIENCE_S: Final = 10.0  # keys are changed in milliseconds
_LOOK_S: Final = 0.02


@contextlib.contextmanager
def hold_right_to_keys(folder: Path, store: Store) -> Iterator[None]:
    """Be the only one that adds, states or destroys keys of a node; wait a few seconds for it.

    Raises:
        StoreBusy: another process does not let go of it. Try again.
        StoreUnavailable: the store's server is gone.
    """
    waited_s = 0.0
    while True:
        with try_lock(folder / KEYS_LOCK) as is_mine:
            if is_mine:
                with store.hold(KEYS, waits=True):
                    yield
                return
        if waited_s >= PATIENCE_S:
            raise StoreBusy(
                f"expected the keys to be free within {PATIENCE_S:g} s; another process changes them"
            )
        time.sleep(_LOOK_S)
        waited_s += _LOOK_S


@contextlib.contextmanager
def hold_right_to_load(folder: Path, store: Store) -> Iterator[None]:
    """Be the only load of a node; never wait.

    Raises:
        LoadRunning: another process is loading.
        StoreUnavailable: the store's server is gone.
    """
    with try_lock(folder / LOADS_LOCK) as is_mine:
        if not is_mine:
            raise LoadRunning("expected to be the only load of this node; another one is running")
        with store.hold(LOADS) as is_mine_there:
            if not is_mine_there:
                raise LoadRunning("expected to be the only load into this store; another one is running")
            yield
