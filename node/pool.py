"""The threads that do a node's cryptography: two lines in front of them, and the urgent one goes first.

Promises: as many steps at once as there are threads. What somebody is waiting to read - an answer that came -
          overtakes proofs that are still to be checked; within a line, steps are done in the order given.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_Job = Callable[[], None]


class Pool(Executor):
    """Threads for steps that block a core for milliseconds. Any thread may submit."""

    def __init__(self, workers: int) -> None:
        """Start the threads."""
        self._lines: tuple[deque[_Job], deque[_Job]] = (deque(), deque())
        # One token for each step that waits; a deque's own operations are atomic, so no lock is held.
        self._tokens: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"crypto_{number}", daemon=True)
            for number in range(workers)
        ]
        self.urgent = _Urgent(self)
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a step done after those submitted before it."""
        return self.enqueue(1, lambda: fn(*args, **kwargs))

    def enqueue(self, line: int, step: Callable[[], T]) -> Future[T]:
        """Put a step in one of the two lines: 0 goes first."""
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = step()
            except BaseException as err:
                future.set_exception(err)
            else:
                future.set_result(result)

        self._lines[line].append(job)
        self._tokens.put(True)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Do what waits, then end the threads."""
        for _ in self._threads:
            self._tokens.put(False)
        for thread in self._threads if wait else ():
            thread.join()

    def _run(self) -> None:
        urgent, others = self._lines
        while self._tokens.get():
            try:
                job = urgent.popleft()
            except IndexError:
                job = others.popleft()
            job()


class _Urgent(Executor):
    """The same threads, by the line that goes first."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def submit(self, fn: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Future[Any]:
        """Have a step done before all that are not urgent."""
        return self._pool.enqueue(0, lambda: fn(*args, **kwargs))
