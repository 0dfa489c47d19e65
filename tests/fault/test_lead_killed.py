"""A node of two real processes: the one that leads is killed, or ends, and the other goes on from there."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from sqlalchemy import select

from elsewhere.asking import ProcessStatus, State
from elsewhere.demo.processes import Command, Workbench, program
from elsewhere.errors import DeskUnreachable
from elsewhere.sdk.desk import Desk
from elsewhere.sdk.lookup import Gathering, Lookup
from node.config import load_config
from node.store.engine import open_store
from node.store.exchange import log, published_piece, question
from tests.fault.rig import somebody
from tests.federation import EVA, KAI, ZOE, Federation

READY_S = 60


class Two:
    """A gateway, social care in one process, and the police in two."""

    def __init__(self, folder: Path) -> None:
        self.made = Federation(folder)
        self.made.found()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = self.made._port = int(probe.getsockname()[1])
        settings = {"federation": "northshire", "listen": f"127.0.0.1:{port}", "push_ms": 5}
        (folder / "gw" / "gateway.toml").write_text(tomli_w.dumps({**settings, "link": {"beat_ms": 500}}))
        for agency, rows in (("social", []), ("police", [ZOE, KAI])):
            self.made.join(agency, rows, catalogue={"tick_s": 0.5}, lookup={"retry_s": 900.0})
        self.bench = Workbench(folder, say=lambda typed: None, check_end=lambda: None, program=program())
        self.gateway = self.bench.start("gateway", "run", "--dir", "gw")
        self.bench.wait_for_word(self.gateway, "ready", timeout_s=READY_S)
        self.running: dict[str, Command] = {}
        for name in ("main", "second"):
            self.start(name)
        self.bench.start("node", "run", "--dir", "social")
        for words in (("police",), ("police/processes/second",), ("social",)):
            self.bench.run("node", "status", "--dir", *words, "--wait", str(READY_S))
        self.desk = Desk(folder / "social")
        self.store = open_store(load_config(folder / "police").store_url)
        self.contents: dict[tuple[str, int], bytes] = {}

    def start(self, process: str) -> None:
        """Type the command that runs one process of the police."""
        self.running[process] = self.bench.start("node", "run", "--dir", "police", "--process", process)

    def end(self, process: str, number: signal.Signals) -> None:
        """End a process, by SIGKILL as a crash would, and see it gone."""
        os.kill(self.running[process].process.pid, number)
        self.running[process].process.wait(READY_S)

    def status(self) -> dict[str, ProcessStatus]:
        """What whichever process of the police can be reached says of all of them."""
        try:
            with Desk(self.made.folder / "police") as desk:
                return {process.name: process for process in desk.status().processes}
        except DeskUnreachable:
            return {}  # it was killed just now

    def until(self, holds: Callable[[dict[str, ProcessStatus]], bool]) -> dict[str, ProcessStatus]:
        """Wait for the processes to be so."""
        end = time.monotonic() + READY_S
        while not holds(found := self.status()):
            assert time.monotonic() < end, found
            self.check_versions()
            time.sleep(0.1)
        return found

    def check_versions(self) -> int:
        """Check that no version has another content than it ever had; give the newest."""
        with self.store.read() as connection:
            for row in connection.execute(select(published_piece)):
                content = row.statement + row.ciphertext
                assert self.contents.setdefault((row.collection, row.version), content) == content
        return max(version for _, version in self.contents)

    def ask(self, **changes: Any) -> Lookup:
        """One lookup, to its end."""
        gathering = Gathering()
        for event in self.desk.events(somebody(**changes)):
            gathering.take(event)
        return gathering.finish()


class Asking:
    """Asks one question after another, whatever happens meanwhile."""

    def __init__(self, two: Two) -> None:
        self.states: list[State | None] = []
        self._two, self._end = two, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.is_set():
            self.states.append(self._two.ask().state_of("police"))
            self._end.wait(0.2)

    def end(self) -> list[State | None]:
        self._end.set()
        self._thread.join(READY_S)
        return self.states


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made: list[Two] = []
    try:
        made.append(Two(tmp_path))
        yield made[0]
    finally:
        for found in made:
            found.desk.close()
            found.bench.stop()
            found.store.close()


def test_a_lead_that_is_killed_is_followed_and_nothing_but_what_it_had_at_hand_is_lost(two: Two) -> None:
    found = two.until(lambda seen: len(seen) == 2 and all(each.is_ready for each in seen.values()))
    (first,), (second,) = ([n for n in found if found[n].leads is leads] for leads in (True, False))
    told = two.bench.run("node", "status", "--dir", "police")
    assert f"  process {first}: leads, ready, linked\n  process {second}: ready, linked\n" in told or (
        f"  process {second}: ready, linked\n  process {first}: leads, ready, linked\n" in told
    )
    asking = Asking(two)

    two.end(first, signal.SIGKILL)
    two.until(lambda seen: second in seen and seen[second].leads)
    version = two.check_versions()
    two.made.load("police", [EVA], source="more")
    _until_known(two, EVA)
    assert two.check_versions() > version

    since = datetime.now(UTC)
    two.start(first)
    two.until(lambda seen: first in seen and seen[first].is_ready and seen[first].seen_utc > since)
    assert two.status()[second].leads, "who comes back does not take the lead"
    two.end(second, signal.SIGTERM)
    found = two.until(lambda seen: first in seen and seen[first].leads)
    assert not found[second].is_running
    version = two.check_versions()
    end = time.monotonic() + READY_S
    while two.check_versions() < version + 2:
        assert time.monotonic() < end
        time.sleep(0.1)

    states = asking.end()
    lost = [state for state in states if state is not State.KNOWN_CURRENT]
    assert len(states) > 20
    assert len(lost) <= 1, f"one lookup was at hand when it was killed: {lost}"
    with two.store.read() as connection:
        redeemed = select(question.c.digest).where(question.c.redeem_digest.is_not(None))
        answered = select(log.c.digest).where(log.c.kind == "answered")
        assert len(connection.execute(redeemed).all()) == len(connection.execute(answered).all())


def _until_known(two: Two, row: dict[str, str]) -> None:
    end = time.monotonic() + READY_S
    while two.ask(row=row).state_of("police") is not State.KNOWN_CURRENT:
        assert time.monotonic() < end
