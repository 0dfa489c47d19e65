"""Has all records tagged under new keys by a process of its own, while this one goes on answering.

Promises: one such process at a time, of lower priority than lookups; it ends with this node, also with one
          that is killed, and when other keys are ordered. One that fails or is killed is started again after
          a while, and what it leaves half done is seen by nobody. It runs the code that this process runs,
          whatever lies in the current folder. A change of keys that does not end is told once an hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from elsewhere.errors import ElsewhereError
from node.errors import LeadLost
from node.keys.ring import Name

LOOK_EVERY_S: Final = 5.0
FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 600.0
SAY_AGAIN_S: Final = 3600.0
T = TypeVar("T")
_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Rotator:
    """Takes step after step of a rotation for as long as this process leads. All calls on the event loop."""

    directory: Path
    step: Callable[[], frozenset[Name]]  # of `Rotation`
    check_on_time: Callable[[], None]  # raises KeysOverdue
    look_every_s: float = LOOK_EVERY_S
    _process: asyncio.subprocess.Process | None = None
    _watching: asyncio.Task[None] | None = None
    _tags: frozenset[Name] = frozenset()  # under which epochs the process is to leave all records tagged
    _said: dict[str, float] = field(default_factory=dict)  # codes of errors, and when they were logged
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

    def look_soon(self) -> None:
        """Take the next step now: what it follows from may have changed."""
        self._news.set()

    async def look(self) -> None:
        """Take a step, and have the records tagged if it waits for that; say once an hour what fails."""
        waits_for = await self._try("keys.not_changed", self.step)
        await self._try("keys.overdue", self.check_on_time)
        if not waits_for:
            return
        if self._process is not None:
            if waits_for != self._tags:  # it has other keys; its tags are kept as far as they are of use
                await self._end()
        elif asyncio.get_running_loop().time() >= self._again_at:
            self._tags = waits_for
            await self._begin()

    async def _try(self, event: str, work: Callable[[], T]) -> T | None:
        """Do something that may fail, and is done again at the next look."""
        try:
            return await asyncio.to_thread(work)
        except LeadLost:
            pass  # another process goes on with it
        except (ElsewhereError, OSError, SQLAlchemyError) as err:
            code, now_s = str(getattr(err, "code", type(err).__name__)), asyncio.get_running_loop().time()
            if now_s >= self._said.get(code, 0.0):
                self._said[code] = now_s + SAY_AGAIN_S
                _log.error(event, code=code, why=str(err) if isinstance(err, ElsewhereError) else "")
        return None

    async def _begin(self) -> None:
        """Start tagging."""
        command = (sys.executable, "-P", "-m", "node.keys.retag", str(self.directory))
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,  # by its end it sees that this process was killed
            env=_environment(),
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
        elif code == -signal.SIGTERM:
            _log.info("retag.ended")
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
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
