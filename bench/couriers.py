"""The gateway alone: links whose ends only hand bytes back, so that what is spent is spent on relaying."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import grpc

from bench.federation import SEARCHER, Shape, listen, made, processes
from bench.figures import Figure
from bench.usage import Meter, rss_mb
from elsewhere.wire.channel import client_credentials
from elsewhere.wire.convert.link import REPLY_BYTES, REQUEST_BYTES
from elsewhere.wire.v1 import directory_pb2, link_pb2
from node.config import load_config
from node.links.link import Handler, Link, LinkParts
from node.membership.hop import read_hop

DEADLINE_MS = 10_000
_READY_S = 60.0


class Deaf:
    """Takes nothing of what the gateway shows."""

    def take_directory(self, directory: directory_pb2.Directory) -> None:
        """Leave it."""

    def take_notices(self, notices: directory_pb2.CatalogueNotices) -> None:
        """Leave them."""

    async def turned_away(self, channel: grpc.aio.Channel) -> None:
        """Leave it."""

    async def settled(self) -> None:
        """Nothing was taken."""


def link_of(directory: Path, address: str, handle: Handler) -> Link:
    """A link with a real node's certificate and a handler of one's own behind it."""
    trust = load_config(directory).dir / "trust"
    hop = read_hop(directory)
    credentials = client_credentials(
        ca_pem=(trust / "ca.pem").read_bytes(),
        key_pem=hop.key_pem,
        cert_pem=hop.cert_pem,
    )
    parts = LinkParts(address, credentials, handle, Deaf(), lambda: datetime.now(UTC), secrets.token_bytes)
    return Link(parts)


def measure(shape: Shape, lookups: int, say: Callable[[str], None]) -> list[Figure]:
    """Relay so many lookups of both rounds through a gateway of its own."""
    folder = made(shape, say)
    with processes(folder) as (bench, _):
        address = listen(folder)
        gateway = bench.serve("gateway", "run", "--dir", "gw")
        bench.wait_for_word(gateway, "ready", timeout_s=_READY_S)
        pid = gateway.process.pid
        spent, grown = asyncio.run(_relay(folder, shape, address, pid, lookups))
    per = 1e6 * spent / lookups / shape.custodians
    what = f"gateway CPU per custodian alone, both rounds, {shape.custodians} custodians"
    return [
        Figure("gateway", what, per, "us", None, 500),
        Figure("gateway", f"growth of its memory over {lookups} lookups", grown, "MB", None, 5),
    ]


async def _relay(folder: Path, shape: Shape, address: str, gateway: int, lookups: int) -> tuple[float, float]:
    """Attach everybody, relay, and give the gateway's processor seconds and the memory it grew by."""
    replies = {round_: secrets.token_bytes(size) for round_, size in REPLY_BYTES.items()}

    async def hand_back(dispatch: link_pb2.Dispatch) -> link_pb2.Reply:
        return link_pb2.Reply(route=dispatch.route, sealed=replies[dispatch.round])

    links = {agency: link_of(folder / agency, address, hand_back) for agency in shape.agencies}
    running = [asyncio.create_task(link.run()) for link in links.values()]
    try:
        async with asyncio.timeout(_READY_S):
            await asyncio.gather(*(link.attached.wait() for link in links.values()))
            for _ in range(20):
                await _one(links[SEARCHER], shape)
        meter, memory = Meter.start({"gateway": (gateway,)}), rss_mb(gateway)
        for _ in range(lookups):
            await _one(links[SEARCHER], shape)
        return meter.read()["gateway"], rss_mb(gateway) - memory
    finally:
        for link in links.values():
            link.close()
        await asyncio.wait(running, timeout=10)


async def _one(link: Link, shape: Shape) -> None:
    """One lookup of both rounds with every custodian, of random bytes in the right sizes."""
    first, second = (secrets.token_bytes(REQUEST_BYTES[round_]) for round_ in (1, 2))
    session = link.open_session(secrets.token_bytes(16))
    custodians = shape.agencies[1:]
    questions = [(agency, secrets.token_bytes(16), first) for agency in custodians]
    await link.ask(session, questions, DEADLINE_MS)
    left = len(custodians)
    while left:
        outcome = await asyncio.wait_for(session.outcomes.get(), DEADLINE_MS / 1000)
        if outcome is None or outcome.non_answer:
            raise SystemExit("a relayed lookup was not answered")
        if outcome.round == 1:
            await link.redeem(session, outcome.custodian, second)
        else:
            left -= 1
    link.close_session(session)
