"""Two gateways of one federation as real processes, and nodes in this one that are linked to both."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tomli_w

from gateway.replica import Place, add
from tests.federation import PATIENCE_S, ZOE, Federation


@dataclass
class GatewayProcess:
    """One gateway's folder, and its process while it runs: always on the same port."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[str] | None = None

    async def start(self) -> None:
        """Run it and wait until it listens."""
        settings = {
            "federation": "northshire",
            "listen": f"127.0.0.1:{self.port}",
            "poll_s": 0.05,
            "push_ms": 5,
            "link": {"beat_ms": 2000},
        }
        (self.folder / "gateway.toml").write_text(tomli_w.dumps(settings))
        log = (self.folder / "log").open("a+")
        command = [sys.executable, "-m", "gateway", str(self.folder)]
        self.process = subprocess.Popen(command, stderr=log, text=True)
        before = log.tell()
        async with asyncio.timeout(PATIENCE_S):
            while (ready := _ready(self.folder / "log", before)) is None:
                assert self.process.poll() is None
                await asyncio.sleep(0.02)
        log.close()
        self.port = ready

    def signal(self, number: signal.Signals) -> None:
        """Stop it, let it go on, or kill it."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def _ready(log: Path, after: int) -> int | None:
    """The port that a gateway says it listens on, in what it wrote after this place."""
    for line in log.read_text()[after:].splitlines():
        if line.startswith("ready "):
            return int(line.rsplit(":", 1)[1])
    return None


@dataclass
class Replicas:
    """A federation behind two gateways, the first of which everybody asks through while it is well."""

    made: Federation
    first: GatewayProcess
    second: GatewayProcess

    async def linked(self, *, both: bool = True) -> None:
        """Wait until every node has a link to both gateways, or to one at least, and is ready."""
        async with asyncio.timeout(PATIENCE_S):
            while not all(
                (all if both else any)(link.attached.is_set() for link in node.links)
                for node in self.made.nodes.values()
            ):
                await asyncio.sleep(0.02)
        await self.made.settle()


@asynccontextmanager
async def two_gateways(folder: Path, **settings: Any) -> AsyncIterator[Replicas]:
    """Social care asks; police and hospital know Zofia. All are linked to both gateways."""
    made = Federation(folder)
    made.found()
    add(folder / "gw2", folder / "gw", Place("127.0.0.1:0"), now=datetime.now(UTC))
    both = Replicas(made, GatewayProcess(folder / "gw"), GatewayProcess(folder / "gw2"))
    try:
        await both.first.start()
        await both.second.start()
        gateways = [f"127.0.0.1:{both.first.port}", f"127.0.0.1:{both.second.port}"]
        for agency in ("social", "police", "hospital"):
            rows = [] if agency == "social" else [ZOE]
            made.join(agency, rows, gateways=gateways, **settings)
        await made.start("social", "police", "hospital")
        await both.linked()
        yield both
    finally:
        for agency in list(made.nodes):
            for link in made.nodes[agency].links:
                link._owed.clear()  # what was torn off on purpose is not waited for
            with contextlib.suppress(Exception):
                await made.stop(agency)
        both.first.kill()
        both.second.kill()
