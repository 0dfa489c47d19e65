"""One process of a node, from its start to its end in good order.

Holds:    the right to be this process.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
from datetime import UTC, datetime

import structlog

from elsewhere.clock import Clock
from elsewhere.random import RandomBytes
from node.config import load_config
from node.logs import configure
from node.processes.place import MAIN, Place
from node.program import Node

_log = structlog.get_logger(__name__)


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def run(
    place: Place, *, listen: str = "", clock: Clock = utc_now, random: RandomBytes = secrets.token_bytes
) -> int:
    """Run one process of a node until SIGTERM or SIGINT, then drain.

    Args:
        place: the node's folder and which process this is.
        listen: host:port of this process's desk; empty: what `desk.listen` says, in `main` alone.
        clock, random: the machine's, outside tests.

    Returns:
        0 after an orderly end; 1 if it stopped because a part of it had failed.

    Raises:
        ConfigInvalid, KeyFileExposed, KeyFileMissing, NotAdmitted, NodeRunning, StoreVersionWrong,
            StoreExposed, StoreTaken: it did not start.
    """
    configure()

    async def main() -> int:
        config = load_config(place.node)
        if listen or place.process != MAIN:
            # An address is one process's; the others would not start for it.
            config = config.model_copy(update={"desk": config.desk.model_copy(update={"listen": listen})})
        node = Node(config, clock=clock, random=random, process=place.process)
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        await node.start()
        await stopping.wait()
        _log.info("node.stopping")
        await node.stop()
        _log.info("node.stopped")
        return int(node.parts.has_failed)

    with place.alone():
        return asyncio.run(main())
