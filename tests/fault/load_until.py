"""Run by the tests of killed loads in a process of its own: loads a file and kills itself at one step.

Usage: load_until.py URL FILE PHASE STEP WORKERS
       load_until.py FOLDER:STEP...     each its own process, one after another, as by PHASE event

PHASE is one that a load reports, or "switch", or "event": then STEP counts every step of writing, whatever it
is, and pieces are small, so that there are many. Before it dies it prints how many records' tags are durable.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from node.caseload import journal, reading, staging, tagging
from node.caseload import load as loading
from node.caseload.journal import Journal
from node.caseload.staging import Staging
from node.store.engine import Store, open_store
from tests.caseload import job, mapping


class Countdown:
    """Kills this process at a step."""

    def __init__(self, step: int) -> None:
        self.left, self.seen, self.durable = step, 0, 0

    def step(self) -> None:
        """Count one step; at the last, say what is kept and die as if the power had gone."""
        self.seen += 1
        self.left -= 1
        if self.left == 0:
            os.write(1, f"KEPT {self.durable}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Load, and die on the way."""
    if "://" in sys.argv[1]:
        load_until(*sys.argv[1:])
        return
    for point in sys.argv[1:]:
        folder, step = point.split(":")
        if not os.fork():
            load_until(f"sqlite:///{folder}/store.sqlite", f"{folder}/new.csv", "event", step, "1")
            os._exit(0)
        os.wait()


def load_until(url: str, file: str, phase: str, step: str, workers: str) -> None:
    """Load once."""
    down = Countdown(int(step))

    def told(now: str, _done: int, _total: int) -> None:
        if now == phase:
            down.step()

    if phase == "switch":
        _before(Staging, "switch", down.step)
    if phase == "event":
        _make_steps_small()
        _before(Journal, "add", down.step)
        _count_flushes(down)
        _count_writes(down)
    store = open_store(url)
    given = job(store, workers=int(workers), work=Path(file).parent)
    loading.load_file(Path(file), mapping(), given, told)
    print(f"LOADED {down.seen}", flush=True)  # noqa: T201 - the test reads it


def _make_steps_small() -> None:
    """Let a small file take many steps."""
    tagging.CHUNK_RECORDS = 8  # type: ignore[attr-defined]
    journal._SEGMENT_ROWS = 900
    reading._CHUNK_ROWS = 10
    staging.BATCH = 10


def _before(kind: type, name: str, told: Callable[[], None]) -> None:
    """Call something before each call of a method."""
    method = getattr(kind, name)

    def first_told(*args: object) -> object:
        told()
        return method(*args)

    setattr(kind, name, first_told)


def _count_flushes(down: Countdown) -> None:
    """A step before tags are made durable, and one after."""
    flush = Journal.flush

    def counted(self: Journal) -> None:
        pending = len(self._owners)
        down.step()
        flush(self)
        down.durable += pending
        down.step()

    Journal.flush = counted  # type: ignore[method-assign]


def _count_writes(down: Countdown) -> None:
    """A step inside each transaction of the store, and one after it."""
    write = Store.write

    @contextlib.contextmanager
    def counted(self: Store) -> Iterator[Any]:
        with write(self) as conn:
            yield conn
            down.step()
        down.step()

    Store.write = counted  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
