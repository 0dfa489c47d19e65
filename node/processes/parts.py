"""The parts of a process that run side by side until it stops: links, catalogues, the lead and others.

Promises: no part is missed. One that fails, or is cancelled by something else than `end`, stops the process
          in good order, and whoever watches over it sees that by its status and can start it again.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

Work = Callable[[], Coroutine[Any, Any, None]]
_log = structlog.get_logger(__name__)


class Parts:
    """The tasks of one process."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_ending = False
        self.has_failed = False

    def begin(self, work: Work) -> None:
        """Have a part run; it may end by itself once it is told to."""
        task = asyncio.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def end(self) -> None:
        """Cancel all that still run, and wait until they have ended."""
        self._is_ending = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A part that did not end well is a mistake of ours: say so, and stop rather than limp on."""
        self._tasks.discard(task)
        if task.cancelled():
            error = "" if self._is_ending else asyncio.CancelledError.__name__
        else:
            error = type(task.exception()).__name__ if task.exception() is not None else ""
        if error:
            self.has_failed = True
            _log.error("node.part_failed", error=error)
            os.kill(os.getpid(), signal.SIGTERM)
