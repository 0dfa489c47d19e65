"""Two processes append to one log and are killed at any moment: what was released is in it, and it is whole.

`make faults` does this 200 times; KILLS says how often.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from elsewhere.signing import SigningKey
from node.ledger.checkpoints import Signer, sign_newest
from node.ledger.verify import read_whole
from node.store.engine import Store, open_store
from node.store.exchange import log
from tests.architecture.sources import ROOT
from tests.integration.test_ledger_tree import NOW

KILLS = int(os.environ.get("KILLS", "10"))  # of each engine
PROCESSES = 2
ORIGIN, KEY = "northshire/police/log", SigningKey.from_seed(bytes([7]) * 32)
FIRST_S = 60.0
LATEST_MS = 40  # after a process has begun to append


class Appending:
    """One such process, and what it has said."""

    def __init__(self, url: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fault.appending", url],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.said: list[str] = []
        self.has_begun = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(line)
            self.has_begun.set()

    def kill(self) -> list[tuple[int, str]]:
        """Kill it; gives number and hash of every entry that it had released."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        whole = (line.split() for line in self.said if line.endswith("\n"))
        return [(int(number), digest) for number, digest in whole]


def entries(store: Store) -> dict[int, str]:
    with store.read() as connection:
        rows = connection.execute(select(log.c.seq, log.c.digest)).all()
    return {seq: bytes(digest).hex() for seq, digest in rows}


@pytest.mark.timeout(120 + 5 * KILLS)
def test_no_kill_loses_an_entry_that_was_released_or_leaves_the_log_unsound(
    store_url: str, tmp_path: Path
) -> None:
    draw = random.Random(4)
    released: dict[int, str] = {}
    with closing(open_store(store_url)) as store:
        for _ in range(max(1, KILLS // PROCESSES)):
            running = [Appending(store_url) for _ in range(PROCESSES)]
            try:
                assert all(one.has_begun.wait(FIRST_S) for one in running)
                time.sleep(draw.randrange(LATEST_MS) / 1000)  # the moment is what is drawn
            finally:
                said = [entry for one in running for entry in one.kill()]
            assert len(dict(said)) == len(said), "one number was given to two entries"
            assert not released.keys() & dict(said).keys(), "a number was given again"
            released |= dict(said)
            held = entries(store)
            assert released.items() <= held.items()
            with store.write() as connection:
                sign_newest(connection, Signer("northshire", "police", KEY), NOW)
            with store.read() as connection:
                assert read_whole(connection, ORIGIN, KEY.public).entries == len(held)
    assert len(released) >= KILLS
