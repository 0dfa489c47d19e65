"""What the privacy costs: a plain hashed lookup over the same links, stores and gateway.

Nobody should run this on records: a hash of a name or number is reversed by enumeration in minutes. It sends
the SHA-256 of each match key, one round, unsealed and unsigned, and each custodian answers with bits.
`python -m bench.plain FOLDER ADDRESS` is such a custodian, in a process of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.asking import PAUSE_S, median, percentile, questions
from bench.couriers import link_of
from bench.federation import SEARCHER, Shape, listen, made, processes
from bench.people import Child
from bench.usage import Meter
from elsewhere.lookup import SLOTS
from elsewhere.matchkeys import question_keys
from elsewhere.wire.convert.link import REPLY_BYTES, REQUEST_BYTES
from elsewhere.wire.v1 import link_pb2
from node.links.link import Link

HASH_BYTES = 32
DEADLINE_MS = 10_000
_READY_S = 60.0
_AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class PlainCosts:
    """What plain lookups took: milliseconds of one, its processor milliseconds by role, lookups a second."""

    p50: float
    p95: float
    cpu: dict[str, float]
    rate: float


@dataclass(frozen=True, slots=True)
class _Asker:
    """The searcher's end, with the custodians it asks."""

    link: Link
    custodians: tuple[str, ...]

    async def ask(self, child: Child) -> float:
        """Hash the keys of a child, ask everybody, and wait for all; gives the seconds it took."""
        began = time.monotonic()
        keys = question_keys(child.person(), slots=SLOTS)
        hashes = b"".join(hashlib.sha256(key.data).digest() for key in keys)
        message = hashes.ljust(REQUEST_BYTES[1], b"\0")
        session = self.link.open_session(secrets.token_bytes(16))
        asked = [(agency, secrets.token_bytes(16), message) for agency in self.custodians]
        await self.link.ask(session, asked, DEADLINE_MS)
        for _ in asked:
            outcome = await asyncio.wait_for(session.outcomes.get(), DEADLINE_MS / 1000)
            if outcome is None or outcome.non_answer:
                raise SystemExit("a plain lookup was not answered")
        self.link.close_session(session)
        return time.monotonic() - began


def measure(shape: Shape, lookups: int, say: Callable[[str], None]) -> PlainCosts:
    """Time so many lookups with every custodian one after another, then as many at once."""
    folder = made(shape, say)
    with processes(folder) as (bench, _):
        address = listen(folder)
        gateway = bench.serve("gateway", "run", "--dir", "gw")
        bench.wait_for_word(gateway, "ready", timeout_s=_READY_S)
        program = [sys.executable, "-P", "-m", "bench.plain"]
        with processes(folder, program) as (_, custodians):
            started = [custodians.serve(agency, address) for agency in shape.agencies[1:]]
            for command in started:
                custodians.wait_for_word(command, "attached", timeout_s=_READY_S)
            roles = {
                "gateway": (gateway.process.pid,),
                "custodians": tuple(command.process.pid for command in started),
            }
            return asyncio.run(_measure(folder, shape, address, roles, lookups))


async def _measure(
    folder: Path, shape: Shape, address: str, roles: dict[str, tuple[int, ...]], lookups: int
) -> PlainCosts:
    async def none(_: link_pb2.Dispatch) -> None:
        return None

    link = link_of(folder / SEARCHER, address, none)
    running = asyncio.create_task(link.run())
    try:
        async with asyncio.timeout(_READY_S):
            await link.attached.wait()
        asker = _Asker(link, shape.agencies[1:])
        for child in questions(3):
            await asker.ask(child)
        meter, mine, found = Meter.start(roles), time.process_time(), []
        for child in questions(lookups):
            found.append(1e3 * await asker.ask(child))
            await asyncio.sleep(PAUSE_S)
        spent = {**meter.read(), "searcher": time.process_time() - mine}
        began = time.monotonic()
        await _at_once(asker, lookups)
        rate = lookups / (time.monotonic() - began)
        cpu = {role: 1e3 * used / lookups for role, used in spent.items()}
        return PlainCosts(median(found), percentile(found, 0.95), cpu, rate)
    finally:
        link.close()
        await asyncio.wait([running], timeout=10)


async def _at_once(asker: _Asker, lookups: int) -> None:
    """Ask so many, a few at any time."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(child: Child) -> None:
        async with places:
            await asker.ask(child)

    await asyncio.gather(*(one(child) for child in questions(lookups)))


def main(directory: Path, address: str) -> None:
    """Answer plain lookups from a node's own table of tags until ended."""
    store = sqlite3.connect(directory / "store.sqlite")
    query = "SELECT 1 FROM tag WHERE set_id = 1 AND tag = ?"

    async def answer(dispatch: link_pb2.Dispatch) -> link_pb2.Reply:
        hashes = (
            dispatch.sealed[start : start + HASH_BYTES] for start in range(0, SLOTS * HASH_BYTES, HASH_BYTES)
        )
        found = bytes(store.execute(query, (value,)).fetchone() is not None for value in hashes)
        return link_pb2.Reply(route=dispatch.route, sealed=found.ljust(REPLY_BYTES[1], b"\0"))

    async def serve() -> None:
        link = link_of(directory, address, answer)
        running = asyncio.create_task(link.run())
        await link.attached.wait()
        print("attached", file=sys.stderr, flush=True)
        await running

    asyncio.run(serve())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
