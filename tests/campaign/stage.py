"""The federation that faults happen to: real processes, real stores, and a relay before every gateway.

Two gateways. Social care asks; the police know Zoe and Kai, the hospital knows Zoe; Eva is known to nobody.
The hospital's node is two processes on one PostgreSQL server; the others are one process each, on SQLite.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tomli_w

from elsewhere.demo.processes import program
from elsewhere.errors import DeskUnreachable
from elsewhere.sdk.desk import Desk
from gateway.agreed import TEXT_FILE
from gateway.replica import Place, add
from node.processes.place import Place as NodePlace
from tests import partnership
from tests.campaign.network import Network
from tests.federation import KAI, ZOE, Federation
from tests.postgres_server import Server

SEARCHER, CUSTODIANS = "social", ("police", "hospital")
AGENCIES = (SEARCHER, *CUSTODIANS)
NODES = (*AGENCIES, "hospital/b")  # a process of a node by its agency, and its name after a stroke
GATEWAYS = ("gw", "gw2")
DEADLINE_MS = 3000
PATIENCE_S = 60.0
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Running:
    """A started process and where its words go."""

    process: subprocess.Popen[bytes]
    log: Path


@dataclass
class Stage:
    """Everything that runs."""

    folder: Path
    server: Server
    seed: int = 1
    network: Network = field(default_factory=Network)
    running: dict[str, Running] = field(default_factory=dict)
    _starts: int = 0

    def set_up(self) -> None:
        """Found the federation, load the nodes and start everything."""
        made = Federation(self.folder)
        made.found()
        ports = {name: free_port() for name in GATEWAYS}
        add(
            self.folder / "gw2", self.folder / "gw", Place(f"127.0.0.1:{ports['gw2']}"), now=datetime.now(UTC)
        )
        for name, port in ports.items():
            settings = {"federation": "northshire", "listen": f"127.0.0.1:{port}", "push_ms": 5}
            text = tomli_w.dumps({**settings, "link": {"beat_ms": 500}})
            (self.folder / name / "gateway.toml").write_text(text)
        rows = {"police": [ZOE, KAI], "hospital": [ZOE]}
        for agency in AGENCIES:
            ways = (self.network.relay(agency, name, port, self.seed) for name, port in ports.items())
            given: dict[str, Any] = {
                "gateways": [f"127.0.0.1:{port}" for port in ways],
                "lookup": {"deadline_ms": DEADLINE_MS, "retry_s": 900.0},
                "catalogue": {"tick_s": 0.5},
                "store": {"url": self.server.new_database() if agency == "hospital" else ""},
            }
            made.join(agency, rows.get(agency, []), **given)
        self._raise_limit()
        for name in (*GATEWAYS, *NODES):
            self.start(name)
        self.wait_ready()

    def _raise_limit(self) -> None:
        """Let the agency ask as often as a long campaign does; the limits of a person stay."""
        path = self.folder / "gw" / TEXT_FILE
        text = path.read_text("utf-8")
        assert "per_agency_per_day = 2000" in text
        path.write_text(text.replace("per_agency_per_day = 2000", "per_agency_per_day = 1000000"), "utf-8")
        partnership.resign(self.folder / "gw", now=datetime.now(UTC))

    def start(self, name: str) -> None:
        """Start a gateway or a node."""
        self._starts += 1
        if name in GATEWAYS:
            words: list[str] = [*program(), "gateway", "run", "--dir", name]
        else:
            agency, _, which = name.partition("/")
            place = [str(self.folder / agency), which or "main"]
            words = [sys.executable, "-m", "tests.campaign.entry", *place]
        log = self.folder / "logs" / f"{self._starts:04d}-{name.replace('/', '-')}.log"
        log.parent.mkdir(exist_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "GRPC_VERBOSITY": "NONE"}
        with log.open("wb") as file:
            process = subprocess.Popen(
                words,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.running[name] = Running(process, log)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send one process a signal, by its id."""
        os.kill(self.running[name].process.pid, number)

    def kill(self, name: str) -> None:
        """End a process as a crash would, and see it gone."""
        self.signal(name, signal.SIGKILL)
        self.running[name].process.wait(PATIENCE_S)

    def tamper(self, name: str, **what: float) -> None:
        """Step an agency's clock or limit its disk; nothing given: as it was."""
        path = self.folder / name / "tamper.json"
        path.with_suffix(".new").write_text(json.dumps(what))
        path.with_suffix(".new").replace(path)

    def pages(self, name: str) -> int:
        """How many pages the store of a node has now."""
        return max(1, (self.folder / name / "store.sqlite").stat().st_size // 4096)

    def wait_ready(self) -> None:
        """Wait until a lookup through the searcher could succeed, and each node says that it is ready."""
        for name in NODES:
            self._wait(lambda name=name: self._is_ready(name), f"{name} to be ready")  # type: ignore[misc]

    def check_alive(self) -> None:
        """Fail if a process ended by itself; one that could not start without its store starts again."""
        for name, running in list(self.running.items()):
            status = running.process.poll()
            if status is None:
                continue
            words = running.log.read_text("utf-8", "replace")
            if "StoreUnavailable" in words and "node.started" not in words:
                self.start(name)  # as a service manager would
                continue
            raise AssertionError(f"{name} ended by itself with {status}:\n{words[-2000:]}")

    def _is_ready(self, name: str) -> bool:
        self.check_alive()
        try:
            with Desk(self._folder(name)) as desk:
                found = desk.status()
        except DeskUnreachable:
            return False
        held = {member.custodian for member in found.members if member.catalogue_version}
        return found.is_ready and held >= set(AGENCIES) - {name.partition("/")[0]}

    def _folder(self, name: str) -> Path:
        """Where a process of a node has its desk."""
        agency, _, process = name.partition("/")
        return NodePlace(self.folder / agency, process or "main").folder

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"expected {what} within {PATIENCE_S:g} s")
            time.sleep(0.05)

    def tear_down(self) -> None:
        """End everything that was started, by its id."""
        for running in self.running.values():
            if running.process.poll() is None:
                os.kill(running.process.pid, signal.SIGCONT)
                running.process.terminate()
        for running in self.running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()
        self.network.stop()


@contextlib.contextmanager
def stage(folder: Path, seed: int = 1) -> Iterator[Stage]:
    """A federation that runs, and is ended whatever comes."""
    server = Server()
    try:
        server.start()
        made = Stage(folder, server, seed)
        try:
            made.set_up()
            yield made
        finally:
            made.tear_down()
    finally:
        server.stop("immediate")
        server.remove()


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
