"""A gateway or a node is killed at each step of a study: what was released was charged, and once.

`make faults` does this many times over; KILLS says how often.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from pathlib import Path

import pytest

from elsewhere.research.query import query_id
from elsewhere.wire.v1 import research_pb2
from tests.fault.studying_processes import GATEWAY, Processes, Seen

STEPS = ("asked", "prepared", "fixed", "shared", "share", "ended")
VICTIMS = (GATEWAY, "social", "police")  # who holds the table, and who adds noise and masks only
KILLS = int(os.environ.get("KILLS", str(len(STEPS) * 2)))
LATEST_MS = 15  # after the step


class Killer:
    """Kills one process a moment after a step was seen one to four times, and starts it again at once."""

    def __init__(self, processes: Processes, victim: str, step: str, draw: random.Random) -> None:
        self._processes, self._victim, self._step = processes, victim, step
        self._wait_s, self._left = draw.randrange(LATEST_MS) / 1000, draw.randrange(1, 5)
        if step in ("fixed", "ended"):
            self._left = 1
        self.has_killed = False

    def hear(self, step: str) -> None:
        """Count, and kill."""
        self._left -= step == self._step
        if self._left == 0 and not self.has_killed:
            time.sleep(self._wait_s)  # the moment is what is drawn
            self._processes.kill(self._victim)
            self._processes.start(self._victim)  # as a service manager would, while the study waits for it
            self.has_killed = True


@pytest.mark.timeout(120 + 30 * KILLS)
def test_a_kill_at_any_step_releases_nothing_uncharged_and_nothing_twice(tmp_path: Path) -> None:
    draw, released, opened = random.Random(9), dict[tuple[str, str], str](), 0
    processes = Processes(tmp_path)
    try:
        processes.wait_attended()
        for number in range(KILLS):
            # Every step with the gateway and with a node in turn; which node is drawn.
            victim = GATEWAY if number % 2 else draw.choice(VICTIMS[1:])
            killer = Killer(processes, victim, STEPS[number // 2 % len(STEPS)], draw)
            envelope = processes.query()
            seen = processes.ask(envelope, killer.hear)
            note(released, envelope, seen)
            assert killer.has_killed, seen.codes
            processes.wait_attended()
            note(released, envelope, processes.ask(envelope))  # again: the same shares, or none
            another = processes.query()
            found = processes.ask(another)
            note(released, another, found)
            opened += found.end == research_pb2.STUDY_END_OPENED
    finally:
        processes.stop()
    assert opened == KILLS, "studies go on by themselves after a kill"
    assert processes.check_ledgers(released) >= len(released)


def note(released: dict[tuple[str, str], str], envelope: bytes, seen: Seen) -> None:
    """Remember which shares left; one of them twice is the same bytes."""
    for agency, share in seen.shares.items():
        digest = hashlib.sha256(share).hexdigest()
        assert released.setdefault((query_id(envelope).hex(), agency), digest) == digest, "two shares"
