"""A node that takes part in studies is killed at any moment: no share without its charge, and none twice.

`make faults` does this 200 times; KILLS says how often.
"""

from __future__ import annotations

import hashlib
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

from elsewhere.securesum.share import open_share
from elsewhere.signing import SigningKey
from node.ledger.checkpoints import Signer, sign_newest
from node.ledger.verify import read_whole
from node.store.engine import Store, open_store
from node.store.exchange import log
from node.store.studies import charge
from tests.architecture.sources import ROOT
from tests.stores import PLACES
from tests.unit.node.study_world import NOW

KILLS = int(os.environ.get("KILLS", "20"))
FIRST_S = 60.0
LATEST_MS = 60  # after the first share
KEY = SigningKey(b"social".ljust(32, b"."))


class Node:
    """One life of it, and what it has said."""

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fault.studying", str(root)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._said: list[str] = []
        self.has_begun = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.append(line)
            self.has_begun.set()

    def kill(self) -> list[tuple[str, str]]:
        """Kill it; gives query and digest of every share that it had released."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        whole = (line.split() for line in self._said if line.endswith("\n"))
        return [(query, digest) for query, digest in whole]


@pytest.mark.timeout(120 + 8 * KILLS)
def test_no_kill_releases_a_share_without_its_charge_or_a_second_one(tmp_path: Path) -> None:
    draw, released = random.Random(5), dict[str, str]()
    for _ in range(KILLS):
        node = Node(tmp_path)
        try:
            assert node.has_begun.wait(FIRST_S)
            time.sleep(draw.randrange(LATEST_MS) / 1000)  # the moment is what is drawn
        finally:
            said = node.kill()
        for query, digest in said:
            assert released.setdefault(query, digest) == digest, "two shares for one query"
        with closing(open_store(PLACES.url(tmp_path / "social"))) as store:
            check_agrees(store, released)
    assert len(released) >= KILLS


def check_agrees(store: Store, released: dict[str, str]) -> None:
    """Every share released was charged; each charge has its one entry, which its share names."""
    with store.read() as connection:
        rows = {bytes(row.qid).hex(): bytes(row.share) for row in connection.execute(select(charge))}
        logged = select(log.c.digest).where(log.c.kind == "study")
        entries = sorted(bytes(one) for one in connection.execute(logged).scalars())
    assert {query: hashlib.sha256(rows[query]).hexdigest() for query in released} == released
    assert sorted(open_share(share, KEY.public).leaf for share in rows.values()) == entries
    with store.write() as connection:
        sign_newest(connection, Signer("northshire", "social", KEY), NOW)
    with store.read() as connection:
        read_whole(connection, "northshire/social/log", KEY.public)
