"""A worker of a load that is killed, as by a system out of memory, ends the load; it does not hang."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool

import pytest

from node.caseload.workers import TagSet, Workers

LARGE = 1_000_000  # bytes of a chunk: far more than a pipe takes in at once


def die(_: Sequence[TagSet], chunk: bytes) -> int:
    """End this worker as the kernel would."""
    os.kill(os.getpid(), signal.SIGKILL)
    return len(chunk)


@pytest.mark.timeout(60)
def test_a_killed_worker_ends_the_load_while_more_work_is_being_sent() -> None:
    chunks = [bytes(LARGE)] * 12

    with pytest.raises(BrokenProcessPool), Workers((), 2) as workers:
        list(workers.map(die, chunks))
