"""Real processes, ended by SIGKILL or halted by SIGSTOP in the middle of a lookup. Nothing is simulated."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import tomli_w

from elsewhere.asking import CustodianAnswer, State
from elsewhere.demo.processes import Command, Workbench, program
from elsewhere.sdk.desk import Desk
from elsewhere.sdk.errors import DeskInterrupted
from elsewhere.sdk.lookup import Gathering, Lookup
from tests.fault.rig import somebody
from tests.federation import KAI, ZOE, Federation

NODES = ("social", "police", "hospital")
DEADLINE_MS, READY_S, MOMENT_S = 4000, 60, 30


class Running:
    """A gateway and three nodes as an operator starts them."""

    def __init__(self, folder: Path) -> None:
        made = Federation(folder)
        made.found()
        port = made._port = _free_port()
        settings = {"federation": "northshire", "listen": f"127.0.0.1:{port}", "push_ms": 5}
        # Beats so far apart that a halted node is found by the deadline, not by its silence.
        (folder / "gw" / "gateway.toml").write_text(tomli_w.dumps({**settings, "link": {"beat_ms": 3000}}))
        lookup = {"deadline_ms": DEADLINE_MS, "retry_s": 900.0}
        for agency, rows in (("social", []), ("police", [ZOE, KAI]), ("hospital", [ZOE])):
            made.join(agency, rows, lookup=lookup, catalogue={"tick_s": 3600})
        self.bench = Workbench(folder, say=lambda typed: None, check_end=lambda: None, program=program())
        self.commands: dict[str, Command] = {}
        self.start("gw")
        for agency in NODES:
            self.start(agency)
        self.wait_ready()
        self.desk = Desk(folder / "social")

    def start(self, name: str) -> None:
        """Type the command that runs a gateway or a node."""
        kind = "gateway" if name == "gw" else "node"
        self.commands[name] = self.bench.start(kind, "run", "--dir", name)
        if name == "gw":
            self.bench.wait_for_word(self.commands[name], "ready", timeout_s=READY_S)

    def wait_ready(self) -> None:
        """Wait as an operator would, for all nodes at once."""
        self.bench.run_together([("node", "status", "--dir", a, "--wait", str(READY_S)) for a in NODES])

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one process, by its id."""
        os.kill(self.commands[name].process.pid, number)

    def kill(self, name: str) -> None:
        """End a process as a crash would, and see it gone."""
        self.signal(name, signal.SIGKILL)
        self.commands[name].process.wait(MOMENT_S)


class Asking:
    """A lookup under way through the desk of a real node."""

    def __init__(self, running: Running) -> None:
        self.answers: dict[str, CustodianAnswer] = {}
        self._news = threading.Condition()
        self._thread = ThreadPoolExecutor(1)
        self._end: Future[Lookup] = self._thread.submit(self._run, running.desk)
        self.began = time.monotonic()

    def _run(self, desk: Desk) -> Lookup:
        gathering = Gathering()
        for event in desk.events(somebody()):
            gathering.take(event)
            if isinstance(event, CustodianAnswer):
                with self._news:
                    self.answers[event.custodian] = event
                    self._news.notify_all()
        return gathering.finish()

    def wait_for(self, custodian: str) -> None:
        """Wait for one custodian's state."""
        with self._news:
            assert self._news.wait_for(lambda: custodian in self.answers, MOMENT_S)

    def end(self) -> Lookup:
        """Wait for the end."""
        found = self._end.result(MOMENT_S)
        self._thread.shutdown()
        return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("processes")
    started: list[Running] = []
    try:
        started.append(Running(folder))
        yield started[0]
    finally:
        for made in started:
            for command in made.commands.values():
                if command.process.poll() is None:
                    os.kill(command.process.pid, signal.SIGCONT)
            made.desk.close()
            made.bench.stop()


def _check(found: Lookup, police: State) -> None:
    assert {answer.custodian for answer in found.answers} == {"police", "hospital"}
    assert len(found.answers) == 2
    assert found.state_of("hospital") is State.KNOWN_CURRENT
    assert found.state_of("police") is police
    assert found.is_complete == police.is_answer
    if not police.is_answer:
        assert "1 of 2 agencies answered; Agency police" in found.summary


def _check_healed(running: Running) -> None:
    """Whole again once whoever was ended is back; the others were never restarted."""
    running.wait_ready()
    end = time.monotonic() + READY_S
    while (found := Asking(running).end()).state_of("police") is State.UNREACHABLE:
        assert time.monotonic() < end  # a node that was halted has yet to find that its link is gone
    _check(found, State.KNOWN_CURRENT)


def _begin_with_police_halted(running: Running) -> Asking:
    """A lookup of which the hospital's part is over and the police's is not."""
    running.signal("police", signal.SIGSTOP)
    asking = Asking(running)
    asking.wait_for("hospital")
    assert "police" not in asking.answers
    return asking


def test_a_halted_node_has_timed_out_at_the_deadline(running: Running) -> None:
    found = _begin_with_police_halted(running).end()
    _check(found, State.TIMED_OUT)
    answer = found.answer_of("police")
    assert answer is not None
    assert DEADLINE_MS - 300 <= answer.elapsed_ms <= DEADLINE_MS + 2000
    running.signal("police", signal.SIGCONT)
    _check_healed(running)


def test_a_node_killed_in_the_middle_is_unreachable_before_the_deadline(running: Running) -> None:
    before = datetime.now(UTC)
    asking = _begin_with_police_halted(running)
    running.kill("police")
    found = asking.end()
    _check(found, State.UNREACHABLE)
    answer = found.answer_of("police")
    assert answer is not None
    assert answer.since is not None
    assert before.replace(microsecond=0) <= answer.since <= datetime.now(UTC)
    # Asked again at once it is unreachable since then, without a wait.
    again = Asking(running).end().answer_of("police")
    assert again is not None
    assert (again.state, again.since) == (State.UNREACHABLE, answer.since)
    assert again.elapsed_ms < DEADLINE_MS // 2
    running.start("police")
    _check_healed(running)


def test_a_gateway_killed_in_the_middle_leaves_what_came_and_the_rest_unreachable(running: Running) -> None:
    asking = _begin_with_police_halted(running)
    running.kill("gw")
    found = asking.end()
    _check(found, State.UNREACHABLE)
    running.signal("police", signal.SIGCONT)
    nobody = Asking(running).end()
    assert [answer.state for answer in nobody.answers] == [State.UNREACHABLE] * 2
    running.start("gw")
    _check_healed(running)


def test_a_searchers_node_killed_in_the_middle_loses_nothing_that_was_promised(running: Running) -> None:
    asking = _begin_with_police_halted(running)
    running.kill("social")
    with pytest.raises(DeskInterrupted):
        asking.end()
    assert set(asking.answers) == {"hospital"}
    running.signal("police", signal.SIGCONT)
    running.start("social")
    _check_healed(running)
