"""For processes that work for another one and hold its keys: they end when it does, however it ends.

Promises: that one may be killed, which says nothing: its end shows by what only it held open.
"""

from __future__ import annotations

import multiprocessing.connection
import os
import threading


def end_with(held: int) -> None:
    """End this process, at once and for good, when what its parent holds open is closed; returns at once.

    Args:
        held: a file descriptor that can be read from then on, such as the end of a pipe that the parent never
            writes to, or a parent's `sentinel`.
    """
    threading.Thread(target=_wait, args=(held,), name="end-with-parent", daemon=True).start()


def _wait(held: int) -> None:
    multiprocessing.connection.wait([held])
    os._exit(1)
