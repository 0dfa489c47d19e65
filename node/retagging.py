"""Has all records tagged under new keys by a process of its own, while this one goes on answering.

Promises: one such process at a time, of lower priority than lookups; it ends with this node. One that fails
          or is killed is started again after a while, and what it leaves half done is seen by nobody. It
          runs the code that this process runs, whatever lies in the current folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from elsewhere.errors import ElsewhereError

LOOK_EVERY_S: Final = 2.0
FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 600.0
_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Rotator:
    """Takes step after step of a rotation for as long as the node runs. All calls on the event loop."""

    directory: Path
    step: Callable[[], bool]  # of `Rotation`
    look_every_s: float = LOOK_EVERY_S
    _process: asyncio.subprocess.Process | None = None
    _watching: asyncio.Task[None] | None = None
    _failed: int = 0
    _again_at: float = 0.0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self.look()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), self.look_every_s)
                self._news.clear()
        finally:
            await self._end()

    async def look(self) -> None:
        """Take a step, and have the records tagged if it waits for that."""
        try:
            is_waiting = await asyncio.to_thread(self.step)
        except (ElsewhereError, OSError, SQLAlchemyError) as err:
            _log.error("keys.not_changed", code=str(getattr(err, "code", type(err).__name__)))
            return
        if is_waiting and self._process is None and asyncio.get_running_loop().time() >= self._again_at:
            await self._begin()

    async def _begin(self) -> None:
        """Start tagging."""
        command = (sys.executable, "-P", "-m", "node.retag", str(self.directory))
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, env=_environment()
        )
        _log.info("retag.started")
        self._watching = asyncio.create_task(self._watch(self._process))

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Wait for its end; one that failed is not started again at once."""
        code = await process.wait()
        self._process = None
        if code == 0:
            self._failed = 0
            _log.info("retag.done")
        else:
            pause_s = min(FIRST_PAUSE_S * 2**self._failed, LONGEST_PAUSE_S)
            self._failed = min(self._failed + 1, 20)
            self._again_at = asyncio.get_running_loop().time() + pause_s
            _log.error("retag.failed", exit=code, again_in_s=pause_s)
        self._news.set()

    async def _end(self) -> None:
        """Let no process go on by itself."""
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


def _environment() -> dict[str, str]:
    """Our own environment; a checkout that is not installed is found where this very module was."""
    root = str(Path(__file__).resolve().parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
