"""One writer for the whole node: waiting changes share a transaction, so that they share its fsync.

Refuses:  to report anything as done before the transaction that holds it is durable.

What is reported as failed did not happen, but for one case: a server that is lost while it commits may have
committed. Whatever is released waits for this report, so that can only leave more in the store than was
released: an entry of the log for an answer that nobody got, a question that counts though nobody heard more
of it. Asked again with the same bytes, such a question is the one that is held: same reply, counted once.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from elsewhere.errors import LogUnavailable, StoreBusy, StoreUnavailable
from node.store.engine import Store

T = TypeVar("T")
MAX_BATCH = 64

_Job = tuple[Callable[[Connection], Any], "Future[Any]"]


class Writer:
    """Runs changes one after another on a thread of its own, as many to a transaction as are waiting."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, change: Callable[[Connection], T]) -> Future[T]:
        """Queue a change. Its future resolves once it is durable.

        Args:
            change: runs inside a savepoint; what it raises undoes it alone.

        Raises (from the future):
            LogUnavailable: the store could not be written; nothing of it happened.
        """
        future: Future[T] = Future()
        self._jobs.put((change, cast("Future[Any]", future)))
        return future

    async def run(self, change: Callable[[Connection], T]) -> T:
        """As `submit`, for coroutines."""
        return await asyncio.wrap_future(self.submit(change))

    def close(self) -> None:
        """Finish what is queued, then stop."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            batch = [job]
            stop = False
            while len(batch) < MAX_BATCH and not self._jobs.empty():
                following = self._jobs.get()
                if following is None:
                    stop = True
                    break
                batch.append(following)
            # Whoever gave up waiting before its turn wants nothing done; from here on it is done.
            batch = [job for job in batch if job[1].set_running_or_notify_cancel()]
            if len(batch) == 1:
                self._commit_alone(batch[0])
            else:
                self._commit(batch)
            if stop:
                return

    def _commit_alone(self, job: _Job) -> None:
        """Run one change in a transaction of its own, with no savepoint: nobody else's goes with it."""
        change, future = job
        try:
            with self._store.write() as connection:
                result = change(connection)
        except (StoreUnavailable, StoreBusy):
            future.set_exception(LogUnavailable("the store cannot be written; nothing was released"))
        except Exception as err:
            future.set_exception(err)
        else:
            future.set_result(result)

    def _commit(self, batch: list[_Job]) -> None:
        """Run a batch in one transaction, then tell each caller what became of its change."""
        outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            with self._store.write() as connection:
                for change, future in batch:
                    try:
                        with connection.begin_nested():
                            outcomes.append((future, change(connection), None))
                    except SQLAlchemyError as err:
                        if _is_storage_failure(err):
                            raise
                        outcomes.append((future, None, err))
                    except Exception as err:
                        outcomes.append((future, None, err))
        except Exception:
            # A full or failing disk, or another process that does not stop writing: the transaction is gone,
            # so nobody may be told that theirs happened. This thread goes on: the next batch may fare better.
            failed = LogUnavailable("the store cannot be written; nothing was released")
            outcomes = [(future, None, failed) for _, future in batch]
        for future, result, error in outcomes:
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)


def _is_storage_failure(err: SQLAlchemyError) -> bool:
    """Tell a failing disk or server from a change that broke a rule of the tables."""
    return not isinstance(err, IntegrityError)
